"""Rows of an earlier run, put beside those of a new one case by case."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import recovered
from TomoRayLib.base.text_files import read_json
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS

RECORDS = "cases"


def check_earlier_run(folder: Path, out: Path) -> None:
    """Raise InputError if a folder holds no results, or is the one that is being written; OutputError if a killed run
    left parts of two in it that cannot be completed."""
    recovered(folder)
    if not (folder / RECORDS).is_dir() or not any((folder / RECORDS).glob("*.json")):
        raise InputError(f"Expected results of an earlier run in {folder}, found none ({folder / RECORDS}).", "against")
    if folder.resolve() == out.resolve():
        raise InputError(
            f"Expected results of another folder to compare with, got {out}, which is written now; choose another "
            "output folder.",
            "against",
        )


def add_earlier_rows(folder: Path, records: Iterable[dict[str, Any]]) -> list[str]:
    """Add the methods' rows of an earlier run to new records, named after its folder.

    Args:
        folder: The earlier run's results.
        records: Records of ``score_case``, which get more rows.

    Returns:
        Sentences on cases that cannot be compared.
    """
    place = folder / RECORDS
    name = folder.resolve().name
    missing, other, same_atlas = [], [], True
    for record in records:
        earlier = _record(place / f"{record['case']}.json")
        if earlier is None:
            missing.append(record["case"])
        elif earlier["truth_sha256"] != record["truth_sha256"]:
            other.append(record["case"])
        else:
            _add(record["metrics"], earlier["metrics"], name)
            own = (record.get("known") or "").split("; ")
            theirs = [one for one in (earlier.get("known") or "").split("; ") if one and one not in own]
            record["known"] = "; ".join([*filter(None, own), *(f"{one} ({name})" for one in theirs)]) or None
            same_atlas &= earlier["metrics"]["rows"].get(MEAN_ATLAS) == record["metrics"]["rows"].get(MEAN_ATLAS)
    sentences = []
    if not same_atlas:
        sentences.append(f"{name}: it was scored beside another mean atlas; the one shown is that of this run.")
    for cases, reason in ((missing, "no record"), (other, "another truth: other settings or labels")):
        if cases:
            more = ", ..." if len(cases) > 3 else ""
            count = "1 case is" if len(cases) == 1 else f"{len(cases)} cases are"
            sentences.append(f"{name}: {count} not compared, {reason} ({', '.join(cases[:3])}{more}).")
    return sentences


def _record(path: Path) -> dict[str, Any] | None:
    """The record of an earlier run; None if there is none, or it is damaged or of an earlier version."""
    try:
        record = read_json(path)
        metrics = record["metrics"]
        rows = set(metrics["rows"])
        whole = rows == set(metrics["flags"]) == set(metrics["per_vertebra"]) and record["truth_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if whole else None


def _add(metrics: dict[str, Any], earlier: dict[str, Any], name: str) -> None:
    """Put the rows of the earlier methods before the baselines."""
    baselines = {row: metrics["rows"].pop(row) for row in (BLANK, MEAN_ATLAS) if row in metrics["rows"]}
    for row, values in earlier["rows"].items():
        if row not in (BLANK, MEAN_ATLAS):
            called = f"{row} ({name})"
            metrics["rows"][called] = values
            for part in ("per_vertebra", "flags"):
                metrics[part][called] = earlier[part][row]
            for part in ("shifts", "countings", "measures"):  # some that not every method has, or not every version
                if row in earlier.get(part, {}):
                    metrics.setdefault(part, {})[called] = earlier[part][row]
    metrics["rows"] |= baselines
