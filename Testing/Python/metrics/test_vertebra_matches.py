"""What a labelled prediction has in each true vertebra's place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from TomoRayLib.metrics.vertebra_matches import match_vertebrae

SPACING_MM = (2.0, 1.5, 0.5)  # x, y, z


def column(labels: Mapping[int, int], x: int = 4) -> NDArray[np.uint8]:
    """Labels (z, y, x): each number a block, 10 mm high, that begins at its z index."""
    volume = np.zeros((240, 30, 24), np.uint8)
    for label, first in labels.items():
        volume[first : first + 20, 8:20, x : x + 8] = label
    return volume


TRUTH = {24: 0, 23: 50, 22: 100, 21: 150, 20: 200}  # L5, cut, up to L1, 25 mm apart


def test_each_true_vertebra_has_a_row_from_cranial_to_caudal() -> None:
    matched = match_vertebrae(column({23: 2, 22: 54, 21: 100, 12: 205}), column(TRUTH), SPACING_MM)
    assert matched is not None
    rows = {row.name: row for row in matched.rows}
    assert list(rows) == ["L1", "L2", "L3", "L4", "L5"]
    assert [rows[name].found_as for name in rows] == [12, None, 21, 22, 23]
    assert [rows[name].distance_mm for name in rows] == [2.5, None, 0.0, 2.0, 1.0]
    assert not any(row.named for row in matched.rows)
    assert [row.named_up_to_shift for row in matched.rows] == [False, False, True, True, True]
    assert [row.whole for row in matched.rows] == [True, True, True, True, False]
    assert matched.counts.to_json_dict() == {
        "whole": 4,
        "found": 3,
        "named": 0,
        "named_up_to_shift": 2,
        "extra": 0,
        "shift": -1,
    }


def test_what_lies_aside_is_not_found() -> None:
    matched = match_vertebrae(column(TRUTH, x=10), column(TRUTH), SPACING_MM)  # 12 mm to the left
    assert matched is not None
    assert [row.found for row in matched.rows] == [False] * 5
    assert matched.counts.extra == 5


def test_a_truth_that_tells_no_vertebrae_apart_has_no_match() -> None:
    assert match_vertebrae(column(TRUTH), np.where(column(TRUTH) > 0, 255, 0).astype(np.uint8), SPACING_MM) is None


def test_t13_is_right_under_its_own_name_alone() -> None:
    matched = match_vertebrae(column({28: 50, 22: 100}), column({28: 50, 21: 100}), SPACING_MM)
    assert matched is not None
    assert [(row.name, row.named, row.named_up_to_shift) for row in matched.rows] == [
        ("T13", True, True),
        ("L2", False, False),
    ]
    with pytest.raises(ValueError, match="shape"):
        match_vertebrae(column({28: 50})[:-1], column({28: 50}), SPACING_MM)
