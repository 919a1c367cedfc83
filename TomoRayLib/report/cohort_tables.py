"""The tables of a cohort as files: every case, every vertebra, the summary as CSV, JSON and an HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from TomoRayLib.base.notices import NOTICE
from TomoRayLib.base.text_formats import csv_text, json_text
from TomoRayLib.metrics.scores import COLUMN_OF_KEY, METRIC_KEYS
from TomoRayLib.metrics.statistics import MODEL_ROW, CaseScore, Statistic, Summary, gain_over, rows_of, summarise
from TomoRayLib.metrics.vertebra import VertebraRow
from TomoRayLib.report.cohort_page import CohortResult, summary_page

TABLE_NAMES = ("cases.csv", "vertebrae.csv", "not_scored.csv", "summary.csv", "summary.json", "summary.html")
_STATISTIC_KEYS = tuple(field.name for field in fields(Statistic))


def write_tables(folder: Path, result: CohortResult) -> None:
    """Write all tables of a cohort, under ``TABLE_NAMES``.

    Args:
        folder: An existing folder; ``staged_folder`` makes one whose content appears atomically.
        result: The cohort's scores, failures and settings.

    Raises:
        OSError: If a file cannot be written.
    """
    summary = summarise(result.summarised)
    texts = (
        cases_csv(result.scores),
        vertebrae_csv(result.scores),
        not_scored_csv(result),
        summary_csv(summary),
        json_text(summary_json(result, summary)),
        summary_page(result, summary),
    )
    for name, text in zip(TABLE_NAMES, texts, strict=True):
        (folder / name).write_text(text, encoding="utf-8")


def cases_csv(scores: Sequence[CaseScore]) -> str:
    """One line per case and row, full precision; may hold ``inf`` and ``nan``."""
    lines = [
        (
            score.name,
            score.subject,
            " ".join(score.regions),
            row,
            *(score.rows[row][key] for key in METRIC_KEYS),
            score.labels_by or "",
        )
        for score in scores
        for row in rows_of([score])
    ]
    return csv_text(("case", "subject", "regions", "row", *METRIC_KEYS, "labels_by"), lines)


def vertebrae_csv(scores: Sequence[CaseScore]) -> str:
    """One line per case, row and vertebra; a value that is undefined or infinite is empty."""
    keys = tuple(field.name for field in fields(VertebraRow))
    lines = [
        (score.name, score.subject, row, *(vertebra[key] for key in keys))
        for score in scores
        for row in rows_of([score])
        for vertebra in score.vertebrae.get(row, ())
    ]
    return csv_text(("case", "subject", "row", *keys), lines)


def not_scored_csv(result: CohortResult) -> str:
    """List what has no score: cases that failed, and files that do not belong to a case, with the reason."""
    lines = [("failed", *item) for item in result.failed] + [("left out", *item) for item in result.left_out]
    return csv_text(("what", "name", "reason"), lines)


def summary_csv(summary: Summary) -> str:
    """One line per group (all, parts of the spine), row and metric."""
    lines = [
        (group, row, key, COLUMN_OF_KEY[key].unit, *(getattr(statistic, name) for name in _STATISTIC_KEYS))
        for group, rows in summary.items()
        for row, statistics in rows.items()
        for key, statistic in statistics.items()
    ]
    return csv_text(("group", "row", "metric", "unit", *_STATISTIC_KEYS), lines)


def summary_json(result: CohortResult, summary: Summary) -> dict[str, Any]:
    """The same for programs; undefined is null, infinite is "inf"."""
    return {
        "notice": NOTICE,
        "title": result.title,
        "n_cases": len(result.summarised),
        "n_subjects": len({score.subject for score in result.summarised}),
        "cases_with_own_labels": [score.name for score in result.scores if score.labels_by is not None],
        "statistics": {
            group: {row: {key: s.to_json_dict() for key, s in values.items()} for row, values in rows.items()}
            for group, rows in summary.items()
        },
        "psnr_3d_db_above": {
            other: gain_over(result.summarised, other).to_json_dict()
            for other in rows_of(result.summarised)
            if other != MODEL_ROW
        },
        **result.counting_dict(),
        "failed": [{"case": name, "reason": reason} for name, reason in result.failed],
        "left_out": [{"file": name, "reason": reason} for name, reason in result.left_out],
        "settings": result.settings,
    }
