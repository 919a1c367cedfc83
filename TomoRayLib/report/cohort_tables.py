"""The tables of a cohort as files: every case, every vertebra, summary, tests, Table 2, as CSV, JSON, Parquet, HTML."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from TomoRayLib.base.files import write_bytes, write_text
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.base.text_formats import csv_text, json_text
from TomoRayLib.metrics.paired import PairedTest
from TomoRayLib.metrics.scores import COLUMN_OF_KEY, METRIC_KEYS
from TomoRayLib.metrics.statistics import CaseScore, Statistic, Summary, gain_over, rows_of
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS
from TomoRayLib.metrics.vertebra import VertebraRow
from TomoRayLib.report.cohort_explorer import explorer
from TomoRayLib.report.cohort_levels import LEVEL_COLUMNS, level_statistics
from TomoRayLib.report.cohort_measures import agreement_csv, measures_csv
from TomoRayLib.report.cohort_page import summary_page
from TomoRayLib.report.cohort_result import CohortResult
from TomoRayLib.report.table_2 import table_2_csv, table_2_latex, table_2_markdown

TABLE_NAMES = (
    "cases.csv",
    "vertebrae.csv",
    "levels.csv",
    "measures.csv",
    "measures_agreement.csv",
    "comparisons.csv",
    "not_scored.csv",
    "remarks.csv",
    "summary.csv",
    "table2.csv",
    "table2.md",
    "table2.tex",
    "summary.json",
    "summary.html",
)
PARQUET_NAMES = ("cases.parquet", "vertebrae.parquet")  # if pyarrow is there
_STATISTIC_KEYS = tuple(field.name for field in fields(Statistic))
_TEST_KEYS = tuple(field.name for field in fields(PairedTest))
_VERTEBRA_KEYS = tuple(field.name for field in fields(VertebraRow))
_CASE_KEYS = ("case", "subject", "regions", "row", *METRIC_KEYS, "labels_by", "known")


def write_tables(folder: Path, result: CohortResult) -> tuple[str, ...]:
    """Write all tables of a cohort.

    Args:
        folder: An existing folder; ``staged_folder`` makes one whose content appears atomically.
        result: The cohort's scores, failures and settings.

    Returns:
        The names of the files: ``TABLE_NAMES``, then ``PARQUET_NAMES`` if the package pyarrow is installed.

    Raises:
        OSError: If a file cannot be written.
    """
    texts = (
        cases_csv(result.scores),
        vertebrae_csv(result.scores),
        levels_csv(result),
        measures_csv(result.scores),
        agreement_csv(result),
        comparisons_csv(result),
        not_scored_csv(result),
        csv_text(("case", "remark"), [*(("", remark) for remark in result.remarks), *result.case_remarks]),
        summary_csv(result.summary),
        table_2_csv(result),
        table_2_markdown(result),
        table_2_latex(result),
        json_text(summary_json(result)),
        summary_page(result, explorer(result)),
    )
    for name, text in zip(TABLE_NAMES, texts, strict=True):
        write_text(folder / name, text)
    return (*TABLE_NAMES, *_write_parquet(folder, result.scores))


def cases_csv(scores: Sequence[CaseScore]) -> str:
    """One line per case and row, full precision; may hold ``inf`` and ``nan``. Facts of the cases come last."""
    facts = _fact_names(scores)
    lines = [
        [*_case_values(score, row), *(score.facts.get(fact, "") for fact in facts)] for score, row in _each(scores)
    ]
    return csv_text((*_CASE_KEYS, *facts), lines)


def vertebrae_csv(scores: Sequence[CaseScore]) -> str:
    """One line per case, row and vertebra; a value that is undefined or infinite is empty."""
    lines = [
        (score.name, score.subject, row, *(vertebra.get(key) for key in _VERTEBRA_KEYS))
        for score, row in _each(scores)
        for vertebra in score.vertebrae.get(row, ())
    ]
    return csv_text(("case", "subject", "row", *_VERTEBRA_KEYS), lines)


def levels_csv(result: CohortResult) -> str:
    """One line per row, level and score of single vertebrae; see ``level_statistics``."""
    lines = [
        (row, level, key, LEVEL_COLUMNS[key].unit, *(getattr(statistic, name) for name in _STATISTIC_KEYS))
        for row in rows_of(result.summarised)
        for level, found in level_statistics(result.summarised, row).items()
        for key, statistic in found.items()
    ]
    return csv_text(("row", "level", "metric", "unit", *_STATISTIC_KEYS), lines)


def comparisons_csv(result: CohortResult) -> str:
    """One line per pair of rows and metric; see ``metrics.paired``."""
    return csv_text(_TEST_KEYS, [[getattr(one, key) for key in _TEST_KEYS] for one in result.tests])


def not_scored_csv(result: CohortResult) -> str:
    """List what has no score: cases that failed or were refused, and files that belong to no case, with the reason."""
    lines = [("failed", *item) for item in result.failed] + [("refused", *item) for item in result.refused]
    lines += [("left out", *item) for item in result.left_out]
    return csv_text(("what", "name", "reason"), lines)


def summary_csv(summary: Summary) -> str:
    """One line per group (all, parts of the spine, values of facts), row and metric."""
    lines = [
        (group, row, key, COLUMN_OF_KEY[key].unit, *(getattr(statistic, name) for name in _STATISTIC_KEYS))
        for group, rows in summary.items()
        for row, statistics in rows.items()
        for key, statistic in statistics.items()
    ]
    return csv_text(("group", "row", "metric", "unit", *_STATISTIC_KEYS), lines)


def summary_json(result: CohortResult) -> dict[str, Any]:
    """The same for programs; undefined is null, infinite is "inf"."""
    return {
        "notice": NOTICE,
        "title": result.title,
        "n_cases": len(result.summarised),
        "n_subjects": len({score.subject for score in result.summarised}),
        "methods": list(result.methods),
        "cases_with_own_labels": [score.name for score in result.scores if score.labels_by is not None],
        "cases_known": {score.name: score.known for score in result.scores if score.known is not None},
        "statistics": {
            group: {row: {key: s.to_json_dict() for key, s in values.items()} for row, values in rows.items()}
            for group, rows in result.summary.items()
        },
        "psnr_3d_db_above": {
            method: {
                other: gain_over(result.summarised, other, method).to_json_dict()
                for other in rows_of(result.summarised)
                if other in (BLANK, MEAN_ATLAS)
            }
            for method in result.methods
        },
        **result.counting_dict(),
        "tests": [one.to_json_dict() for one in result.tests],
        "next_to_the_paper": {
            method: [one.to_json_dict() for one in found] for method, found in result.equivalences.items()
        }
        if result.summarised
        else {},
        "failed": [{"case": name, "reason": reason} for name, reason in result.failed],
        "left_out": [{"file": name, "reason": reason} for name, reason in result.left_out],
        "remarks": list(result.remarks),
        "settings": result.settings,
    }


def _each(scores: Sequence[CaseScore]) -> list[tuple[CaseScore, str]]:
    """Every case with each of its rows, in printing order."""
    return [(score, row) for score in scores for row in rows_of([score])]


def _case_values(score: CaseScore, row: str) -> tuple[Any, ...]:
    values = (score.rows[row][key] for key in METRIC_KEYS)
    return (score.name, score.subject, " ".join(score.regions), row, *values, score.labels_by or "", score.known or "")


def _fact_names(scores: Sequence[CaseScore]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fact for score in scores for fact in score.facts))


def _write_parquet(folder: Path, scores: Sequence[CaseScore]) -> tuple[str, ...]:
    """Cases and vertebrae as Parquet, with the types of their columns; nothing without pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return ()
    facts = _fact_names(scores)
    of_cases = [(*_case_values(score, row), *(score.facts.get(fact) for fact in facts)) for score, row in _each(scores)]
    of_vertebrae = [
        (score.name, score.subject, row, *(vertebra.get(key) for key in _VERTEBRA_KEYS))
        for score, row in _each(scores)
        for vertebra in score.vertebrae.get(row, ())
    ]
    numbers = set(METRIC_KEYS) | (set(_VERTEBRA_KEYS) - {"label", "name", "touches_edge"})
    types = {"label": pa.int16(), "touches_edge": pa.bool_()} | dict.fromkeys(numbers, pa.float64())
    for name, columns, lines in (
        ("cases.parquet", (*_CASE_KEYS, *facts), of_cases),
        ("vertebrae.parquet", ("case", "subject", "row", *_VERTEBRA_KEYS), of_vertebrae),
    ):
        schema = pa.schema([(column, types.get(column, pa.string())) for column in columns])
        arrays = [pa.array([line[place] for line in lines], field.type) for place, field in enumerate(schema)]
        content = io.BytesIO()
        parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), content)
        write_bytes(folder / name, content.getvalue())
    return PARQUET_NAMES
