"""The measures of a case as a page shows them: with their errors and reasons, and the warning where heights stand."""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.report_cases import a_case
from support.stacked_boxes import BoxVertebra, grid_around, label_volume
from TomoRayLib.measures.comparison import KnownMeasures, measure_rows, measures_dict
from TomoRayLib.measures.known_errors import KnownError
from TomoRayLib.measures.spine import measure_spine
from TomoRayLib.report.case_page import render_report
from TomoRayLib.report.measures_section import HEALTHY, measures_section

TITLES = {"height_anterior_mm": "Anterior height", "wedge_ratio": "Wedge ratio", "rotation_deg": "Axial rotation"}
N = ", n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}57"
UNITS = {"wedge_ratio": "", "height_anterior_mm": "mm", "disc_height_mm": "mm"}
FINE = {"n": 57, "people": 6, "bias": -0.8, "low": -4.1, "high": 2.5, "usable": True, "sentence": "It can tell 4 mm."}
WIDE = {**FINE, "bias": 0.02, "low": -0.4, "high": 0.44, "usable": False, "sentence": "So it cannot tell a fifth."}


def a_row(key: str, subject: str, synthetic: float | None, truth: float | None = None, **more: Any) -> dict[str, Any]:
    apart = None if synthetic is None or truth is None else synthetic - truth
    values = {"synthetic": synthetic, "truth": truth, "difference": apart, "error": None}
    reasons = {"synthetic_reason": None, "truth_reason": None}
    titled = {"key": key, "subject": subject, "title": TITLES.get(key, key), "unit": UNITS.get(key, "°")}
    return {**titled, **values, **reasons, **more}


def measures(*rows: dict[str, Any], truth: bool = False) -> dict[str, Any]:
    definitions = {
        row["key"]: {
            "title": row["title"],
            "unit": row["unit"],
            "definition": f"Def <{row['key']}>.",
            "source": "S",
            "useful_for": "a change of <5>",
        }
        for row in (*rows, a_row("slip_mm", "L1/L2", 0.0))
    }
    return {"numbering": "sure", "definitions": definitions, "truth": {} if truth else None, "rows": list(rows)}


def cells_of(page: str, subject: str) -> list[str]:
    line = re.search(rf'<th scope="row">{re.escape(subject)}</th>(.*?)</tr>', page)
    assert line is not None
    cells = re.findall(r"<td[^>]*>(.*?)</td>", line[1])
    return [re.sub(r"<span[^>]*>", " ", cell).replace("</span>", "") for cell in cells]


def test_without_measures_there_is_no_section() -> None:
    assert measures_section(None) == ""
    assert measures_section(measures()) == ""
    assert "<h2>Measures</h2>" not in render_report(a_case())


def test_a_value_stands_with_its_truth_difference_and_error() -> None:
    section = measures_section(
        measures(
            a_row("height_anterior_mm", "L1", 27.31, 25.5, error=FINE),
            a_row("height_anterior_mm", "L2", None, 24.9, error=FINE, synthetic_reason="not measurable, because X & Y"),
            a_row("wedge_ratio", "L1", 0.936, 0.958, error=WIDE),
            a_row("wedge_ratio", "L2", None, 0.86, error=WIDE, synthetic_reason="not measurable, because X & Y"),
            truth=True,
        )
    )
    assert cells_of(section, "L1") == ["27.3 truth 25.5 (+1.8)", "0.94 truth 0.96 (\N{MINUS SIGN}0.02)"]
    assert cells_of(section, "L2") == ["truth 24.9", "truth 0.86"]
    assert cells_of(section, "Expected error") == [
        f"\N{MINUS SIGN}0.8 (\N{MINUS SIGN}4.1 to +2.5){N}",
        f"+0.02 (\N{MINUS SIGN}0.40 to +0.44){N} too uncertain",
    ]
    assert "<li>L2: not measurable, because X &amp; Y.</li>" in section
    assert "<b>Wedge ratio.</b> So it cannot tell a fifth.</li>" in section
    assert "It can tell 4 mm." not in section  # of what is of use the numbers say enough
    assert "Lowest of the truth: 0.86 at L2" in section


def test_the_warning_stands_with_the_heights_and_no_grade_is_given() -> None:
    wedge = measures_section(measures(a_row("wedge_ratio", "L1", 0.7, error=WIDE)))
    heading, table = wedge.index("<h3>Bodies"), wedge.index('<table class="levels measured"')
    assert heading < wedge.index(HEALTHY) < wedge.rindex('<table class="levels measured"')
    assert table > 0
    assert "No Genant grade is given" in wedge
    assert f"+0.02 (\N{MINUS SIGN}0.40 to +0.44){N}, is more than a grade" in wedge
    unknown = measures_section(measures(a_row("height_anterior_mm", "L1", 20.0)))
    assert "the error of a height measured here is not known" in unknown
    assert not re.search(r"[Gg]rade [0-3]", wedge + unknown)
    assert HEALTHY not in measures_section(measures(a_row("disc_height_mm", "L1/L2", 8.0)))


