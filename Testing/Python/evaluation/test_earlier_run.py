"""Rows of an earlier run beside those of a new one: named after its folder, with what its methods know."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from TomoRayLib.evaluation.earlier_run import add_earlier_rows


def a_record(case: str, dice: float, atlas_dice: float = 0.4, known: str | None = None) -> dict[str, Any]:
    rows = {"tomoray": {"dice": dice}, "blank": {"dice": 0.0}, "mean_atlas": {"dice": atlas_dice}}
    parts = {row: [] for row in rows}
    counting = {"tomoray": {"counts": {}, "numbering": "sure"}}
    metrics = {"rows": rows, "flags": parts, "per_vertebra": dict(parts), "countings": counting}
    return {"case": case, "truth_sha256": f"of {case}", "known": known, "metrics": metrics}


@pytest.fixture
def before(tmp_path: Path) -> Path:
    folder = tmp_path / "before"
    (folder / "cases").mkdir(parents=True)
    for record in (a_record("a", 0.5, known="geolift-s was chosen on this person"), a_record("b", 0.6)):
        (folder / "cases" / f"{record['case']}.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def test_rows_are_named_after_the_folder_and_stand_before_the_baselines(before: Path) -> None:
    record = a_record("b", 0.7)
    assert add_earlier_rows(before, [record]) == []
    assert list(record["metrics"]["rows"]) == ["tomoray", "tomoray (before)", "blank", "mean_atlas"]
    assert record["metrics"]["rows"]["tomoray (before)"] == {"dice": 0.6}
    assert record["known"] is None


def test_whom_the_earlier_method_knows_is_told_as_its_own(before: Path) -> None:
    """Of another model it is said which run it was; of the same model it is said once."""
    other, same = a_record("a", 0.7, known="theirs was trained on this person"), a_record("a", 0.7)
    same["known"] = "geolift-s was chosen on this person"
    add_earlier_rows(before, [other])
    add_earlier_rows(before, [same])
    assert other["known"] == "theirs was trained on this person; geolift-s was chosen on this person (before)"
    assert same["known"] == "geolift-s was chosen on this person"


def test_what_cannot_be_compared_is_told(before: Path) -> None:
    elsewhere, atlas = a_record("b", 0.7), a_record("a", 0.7, atlas_dice=0.3)
    elsewhere["truth_sha256"] = "another"
    unchanged = deepcopy(elsewhere["metrics"])
    sentences = add_earlier_rows(before, [elsewhere, atlas, a_record("c", 0.7)])
    assert elsewhere["metrics"] == unchanged
    assert sentences == [
        "before: it was scored beside another mean atlas; the one shown is that of this run.",
        "before: 1 case is not compared, no record (c).",
        "before: 1 case is not compared, another truth: other settings or labels (b).",
    ]
