"""The HTML page of a cohort: scores over all cases and by part of the spine, what has no score, how it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from TomoRayLib.metrics.scores import COLUMN_OF_KEY, MAIN_SCORES, METRIC_KEYS, PAPER_SCORES, MetricColumn
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
from TomoRayLib.metrics.vertebra_pooling import PooledCounts, pool_counts
from TomoRayLib.report.page import html_page
from TomoRayLib.report.tables import NAME_OF_ROW, provenance_table
from TomoRayLib.report.vertebra_section import pooled_sentences

_SSIM_PLANES = tuple(key for key in METRIC_KEYS if key.startswith("ssim_2d_"))
PAGE_KEYS = (*MAIN_SCORES, *_SSIM_PLANES)  # with the planes: papers often give the SSIM of one
REGION_KEYS = (*PAPER_SCORES, "dice", "hd95_mm")  # parts of the spine have few cases
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

    @property
    def summarised(self) -> tuple[CaseScore, ...]:
        """The scores that means are made of: those against given segmentations, or all if there are none of these."""
        return tuple(score for score in self.scores if score.labels_by is None) or self.scores

    @property
    def counted(self) -> PooledCounts | None:
        """Vertebrae found and named, over the cases that means are made of; None if none of them is counted."""
        return pool_counts(score.counted for score in self.summarised)

    def counting_dict(self) -> dict[str, Any]:
        """The same as ``counting`` among JSON-like values; nothing if no case is counted."""
        counted = self.counted
        return {"counting": counted.to_json_dict()} if counted is not None else {}

    @property
    def own_labels_sentence(self) -> str:
        """How many cases are scored against labels by TomoRay, and whether means hold them; empty if none is."""
        own = {score.labels_by for score in self.scores} - {None}
        count = sum(score.labels_by is not None for score in self.scores)
        if not count:
            return ""
        words = f"{count} of {len(self.scores)} cases have no segmentation and are scored against {own.pop()}, "
        if count == len(self.scores):
            return f"{words}which nobody has checked."
        return f"{words}which nobody has checked: they are in cases.csv alone, and in no mean."


def summary_page(result: CohortResult, summary: Summary) -> str:
    """Render the page: the table in the form of the paper's Table 2, parts of the spine, failures, how it was made."""
    subjects = len({score.subject for score in result.scores})
    opening = (
        f"<h1>{escape(result.title)}</h1>"
        f'<p class="sub">TomoRay on a cohort: {len(result.scores)} cases of {subjects} subjects scored, '
        f"{len(result.failed)} failed; files left out: {len(result.left_out)}. {escape(result.own_labels_sentence)}</p>"
    )
    scored = bool(result.scores)
    return html_page(
        f"{result.title} \N{EN DASH} TomoRay, cohort",
        [
            opening,
            _main_table(result.summarised, summary) if scored else "",
            _region_table(summary) if scored else "",
            _counts(result.counted),
            _reasons("Failed cases", result.failed),
            _reasons("Files left out", result.left_out),
            provenance_table(result.settings),
        ],
    )


def mean_and_sd(column: MetricColumn, statistic: Statistic) -> str:
    """``22.21 ± 1.03``, in the metric's decimals; the mean alone if there is no SD."""
    mean = column.format(statistic.mean)
    return mean if math.isnan(statistic.sd) else f"{mean} ± {column.format(statistic.sd)}"


def median_and_quartiles(column: MetricColumn, statistic: Statistic) -> str:
    """``22.42 (21.46–22.80)``: median and interquartile range; the median alone if all values are infinite."""
    if statistic.n == statistic.n_infinite:
        return column.format(statistic.median)
    return f"{column.format(statistic.median)} ({column.format(statistic.q1)}–{column.format(statistic.q3)})"


def _main_table(scores: Sequence[CaseScore], summary: Summary) -> str:
    rows = summary[EVERYTHING]
    heads = "".join(f"<th>{escape(NAME_OF_ROW.get(row, row))}</th>" for row in rows)
    body = "".join(_main_line(COLUMN_OF_KEY[key], scores, rows) for key in PAGE_KEYS)
    gains = _gains_sentence(scores, [other for other in (BLANK, MEAN_ATLAS) if other in rows])
    return (
        "<h2>Scores</h2>"
        "<p>Every score is shown next to two baselines that use no radiograph: a <b>blank volume</b> without bone and "
        "the <b>mean atlas</b>, the average of the training spines, placed on the true vertebrae. Most of the volume "
        "is empty, so even the blank one reaches a high PSNR and SSIM: a score counts for TomoRay only as far as it is "
        f"better than both.{gains}</p>"
        "<table><caption>Mean ± SD; below it median (interquartile range). ↑ higher is better, ↓ lower is better. "
        f"n = {len(scores)} unless stated otherwise; ∞: a surface is missing in a case. 95 % CI: of TomoRay's mean, by "
        "bootstrap over subjects.</caption>"
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
    is_known = not math.isnan(ours.ci_low)
    interval = f"{column.format(ours.ci_low)}–{column.format(ours.ci_high)}" if is_known else "–"
    better = ""
    for other in (BLANK, MEAN_ATLAS):
        won, of = cases_better_than(scores, other, column.key, column.higher_is_better)
        better += f"<td>{f'{won} of {of}' if of else '–'}</td>"
    return f'<tr><th scope="row">{escape(column.heading)} {arrow}</th>{cells}<td>{interval}</td>{better}</tr>'


def _gains_sentence(scores: Sequence[CaseScore], others: Sequence[str]) -> str:
    """How far TomoRay's PSNR lies above that of each baseline, as a sentence; empty without a baseline."""
    column = COLUMN_OF_KEY[GAIN_KEY]
    names = {BLANK: "the blank volume", MEAN_ATLAS: "the mean atlas"}
    parts = [f"{mean_and_sd(column, gain_over(scores, other))} dB above that of {names[other]}" for other in others]
    return f" Here TomoRay's PSNR is {' and '.join(parts)}." if parts else ""


def _region_table(summary: Summary) -> str:
    """TomoRay's scores by part of the spine; nothing if none occurs."""
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


def _counts(counted: PooledCounts | None) -> str:
    """Vertebrae found and named; nothing for a model that does not tell them apart."""
    return f"<h2>Vertebrae told apart</h2><p>{escape(pooled_sentences(counted))}</p>" if counted is not None else ""


def _reasons(title: str, items: Sequence[tuple[str, str]]) -> str:
    if not items:
        return ""
    shown = items[:LONGEST_LIST]
    lines = "".join(f"<tr><td>{escape(name)}</td><td class='text'>{escape(reason)}</td></tr>" for name, reason in shown)
    more = "" if len(shown) == len(items) else f"<p>And {len(items) - len(shown)} more, all in not_scored.csv.</p>"
    return f"<h2>{title}</h2><table><tbody>{lines}</tbody></table>{more}"
