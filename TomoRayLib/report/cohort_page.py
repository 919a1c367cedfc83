"""The HTML page of a cohort: scores over all cases and by part of the spine, what has no score, how it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from TomoRayLib.metrics.scores import COLUMN_OF_KEY, MAIN_SCORES, METRIC_KEYS, MetricColumn
from TomoRayLib.metrics.statistics import (
    EVERYTHING,
    GAIN_KEY,
    MODEL_ROW,
    CaseScore,
    Statistic,
    Summary,
    cases_better_than,
    gain_over,
)
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS
from TomoRayLib.report.page import html_page
from TomoRayLib.report.tables import NAME_OF_ROW, provenance_table

_SSIM_PLANES = tuple(key for key in METRIC_KEYS if key.startswith("ssim_2d_"))
PAGE_KEYS = (*MAIN_SCORES, *_SSIM_PLANES)  # with the planes: papers often give the SSIM of one
REGION_KEYS = MAIN_SCORES[:5]  # the paper's, Dice and HD95: parts of the spine have few cases
LONGEST_LIST = 100  # reasons on the page; not_scored.csv has all


@dataclass(frozen=True)
class CohortResult:
    """Everything a cohort's tables show. ``failed`` holds (case, reason), ``left_out`` (file, reason); ``settings`` is
    JSON-like and says how the scores were made."""

    title: str
    scores: tuple[CaseScore, ...]
    failed: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...]
    settings: Mapping[str, Any]


def summary_page(result: CohortResult, summary: Summary) -> str:
    """The page: the table in the manner of the paper's Table 2, parts of the spine, what failed, how it was made."""
    subjects = len({score.subject for score in result.scores})
    opening = (
        f"<h1>{escape(result.title)}</h1>"
        f'<p class="sub">TomoRay on a cohort: {len(result.scores)} cases of {subjects} subjects scored, '
        f"{len(result.failed)} failed, {len(result.left_out)} files left out.</p>"
    )
    scored = bool(result.scores)
    return html_page(
        f"{result.title} \N{EN DASH} TomoRay, cohort",
        [
            opening,
            _main_table(result.scores, summary) if scored else "",
            _region_table(summary) if scored else "",
            _reasons("Failed cases", result.failed),
            _reasons("Files left out", result.left_out),
            provenance_table(result.settings),
        ],
    )


def mean_and_sd(column: MetricColumn, statistic: Statistic) -> str:
    """``22.21 ± 1.03``, in the metric's decimals; the mean alone where there is no SD."""
    mean = column.format(statistic.mean)
    return mean if math.isnan(statistic.sd) else f"{mean} ± {column.format(statistic.sd)}"


def median_and_quartiles(column: MetricColumn, statistic: Statistic) -> str:
    """``22.42 (21.46–22.80)``: median and interquartile range; the median alone where all are infinite."""
    if statistic.n == statistic.n_infinite:
        return column.format(statistic.median)
    return f"{column.format(statistic.median)} ({column.format(statistic.q1)}–{column.format(statistic.q3)})"


def _main_table(scores: Sequence[CaseScore], summary: Summary) -> str:
    rows = summary[EVERYTHING]
    heads = "".join(f"<th>{escape(NAME_OF_ROW.get(row, row))}</th>" for row in rows)
    body = "".join(_main_line(COLUMN_OF_KEY[key], scores, rows) for key in PAGE_KEYS)
    gains = "".join(_gain_sentence(scores, other) for other in (BLANK, MEAN_ATLAS) if other in rows)
    return (
        "<h2>Scores</h2>"
        "<p>Most of the volume is empty, so an <b>empty volume</b> already reaches a high PSNR and SSIM, and the "
        "<b>mean atlas</b> (the average of the training spines, placed on the true vertebrae) needs no radiograph: a "
        f"score speaks for TomoRay only as far as it is better than both.{gains}</p>"
        "<table><caption>Mean ± SD; below it median (interquartile range). ↑ higher is better, ↓ lower is better. "
        f"n = {len(scores)} where nothing else is said; ∞: a case in which a surface is missing. 95 % CI: of TomoRay's "
        "mean, by bootstrap over subjects.</caption>"
        f"<thead><tr><th>Score</th>{heads}<th>95 % CI</th><th>Better than blank in</th>"
        "<th>Better than the atlas in</th></tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _main_line(column: MetricColumn, scores: Sequence[CaseScore], rows: Mapping[str, Mapping[str, Statistic]]) -> str:
    arrow = "↑" if column.higher_is_better else "↓"
    cells = ""
    for statistics in rows.values():
        statistic = statistics[column.key]
        count = "" if statistic.n == len(scores) else f"<br>n = {statistic.n}"
        cells += f"<td>{mean_and_sd(column, statistic)}<br>{median_and_quartiles(column, statistic)}{count}</td>"
    ours = rows[MODEL_ROW][column.key]
    interval = f"{column.format(ours.ci_low)}–{column.format(ours.ci_high)}"
    better = ""
    for other in (BLANK, MEAN_ATLAS):
        won, of = cases_better_than(scores, other, column.key, column.higher_is_better)
        better += f"<td>{f'{won} of {of}' if of else '–'}</td>"
    return f'<tr><th scope="row">{escape(column.heading)} {arrow}</th>{cells}<td>{interval}</td>{better}</tr>'


def _gain_sentence(scores: Sequence[CaseScore], other: str) -> str:
    gain, column = gain_over(scores, other), COLUMN_OF_KEY[GAIN_KEY]
    name = {BLANK: "the empty volume", MEAN_ATLAS: "the mean atlas"}[other]
    return f" Here its PSNR lies {mean_and_sd(column, gain)} dB above that of {name}."


def _region_table(summary: Summary) -> str:
    """TomoRay's scores by part of the spine; nothing where no part occurs."""
    regions = {group: rows[MODEL_ROW] for group, rows in summary.items() if group != EVERYTHING}
    if not regions:
        return ""
    heads = "".join(f"<th>{region}, n = {rows[REGION_KEYS[0]].n}</th>" for region, rows in regions.items())
    body = ""
    for key in REGION_KEYS:
        column = COLUMN_OF_KEY[key]
        cells = "".join(f"<td>{mean_and_sd(column, rows[key])}</td>" for rows in regions.values())
        body += f'<tr><th scope="row">{escape(column.heading)}</th>{cells}</tr>'
    return (
        "<h2>By part of the spine</h2><table><caption>Mean ± SD of TomoRay over the cases that show a vertebra of that "
        f"part; a case can show several.</caption><thead><tr><th>Score</th>{heads}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _reasons(title: str, items: Sequence[tuple[str, str]]) -> str:
    if not items:
        return ""
    shown = items[:LONGEST_LIST]
    lines = "".join(f"<tr><td>{escape(name)}</td><td class='text'>{escape(reason)}</td></tr>" for name, reason in shown)
    more = "" if len(shown) == len(items) else f"<p>And {len(items) - len(shown)} more, all in not_scored.csv.</p>"
    return f"<h2>{title}</h2><table><tbody>{lines}</tbody></table>{more}"
