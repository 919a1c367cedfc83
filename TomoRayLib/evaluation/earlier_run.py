"""Rows of an earlier run, put beside those of a new one case by case."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS

RECORDS = "cases"
SAME_DB = 1e-6  # the blank volume's PSNR tells whether both runs have one truth


def add_earlier_rows(folder: Path, records: Iterable[dict[str, Any]]) -> list[str]:
    """Add the methods' rows of an earlier run to new records, named after its folder.

    Args:
        folder: The earlier run's results.
        records: Records of ``score_case``, which get more rows.

    Returns:
        Sentences on cases that cannot be compared.

    Raises:
        InputError: If the folder holds no results.
    """
    place = folder / RECORDS
    if not place.is_dir():
        raise InputError(f"Expected results of an earlier run in {folder}, found none ({place}).", "against")
    name = folder.resolve().name
    missing, other = [], []
    for record in records:
        earlier = _record(place / f"{record['case']}.json")
        if earlier is None:
            missing.append(record["case"])
        elif not _have_one_truth(record, earlier):
            other.append(record["case"])
        else:
            _add(record["metrics"], earlier["metrics"], name)
    sentences = []
    for cases, reason in ((missing, "no record"), (other, "another truth: other settings, labels or code")):
        if cases:
            more = ", ..." if len(cases) > 3 else ""
            sentences.append(f"{name}: {len(cases)} cases are not compared, {reason} ({', '.join(cases[:3])}{more}).")
    return sentences


def _record(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["metrics"]["rows"][BLANK]["psnr_3d_db"], record["metrics"]["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if isinstance(record, dict) else None


def _have_one_truth(one: dict[str, Any], other: dict[str, Any]) -> bool:
    blank, before = (record["metrics"]["rows"][BLANK]["psnr_3d_db"] for record in (one, other))
    same_settings = one["metrics"]["settings"] == other["metrics"]["settings"]
    return same_settings and math.isclose(blank or 0.0, before or 0.0, abs_tol=SAME_DB)


def _add(metrics: dict[str, Any], earlier: dict[str, Any], name: str) -> None:
    """Put the rows of the earlier methods before the baselines."""
    baselines = {row: metrics["rows"].pop(row) for row in (BLANK, MEAN_ATLAS) if row in metrics["rows"]}
    for row, values in earlier["rows"].items():
        if row not in (BLANK, MEAN_ATLAS):
            called = f"{row} ({name})"
            metrics["rows"][called] = values
            for part in ("per_vertebra", "flags"):
                metrics[part][called] = earlier[part][row]
            if row in earlier.get("countings", {}):
                metrics["countings"][called] = earlier["countings"][row]
    metrics["rows"] |= baselines
