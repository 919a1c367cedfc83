"""The HTML page of a cohort: scores over all cases and by subgroup, tests, what has no score, how it was made."""

from __future__ import annotations

import math
from collections.abc import Sequence

from TomoRayLib.metrics.paired import LEAST_PEOPLE
from TomoRayLib.metrics.published import PAPER, TABLE_2
from TomoRayLib.metrics.scores import COLUMN_OF_KEY, MAIN_SCORES, METRIC_KEYS, PAPER_SCORES, MetricColumn
from TomoRayLib.metrics.statistics import EVERYTHING, GAIN_KEY, Statistic, cases_better_than, gain_over
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS
from TomoRayLib.report.cohort_levels import LEVEL_COLUMNS, level_statistics
from TomoRayLib.report.cohort_measures import measures_section
from TomoRayLib.report.cohort_numbers import mean_and_sd, median_and_quartiles
from TomoRayLib.report.cohort_result import CohortResult, shown_row
from TomoRayLib.report.markup import escape
from TomoRayLib.report.page import html_page
from TomoRayLib.report.tables import provenance_table
from TomoRayLib.report.vertebra_section import pooled_sentences

_SSIM_PLANES = tuple(key for key in METRIC_KEYS if key.startswith("ssim_2d_"))
PAGE_KEYS = (*MAIN_SCORES, *_SSIM_PLANES)  # with the planes: papers often give the SSIM of one
GROUP_KEYS = (*PAPER_SCORES, "dice", "hd95_mm", "assd_mm")  # subgroups have few cases
LONGEST_LIST = 100  # reasons on the page; not_scored.csv has all


def summary_page(result: CohortResult, interactive: str = "") -> str:
    """Render the page: scores in the form of the paper's Table 2, subgroups, tests, failures, how it was made.

    ``interactive`` is ready-made HTML (``cohort_explorer``) that comes after the scores.
    """
    subjects = len({score.subject for score in result.scores})
    remarks = " ".join((*result.marked_sentences, *result.remarks))
    opening = (
        f"<h1>{escape(result.title)}</h1>"
        f'<p class="sub">{len(result.scores)} cases of {subjects} people scored, {result.unscored} failed, '
        f"{len(result.refused)} not scored on purpose; files left out: {len(result.left_out)}. {escape(remarks)}</p>"
    )
    scored = bool(result.scores)
    return html_page(
        f"{result.title} \N{EN DASH} TomoRay, cohort",
        [
            opening,
            _main_table(result) if scored else "",
            interactive,
            _group_tables(result) if scored else "",
            _level_table(result) if scored else "",
            _tests(result) if scored else "",
            _paper(result) if scored else "",
            _counts(result),
            measures_section(result) if scored else "",
            _reasons("Cases not scored on purpose", result.refused),
            _reasons("Cases that failed, for all methods or one", result.failed),
            _reasons("Remarks on scored cases", result.case_remarks, "remarks.csv"),
            _reasons("Files left out", result.left_out),
            provenance_table(result.settings),
        ],
    )


def _main_table(result: CohortResult) -> str:
    rows = result.summary[EVERYTHING]
    heads = "".join(f"<th>{escape(shown_row(row))}</th>" for row in rows)
    body = "".join(_main_line(COLUMN_OF_KEY[key], result) for key in PAGE_KEYS)
    return (
        "<h2>Scores</h2>"
        "<p>Every score is shown next to two baselines that use no radiograph: a <b>blank volume</b> without bone and "
        "the <b>mean atlas</b>, the average of the training spines, placed on the true vertebrae. Most of the volume "
        "is empty, so even the blank one reaches a high PSNR and SSIM: a score counts for a method only as far as it "
        f"is better than both.{_gains_sentence(result)}</p>"
        "<div class='wide'><table class='numbers'><caption>"
        "Mean ± SD; below it median (interquartile range), and of methods the 95 % interval of the "
        "mean, by bootstrap over people. ↑ higher is better, ↓ lower is better. "
        f"n = {len(result.summarised)} cases unless stated otherwise; ∞: a surface is missing in a case; – not "
        "defined for the method.</caption>"
        f"<thead><tr><th>Score</th>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
        f"{_better_table(result)}"
    )


