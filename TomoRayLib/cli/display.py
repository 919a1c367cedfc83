"""Events in the terminal: a bar with the stage while a job runs, then its scores and files, or its error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape as escaped
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from TomoRayLib.anatomy.vertebra_naming import numbering_text
from TomoRayLib.base.files import kept_aside
from TomoRayLib.base.notices import LABELS_NOTICE, NOTICE
from TomoRayLib.base.plain_text import plain
from TomoRayLib.jobs.events import Event, ExitCode, Failed, Finished, Note, StageBegun, Warned


class Display:
    """Shows a job's events: a bar with the stage and the time left, then a table and the files.

    ``option_names`` maps the field of an event to the option that sets it.
    """

    def __init__(self, console: Console, option_names: Mapping[str, str] | None = None) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
        self.console, self.option_names = console, option_names or {}
        self.progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self.task: TaskID | None = None
        self.last: Finished | Failed | None = None
        self._kept_before = len(kept_aside())

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageBegun):
            self._show_stage(event)
        elif isinstance(event, Warned):
            print_sentence(self.progress.console, "[bold red]Warning[/]", self._said(event.text, event.field))
        elif isinstance(event, Note):
            print_sentence(self.progress.console, "[yellow]Note[/]", self._said(event.text, event.field))
        else:
            self.last = event

    def _said(self, text: str, field: str | None) -> str:
        """A sentence with the option that sets ``field`` in brackets at its end, escaped for Rich."""
        option = self.option_names.get(field or "")
        return escaped(f"{text.removesuffix('.')} ({option})." if option else text)

    def _show_stage(self, event: StageBegun) -> None:
        text = escaped(plain(f"{event.stage} ({event.number}/{event.of})"))
        left = "" if event.seconds_left is None else f"about {max(1, round(event.seconds_left))} s left"
        if self.task is None:
            self.task = self.progress.add_task(text, total=event.of, left=left)
        self.progress.update(self.task, description=text, completed=event.number - 1, left=left)

    def close(self) -> None:
        """Show the job's end, once the bar is gone."""
        if isinstance(self.last, Failed) and self.last.code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            how, _, rest = self.last.message.partition(" ")
            print_sentence(self.console, f"[yellow]{how}[/]", escaped(rest))
        elif isinstance(self.last, Failed):
            print_sentence(self.console, "[bold red]Error[/]", self._said(self.last.message, self.last.field))
            if self.last.details:
                print_line(self.console, self.last.details)
        elif self.last is not None:
            _show_result(self.last.values)
            for kept in kept_aside()[self._kept_before :]:
                print_sentence(self.console, "[yellow]Note[/]", escaped(_kept_sentence(kept)))
            if self.last.values.get("suggestion"):
                print_sentence(self.console, "[bold red]Doubt[/]", escaped(self._asked(self.last.values["suggestion"])))

    def _asked(self, suggestion: Mapping[str, Any]) -> str:
        """ "Did you mean ...?" with the options to run again with."""
        changes = [_change(self.option_names.get(name, name), value) for name, value in suggestion["settings"].items()]
        if suggestion["swap"]:
            names = [self.option_names.get(name, name) for name in ("ap", "lateral")]
            changes.append(f"the files of {names[0]} and {names[1]} exchanged")
        return f"{suggestion['question']} Run again with {' and '.join(changes)}."


def _change(option: str, value: bool | int) -> str:
    """How a setting is changed on the command line."""
    if value is False:
        return f"{option} left out"
    return option if value is True else f"{option} {value}"


def _kept_sentence(kept: Path) -> str:
    """What became of a file, link or folder in the way of a result."""
    name, _, _ = kept.name.rpartition(".kept-")
    return f"{name} was there, and is no unchanged result of TomoRay: it is kept as {kept}."


def print_sentence(console: Console, label: str, text: str) -> None:
    """Print a message that is escaped already. Only the terminal wraps it, so that a path can be copied whole."""
    console.print(f"{label} {plain(text)}", highlight=False, soft_wrap=True, emoji=False)


def print_line(console: Console, text: str) -> None:
    """Print a text as it is: no markup, no control characters; only the terminal wraps it."""
    console.print(plain(text, newline=True), markup=False, highlight=False, soft_wrap=True, emoji=False)


def _show_result(values: Mapping[str, Any]) -> None:
    """The scores, the notice and the files of a finished job, on standard output."""
    out = Console()
    if values.get("metrics"):
        out.print(metrics_table(values["metrics"], "∞" if out.encoding.startswith("utf") else "inf"))
    if values.get("summary"):
        out.print(cohort_table(values["summary"], _cases_sentence(values)))
    if values.get("counting"):
        for method, counted in values["counting"].items():
            name = (
                f"{method}: " if len(values.get("summary") or ()) > 3 else ""
            )  # more than one method and two baselines
            print_line(out, f"{name}{counting_text(counted)}")
    if values.get("synthetic"):
        if values.get("vertebrae"):
            names = " ".join(vertebra["name"] for vertebra in values["vertebrae"])
            named = values.get("named_by_you") is not None
            count = numbering_text(values["numbering"], values.get("numbering_certainty"), named)
            print_line(out, f"Vertebrae: {names} (count {count})")
        if values.get("measures"):
            print_line(out, measures_text(values["measures"]))
        out.print(f"[bold]{NOTICE}.[/]")
    elif "vertebrae" in values:
        _show_vertebrae(out, values)
    folder = Path(values["folder"]) if "folder" in values else None
    for name in values["files"]:
        print_line(out, plain(f"  {folder / name if folder else name}"))
    memory = values.get("peak_memory_mb")
    cost = f", peak memory {memory / 1000:.2f} GB" if memory else ""
    out.print(f"{values['seconds']:.1f} s{cost}", highlight=False)


