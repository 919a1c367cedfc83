"""The paper's Table 2 for a cohort, next to the paper's own, as Markdown, CSV and LaTeX."""

from __future__ import annotations

import re

from TomoRayLib.base.plain_text import plain
from TomoRayLib.base.text_formats import csv_text
from TomoRayLib.metrics.published import PAPER, TABLE_2
from TomoRayLib.metrics.scores import COLUMN_OF_KEY, PAPER_SCORES
from TomoRayLib.metrics.statistics import EVERYTHING
from TomoRayLib.report.cohort_numbers import mean_and_sd, median_and_quartiles
from TomoRayLib.report.cohort_result import CohortResult, shown_row

_LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}
_LATEX |= {"±": r"$\pm$", "–": "--", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "∞": r"$\infty$"}


def table_2(result: CohortResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return heading and lines: each row of the cohort, then the paper's cohorts; mean ± SD and median (IQR)."""
    columns = [COLUMN_OF_KEY[key] for key in PAPER_SCORES]
    head = ("row", "n", *(f"{column.heading}, {what}" for column in columns for what in ("mean ± SD", "median (IQR)")))
    lines: list[tuple[str, ...]] = []
    for row, statistics in result.summary.get(EVERYTHING, {}).items():
        cells = []
        for column in columns:
            statistic = statistics[column.key]
            cells += [mean_and_sd(column, statistic), median_and_quartiles(column, statistic)]
        count = max(statistics[column.key].n for column in columns)
        lines.append((shown_row(row), str(count), *cells))
    for cohort, published in TABLE_2.items():
        cells = []
        for column in columns:
            one = published.scores[column.key]
            cells.append(f"{column.format(one.mean)} ± {column.format(one.sd)}")
            cells.append(f"{column.format(one.median)} ({column.format(one.q1)}–{column.format(one.q3)})")
        lines.append((f"Paper, {cohort}", str(published.n), *cells))
    return head, lines


def table_2_csv(result: CohortResult) -> str:
    """The table as CSV."""
    head, lines = table_2(result)
    return csv_text(head, lines)


def table_2_markdown(result: CohortResult) -> str:
    """The table as Markdown, with what it is worth."""
    head, lines = table_2(result)
    rows = [head, ("---",) * len(head), *lines]
    text = "\n".join("| " + " | ".join(_markdown(cell) for cell in row) + " |" for row in rows)
    return f"{text}\n\n{_markdown(_caveat(result))}\n"


def table_2_latex(result: CohortResult) -> str:
    """The table as LaTeX (booktabs)."""
    head, lines = table_2(result)
    body = [" & ".join(_latex(cell) for cell in row) + r" \\" for row in (head, *lines)]
    return "\n".join(
        [
            r"\begin{tabular}{l" + "r" * (len(head) - 1) + "}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
            f"% {plain(_caveat(result))}",
            "",
        ]
    )


def _caveat(result: CohortResult) -> str:
    marks = "".join(f" {sentence}" for sentence in result.marked_sentences)
    return (
        f"Paper: {PAPER}; other people, and settings that it does not state. Compare every row with the blank volume's "
        f"and the mean atlas's.{marks}"
    )


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in plain(text))


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is: no cell ends in it, and it is neither markup nor HTML."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", plain(text)) if text.strip("-") else text
