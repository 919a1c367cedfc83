"""Names of others in pages, tables and on the screen: they are shown, and never taken for HTML, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from support.cohort_scores import metrics_json, three_scores
from support.report_cases import a_case
from TomoRayLib.cli.display import Display, cohort_table, metrics_table
from TomoRayLib.jobs.events import Failed, Finished, Note, StageBegun, Warned
from TomoRayLib.metrics.statistics import CaseScore
from TomoRayLib.report.case_page import render_report
from TomoRayLib.report.cohort_case_page import case_page
from TomoRayLib.report.cohort_result import CohortResult
from TomoRayLib.report.cohort_tables import write_tables

NAMES = (
    "<x-evil onerror=1>",
    "\"'><x-evil>",
    "</script><x-evil>",
    "</style></title><x-evil>",
    "--><x-evil>",
    "&lt;x-evil&gt;",
)
FORMULA = '=HYPERLINK("//nowhere.invalid")'


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.found += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def tags_of(page: str) -> Tags:
    parser = Tags()
    parser.feed(page)
    parser.close()
    return parser


def is_harmless(page: str) -> bool:
    found = tags_of(page).found
    return "x-evil" not in found and not [name for name in found if name.startswith("on")]


def renamed(name: str) -> CohortResult:
    """A cohort in which everything that comes from outside has this name."""
    metrics = metrics_json(0.0, ("T12", "L1"))
    for part in ("rows", "flags", "per_vertebra"):
        metrics[part][name] = metrics[part]["tomoray"]
    score = CaseScore.from_metrics(name, name, metrics, facts={name: name}, known=name)
    return CohortResult(
        title=name,
        scores=(*three_scores(), score, replace(score, name=f"{name} 2", known=None)),
        failed=((name, name),),
        left_out=((name, name),),
        refused=((name, name),),
        settings={name: {name: name}},
        remarks=(name,),
        pages={name: f"cases/{name}.html"},
        case_remarks=((name, name),),
    )


def test_the_check_finds_what_is_not_escaped() -> None:
    assert not is_harmless("<p><x-evil></p>")
    assert not is_harmless("<script>1</script><x-evil>")
    assert not is_harmless("<img onerror=1>")


@pytest.mark.parametrize("name", NAMES)
def test_a_case_s_report_shows_names_as_text(name: str) -> None:
    case = a_case(
        title=name,
        notes=(name,),
        demonstration_note=name,
        labels_by=name,
        provenance={name: name, "inputs": {"ap": {"name": name}}, "notes": [name]},
    )
    page = render_report(case)
    assert is_harmless(page)
    assert name in "".join(tags_of(page).texts)


@pytest.mark.parametrize("name", NAMES)
def test_the_pages_of_a_cohort_show_names_as_text(name: str, tmp_path: Path) -> None:
    write_tables(tmp_path, renamed(name))
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert is_harmless(page)
    assert name in "".join(tags_of(page).texts)
    markdown = (tmp_path / "table2.md").read_text(encoding="utf-8")
    assert not re.search(r"(?<!\\)<", markdown)
    record = {
        "case": name,
        "subject": name,
        "metrics": metrics_json(0.0, ("T12",)) | {"settings": {"window_width_hu": 1.0, "spacing_mm": [1, 1, 1]}},
        "warnings": [name],
        "known": name,
        "facts": {name: name},
        "notes": [name],
        "stages": {name: name},
        "made_from": {"prepared": name, "rows": {name: name}},
    }
    record["metrics"]["settings"] |= {"fov_mm": [1, 1, 1]}
    assert is_harmless(case_page(record, None))


def test_markdown_and_latex_keep_a_name_in_its_cell(tmp_path: Path) -> None:
    write_tables(tmp_path, renamed("a|b`c`[d](//e)*f*\ng\\h%"))
    markdown = (tmp_path / "table2.md").read_text(encoding="utf-8")
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 4 + 2  # heading, our rows, the paper's
    assert r"| a\|b\`c\`\[d\](//e)\*f\*\\ng\\h% |" in markdown
    latex = (tmp_path / "table2.tex").read_text(encoding="utf-8")
    assert r"a|b`c`[d](//e)*f*\textbackslash{}ng\textbackslash{}h\%" in latex
    outside = latex.partition(r"\end{tabular}")[2].splitlines()
    assert all(line.startswith("%") for line in outside if line)


def test_no_table_of_a_cohort_holds_a_formula(tmp_path: Path) -> None:
    write_tables(tmp_path, renamed(FORMULA))
    tables = sorted(tmp_path.glob("*.csv"))
    assert len(tables) > 5
    for table in tables:
        for row in csv.reader(io.StringIO(table.read_text(encoding="utf-8"))):
            assert not [cell for cell in row if cell.startswith(("=", "@"))], table.name


EVENTS = "a[red]b[/red] :warning: \x1b[31mc\x9bd\u202ee\ng \udcff"
SHOWN = r"a[red]b[/red] :warning: \x1b[31mc\x9bd\u202ee\ng \udcff"


def test_the_screen_shows_names_letter_by_letter(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(width=400, force_terminal=False)
    with Display(console, {}) as display:
        for event in (StageBegun(EVENTS, 1, 2), Note(EVENTS), Warned(EVENTS), Failed(EVENTS, 2, None, "the details")):
            display(event)
    display.close()
    said = capsys.readouterr().out
    assert said.count(SHOWN) == 3
    display(Finished({"files": [EVENTS], "folder": f"/{EVENTS}", "seconds": 1.0, "metrics": None}))
    display.close()
    assert f"/{SHOWN}/{SHOWN}" in capsys.readouterr().out


def test_the_tables_on_the_screen_show_names_letter_by_letter() -> None:
    metrics = metrics_json(0.0, ("T12",))
    for part in ("rows", "flags", "per_vertebra"):
        metrics[part] = {EVENTS: metrics[part]["tomoray"]}
    cohort = CohortResult("t", (CaseScore.from_metrics("a", "b", metrics),), (), (), {})
    summary = {
        name: {key: one.to_json_dict() for key, one in values.items()} for name, values in cohort.summary["all"].items()
    }
    for table in (metrics_table(metrics), cohort_table(summary, "1 case")):
        out = io.StringIO()
        Console(file=out, width=400).print(table)
        assert SHOWN in out.getvalue(), out.getvalue()
        assert "\x1b" not in out.getvalue()


def test_nothing_steers_a_terminal_or_turns_a_line_round_in_a_page() -> None:
    """Nor does a name of bytes that are no text keep a report from being written."""
    name = "L1\x1b[2J\u202egnp\udcff"
    page = render_report(a_case(title=name, notes=(name,), provenance={"inputs": {"ap": {"name": name}}}))
    assert page.count("L1\\x1b[2J\\u202egnp\\udcff") >= 4
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", page)