def measures_text(measures: Mapping[str, Any]) -> str:
    """Return the measures that are of use with their errors, and where the others are."""
    said = [
        f"{one['title'].lower()} {one['subject']} {one['synthetic']:.1f} {one['unit']} "
        f"(error {one['low']:+.1f} to {one['high']:+.1f})"
        for one in measures["of_use"]
    ]
    count = f"{measures['too_uncertain']} others" if said else f"all {measures['too_uncertain']}"
    others = f"{count} are too uncertain to be of use: see report.html and measures.csv"
    return f"Measures: {'; '.join([*said, others])}."


def _show_vertebrae(out: Console, values: Mapping[str, Any]) -> None:
    """The vertebrae that ``tomoray segment`` found, and how they agree with given labels."""
    names = ", ".join(vertebra["name"] + ("" if vertebra["whole"] else " (cut)") for vertebra in values["vertebrae"])
    if names:
        print_line(out, f"{names}. Numbering {values['numbering']} ({values['certainty']:.0%}).")
    scores = values["comparison"]
    if scores:
        shifted = f" ({scores['named_up_to_shift']} up to a common shift)" if scores["shift"] else ""
        out.print(
            f"Against the given labels: Dice {scores['dice']:.3f}; whole vertebrae found {scores['found']} of "
            f"{scores['whole']}, named right {scores['named']} of {scores['whole']}{shifted}.",
            highlight=False,
        )
    out.print(f"[bold]{LABELS_NOTICE}.[/]")


def metrics_table(metrics: dict[str, Any], infinity: str = "∞") -> Table:
    """The main scores of ``MetricsTable.to_json_dict``: a dash is undefined, ``infinity`` a perfect or missing one."""
    from TomoRayLib.metrics.scores import MAIN_SCORES, METRIC_COLUMNS

    rows, flags = metrics["rows"], metrics["flags"]
    table = Table("metric", "better", *(Column(_heading(name)) for name in rows))
    endless = {name: set(flags[name]["infinite"]) for name in rows}
    for column in METRIC_COLUMNS:
        if column.key in MAIN_SCORES:
            shown = [
                infinity if column.key in endless[name] else "-" if value is None else column.format(value)
                for name, value in ((name, rows[name][column.key]) for name in rows)
            ]
            table.add_row(column.heading, "higher" if column.higher_is_better else "lower", *shown)
    if any("hd95_mm" in keys for keys in endless.values()):
        table.caption = f"{infinity} mm: no bone predicted"
    return table


def literal(text: str) -> Text:
    """A cell of a table that shows a text as it is: no markup, no control characters."""
    return Text(plain(text, newline=True))


def _heading(name: str) -> Text:
    """The name of a method or a baseline above its column."""
    return literal(plain(name.replace("_", " ")))


def counting_text(counting: Mapping[str, int]) -> str:
    """Vertebrae found and named over a cohort; ``counting`` is that of ``evaluation``'s result event."""
    from TomoRayLib.metrics.vertebra_pooling import PooledCounts
    from TomoRayLib.report.vertebra_section import pooled_sentences

    return pooled_sentences(PooledCounts(**counting))


SIDE_BY_SIDE = 3  # methods and baselines; more leave no room for quartiles and which way is better


def _cases_sentence(values: Mapping[str, Any]) -> str:
    """How many cases the means hold, and what became of the others."""
    count = "1 case" if values["scored"] == 1 else f"{values['scored']} cases"
    parts = [f"{count} scored, {values['failed']} failed"]
    if values["refused"]:
        parts.append(f"{values['refused']} not scored on purpose")
    if values["failed_in_part"]:
        parts.append(f"{values['failed_in_part']} scored without one of the methods")
    return ", ".join(parts)


def cohort_table(summary: dict[str, Any], cases: str) -> Table:
    """Mean ± SD and median (quartiles) of the main scores; ``summary`` is that of ``evaluation``'s result event."""
    from TomoRayLib.metrics.scores import MAIN_SCORES, METRIC_COLUMNS
    from TomoRayLib.metrics.statistics import Statistic
    from TomoRayLib.report.cohort_numbers import mean_and_sd, median_and_quartiles

    rows = {
        name: {key: Statistic.from_json_dict(values) for key, values in metrics.items()}
        for name, metrics in summary.items()
    }
    heads = [Column(_heading(name), overflow="fold") for name in rows]  # no number may be cut off
    own_column = len(rows) <= SIDE_BY_SIDE
    table = Table("metric", *(["better"] if own_column else []), *heads, show_lines=True)
    below = "median (IQR)" if own_column else "median (quartiles are in summary.csv)"
    table.caption = f"mean ± SD, {below}; {cases}"
    for column in METRIC_COLUMNS:
        if column.key in MAIN_SCORES:
            values = [statistics[column.key] for statistics in rows.values()]
            medians = [median_and_quartiles(column, value) for value in values]
            if not own_column:
                medians = [median.partition(" ")[0] for median in medians]
            cells = [f"{mean_and_sd(column, value)}\n{median}" for value, median in zip(values, medians, strict=True)]
            better = "higher" if column.higher_is_better else "lower"
            table.add_row(*([column.heading, better] if own_column else [f"{column.heading}, {better}"]), *cells)
    return table