def _better_table(result: CohortResult) -> str:
    """In how many cases each method is better than each baseline."""
    heads = "".join(
        f"<th>{escape(shown_row(method))} better than {name}</th>"
        for method in result.methods
        for name in ("blank", "atlas")
    )
    lines = ""
    for column in (COLUMN_OF_KEY[key] for key in PAGE_KEYS):
        cells = ""
        for method in result.methods:
            for other in (BLANK, MEAN_ATLAS):
                won, of = cases_better_than(result.summarised, other, column.key, column.higher_is_better, method)
                cells += f"<td>{f'{won} of {of}' if of else '–'}</td>"
        lines += f'<tr><th scope="row">{escape(column.heading)}</th>{cells}</tr>'
    return (
        "<details><summary>In how many cases a method is better than the baselines</summary><table>"
        f"<thead><tr><th>Score</th>{heads}</tr></thead><tbody>{lines}</tbody></table></details>"
    )


def _main_line(column: MetricColumn, result: CohortResult) -> str:
    arrow = "↑" if column.higher_is_better else "↓"
    cells = ""
    for row, statistics in result.summary[EVERYTHING].items():
        statistic = statistics[column.key]
        count = "" if statistic.n == len(result.summarised) else f"<br>n = {statistic.n}"
        interval = "" if row in (BLANK, MEAN_ATLAS) else _interval(column, statistic)
        cells += (
            f"<td>{mean_and_sd(column, statistic)}<br>{median_and_quartiles(column, statistic)}{interval}{count}</td>"
        )
    return f'<tr><th scope="row">{escape(column.heading)} {arrow}</th>{cells}</tr>'


def _interval(column: MetricColumn, statistic: Statistic) -> str:
    """The 95 % interval as a line of its own; empty if it is not known."""
    if math.isnan(statistic.ci_low):
        return ""
    return f"<br>[{column.format(statistic.ci_low)}, {column.format(statistic.ci_high)}]"


def _gains_sentence(result: CohortResult) -> str:
    """How far each method's PSNR lies above that of each baseline, as sentences; empty without a baseline."""
    column = COLUMN_OF_KEY[GAIN_KEY]
    names = {BLANK: "the blank volume", MEAN_ATLAS: "the mean atlas"}
    sentences = ""
    for method in result.methods:
        gains = {other: gain_over(result.summarised, other, method) for other in names}
        parts = [
            f"{mean_and_sd(column, gain)} dB above that of {names[other]}" for other, gain in gains.items() if gain.n
        ]
        if parts:
            sentences += f" The PSNR of {escape(shown_row(method))} is {' and '.join(parts)}."
    return sentences


def _group_tables(result: CohortResult) -> str:
    """Each method's scores by part of the spine and by facts of the cases; nothing without such groups."""
    groups = [group for group in result.summary if group != EVERYTHING]
    if not groups:
        return ""
    tables = ""
    for method in result.methods:
        lines = ""
        for group in groups:
            rows = result.summary[group]
            if method not in rows:
                continue
            counts = max(rows[method][key].n for key in GROUP_KEYS)
            cells = "".join(f"<td>{mean_and_sd(COLUMN_OF_KEY[key], rows[method][key])}</td>" for key in GROUP_KEYS)
            lines += f'<tr><th scope="row">{escape(group)}</th><td>{counts}</td>{cells}</tr>'
        heads = "".join(f"<th>{escape(COLUMN_OF_KEY[key].heading)}</th>" for key in GROUP_KEYS)
        tables += (
            f"<table><caption>{escape(shown_row(method))}: mean ± SD. A case can show several parts of the spine. "
            "Implants are told by HU near the vertebrae, the plane by the CT's thick slices.</caption>"
            f"<thead><tr><th>Group</th><th>n</th>{heads}</tr></thead><tbody>{lines}</tbody></table>"
        )
    return f"<h2>Subgroups</h2>{tables}"


def _level_table(result: CohortResult) -> str:
    """Dice, distance and centroid of each level, for each method; nothing if vertebrae are not told apart."""
    tables = ""
    for method in result.methods:
        levels = level_statistics(result.summarised, method)
        lines = ""
        for level, found in levels.items():
            cells = "".join(
                f"<td>{mean_and_sd(column, found[key])}<br>{_interval(column, found[key]).removeprefix('<br>')}</td>"
                for key, column in LEVEL_COLUMNS.items()
            )
            lines += f'<tr><th scope="row">{escape(level)}</th><td>{found["dice"].n}</td>{cells}</tr>'
        if lines:
            heads = "".join(f"<th>{escape(column.heading)}</th>" for column in LEVEL_COLUMNS.values())
            tables += (
                f"<table><caption>{escape(shown_row(method))}: mean ± SD, below it the 95 % interval over people. "
                "Vertebrae that the field of view cuts are left out; a vertebra without any predicted bone has Dice 0 "
                "and no error.</caption>"
                f"<thead><tr><th>Level</th><th>n</th>{heads}</tr></thead><tbody>{lines}</tbody></table>"
            )
    return f"<details><summary>Level by level</summary>{tables}</details>" if tables else ""