def test_what_is_not_known_is_not_relied_on() -> None:
    section = measures_section(measures(a_row("rotation_deg", "T12", -0.04)))
    assert cells_of(section, "T12") == ["0.0"]  # no minus zero
    assert cells_of(section, "Expected error") == ["not known too uncertain"]
    assert "<b>Axial rotation.</b> The error is not known: do not rely on the value.</li>" in section


def test_the_large_figures_are_on_top_with_reasons_in_words() -> None:
    section = measures_section(
        measures(
            a_row("cobb_deg", "T6-L1", 16.84, 12.0, error=WIDE, title="Cobb angle"),
            a_row("lumbar_lordosis_deg", "L1-L5", None, title="Lordosis", synthetic_reason="not measurable, because Z"),
            a_row("wedge_ratio", "T9", 0.91, 0.95, error=FINE),
            a_row("wedge_ratio", "T8", 0.83, 0.85, error=FINE),
            truth=True,
        )
    )
    tiles = re.findall(r'<div class="tile"><span>([^<]*)</span><b>([^<]*)</b>', section)
    assert tiles == [
        ("Cobb angle, T6-L1", "16.8°"),
        ("Lordosis, L1-L5", "\N{EN DASH}"),
        ("Lowest wedge ratio, T8", "0.83"),
    ]
    assert section.index('class="tiles') < section.index("<table")
    assert "Truth: 12.0° (difference +4.8)" in section
    assert section.count("Too uncertain to be of use</span>") == 1
    assert "not measurable, because Z" in section
    assert "Lowest of the truth" not in section  # it is the same vertebra


@pytest.mark.parametrize(("doubt", "names"), [("", ["T12", "T12/L1"]), ("?", ["T12?", "T12?/L1?"])])
def test_names_carry_the_doubt_of_the_count(doubt: str, names: list[str]) -> None:
    rows = a_row("rotation_deg", "T12", 3.0), a_row("disc_height_mm", "T12/L1", 5.0), a_row("cobb_deg", "spine", None)
    section = measures_section(measures(*rows), doubt)
    assert re.findall(r'<th scope="row">(T12[^<]*)</th>', section) == names
    assert "cobb_deg, spine<" in section


def test_definitions_are_folded_on_the_screen_and_open_on_paper() -> None:
    section = measures_section(measures(a_row("rotation_deg", "T12", 3.0)))
    assert section.count("<dd>Def &lt;rotation_deg&gt;. <i>S.</i></dd>") == 2
    assert "slip_mm" not in section  # what is not shown is not explained
    assert section.index("<details>") < section.index('<div class="paper-only">')


def test_the_page_shows_what_is_measured_on_a_labelled_spine() -> None:
    """Three boxes of 26 mm, of which the middle one is 6.5 mm lower in front, by the room of measures itself."""
    column = [
        BoxVertebra(label, (3.0, -8.0, 40.0 * place), anterior_mm=front)
        for label, place, front in ((19, 1, 26.0), (20, 0, 19.5), (21, -1, 26.0))
    ]
    grid = grid_around(column, (1.0, 1.2, 1.5))
    spine = measure_spine(label_volume(column, grid), grid)
    error = KnownError("wedge_ratio", 57, 6, 0.0, -0.1, 0.1, 0.04, 0.9, highest="L1", lowest="L5")
    rows = measure_rows(spine, KnownMeasures({"wedge_ratio": error}), spine, {19: 19, 20: 20, 21: 21})
    values = {"numbering": "sure", **measures_dict(rows, spine, spine)}
    page = render_report(a_case(measures=values))
    wedge = spine.of("wedge_ratio", "L1")
    assert wedge is not None
    assert wedge.value is not None
    assert wedge.value < 0.9
    assert f"<span>Lowest wedge ratio, L1</span><b>{wedge.value:.2f}</b>" in page
    assert "<h3>Levels: discs and slip</h3>" in page


def test_what_lies_beyond_the_compared_levels_is_marked() -> None:
    section = measures_section(
        measures(a_row("height_anterior_mm", "T2", 17.0), a_row("height_anterior_mm", "L1", 25.0, error=FINE))
    )
    assert (cells_of(section, "T2"), cells_of(section, "L1")) == (["17.0†"], ["25.0"])
    assert "† Beyond the levels at which the expected error is known." in section
    assert "The error is not known: do not rely" not in section


def test_without_a_truth_the_usual_value_stands_below() -> None:
    usual = {"mean": 24.63, "sd": 1.84, "n": 40}
    alone = a_row("height_anterior_mm", "L1", 25.0, error=FINE, usual=usual)
    section = measures_section(measures(alone))
    assert cells_of(section, "L1") == ["25.0 usual 24.6 ± 1.8"]
    assert "mean and SD of other people" in section
    compared = measures_section(measures({**alone, "truth": 24.0, "difference": 1.0}, truth=True))
    assert cells_of(compared, "L1") == ["25.0 truth 24.0 (+1.0)"]
    assert "usual 24.6" not in compared