def _tests(result: CohortResult) -> str:
    """Paired tests of all methods; a sentence if there are too few people for any."""
    if not result.tests:
        return ""
    lines = ""
    for one in result.tests:
        column = COLUMN_OF_KEY[one.metric]
        interval = "" if math.isnan(one.ci_low) else f" [{column.format(one.ci_low)}, {column.format(one.ci_high)}]"
        infinite = f" ({one.infinite} more without a surface)" if one.infinite else ""
        difference = "–" if math.isnan(one.difference) else f"{column.format(one.difference)}{interval}"
        lines += (
            f'<tr><th scope="row">{escape(shown_row(one.first))} minus {escape(shown_row(one.second))}</th>'
            f"<td class='text'>{escape(column.heading)} {'↑' if column.higher_is_better else '↓'}</td>"
            f"<td>{difference}</td><td>{one.better_in} of {one.people}{infinite}</td>"
            f"<td>{_p_text(one.p)}</td><td>{_p_text(one.p_holm)}</td></tr>"
        )
    return (
        "<h2>Paired comparisons</h2><table><caption>Person by person, several cases of one averaged first: mean "
        "difference with its 95 % bootstrap interval; two-sided Wilcoxon signed-rank test, none with fewer than "
        f"{LEAST_PEOPLE} people; last column: corrected by Holm's procedure for the {len(result.tests)} tests of this "
        "table.</caption><thead><tr><th>Rows</th><th class='text'>Score</th><th>Difference</th>"
        "<th>First is better for</th><th>p</th><th>p, corrected</th></tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )


def _paper(result: CohortResult) -> str:
    """Each method next to the paper's Table 2, and whether it is equivalent."""
    rows = result.summary[EVERYTHING]
    heads = "".join(f"<th>Paper, {cohort} (n = {TABLE_2[cohort].n})</th><th>Equivalent?</th>" for cohort in TABLE_2)
    lines = ""
    for method in result.methods:
        for key in PAPER_SCORES:
            column = COLUMN_OF_KEY[key]
            cells = f"<td>{mean_and_sd(column, rows[method][key])}</td>"
            for cohort in TABLE_2:
                theirs = TABLE_2[cohort].scores[key]
                (found,) = (e for e in result.equivalences[method] if e.cohort == cohort and e.metric == key)
                cells += f"<td>{column.format(theirs.mean)} ± {column.format(theirs.sd)}</td>"
                cells += f"<td class='text'>{found.verdict} (margin {found.margin:g})</td>"
            lines += f'<tr><th scope="row">{escape(shown_row(method))}, {escape(column.heading)}</th>{cells}</tr>'
    return (
        "<h2>Next to the paper</h2><table><caption>"
        f"{escape(PAPER)}. Two one-sided tests of 5 % (Welch). The comparison is not of like with like: other people, "
        "an unpublished split, and settings that the paper does not state (field of view, lookup table, data range) "
        "each move these scores by more than the margins. A blank volume on its own reaches an SSIM near the paper's."
        f"</caption><thead><tr><th>Row</th><th>Here</th>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    )


def _p_text(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "&lt; .001" if p < 0.001 else f"{p:.3f}"


def _counts(result: CohortResult) -> str:
    """Vertebrae found and named; nothing of methods that do not tell them apart."""
    lines = ""
    for method in result.methods:
        counted = result.counted_of(method)
        if counted is not None:
            name = f"<b>{escape(shown_row(method))}</b>: " if len(result.methods) > 1 else ""
            lines += f"<p>{name}{escape(pooled_sentences(counted))}</p>"
    return f"<h2>Vertebrae told apart</h2>{lines}" if lines else ""


def _reasons(title: str, items: Sequence[tuple[str, str]], table: str = "not_scored.csv") -> str:
    if not items:
        return ""
    shown = items[:LONGEST_LIST]
    lines = "".join(f"<tr><td>{escape(name)}</td><td class='text'>{escape(reason)}</td></tr>" for name, reason in shown)
    more = "" if len(shown) == len(items) else f"<p>And {len(items) - len(shown)} more, all in {table}.</p>"
    return f"<h2>{title}</h2><table><tbody>{lines}</tbody></table>{more}"
