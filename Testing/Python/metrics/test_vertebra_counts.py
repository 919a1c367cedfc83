"""Vertebrae found, named right, and named right up to a common shift."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from TomoRayLib.metrics.vertebra_counts import centroids_mm, count_vertebrae, labels_cut_by_ends

SPACING_MM = (2.0, 1.0, 0.5)  # x, y, z
SHAPE = (240, 40, 20)  # z, y, x: 120 x 40 x 40 mm


def blocks(labels: Mapping[int, int], offset: tuple[int, int, int] = (0, 0, 0), height: int = 20) -> NDArray[Any]:
    """Labels on ``SHAPE``: each number a block of ``height`` voxels (10 mm) that begins at its z index."""
    volume = np.zeros(SHAPE, np.uint8)
    z, y, x = offset
    for label, first in labels.items():
        volume[first + z : first + z + height, 10 + y : 25 + y, 4 + x : 12 + x] = label
    return volume


TRUTH = {24: 10, 23: 50, 22: 90, 21: 130, 20: 170}  # L5 up to L1, 20 mm apart


def test_the_truth_itself_is_found_and_named_throughout() -> None:
    counts = count_vertebrae(blocks(TRUTH), blocks(TRUTH), SPACING_MM)
    assert counts.to_json_dict() == {
        "whole": 5,
        "found": 5,
        "named": 5,
        "named_up_to_shift": 5,
        "extra": 0,
        "shift": 0,
    }
    assert counts.found_share == counts.named_share == counts.named_up_to_shift_share == 1.0


def test_numbers_that_are_all_one_too_low_are_right_up_to_a_shift_alone() -> None:
    counted_from_the_wrong_end = {label - 1: first for label, first in TRUTH.items()}  # L4, L3, L2, L1, T12
    counts = count_vertebrae(blocks(counted_from_the_wrong_end), blocks(TRUTH), SPACING_MM)
    assert (counts.found, counts.named, counts.named_up_to_shift, counts.shift) == (5, 0, 5, -1)


def test_a_skipped_number_splits_the_column_into_what_each_shift_explains() -> None:
    skipped = {24: 10, 23: 50, 22: 90, 20: 130, 19: 170}
    counts = count_vertebrae(blocks(skipped), blocks(TRUTH), SPACING_MM)
    assert (counts.named, counts.named_up_to_shift, counts.shift) == (3, 3, 0)


@pytest.mark.parametrize(
    ("offset_zyx", "found"),
    [((18, 0, 0), 5), ((0, 9, 0), 5), ((0, 0, 4), 5), ((18, 5, 0), 0), ((0, 7, 4), 0)],
)
def test_the_limit_is_10_mm_whatever_the_axis(offset_zyx: tuple[int, int, int], found: int) -> None:
    """18 voxels along z are 9 mm, 9 along y are 9 mm, 4 along x are 8 mm; the last two are 10.3 and 10.6 mm away."""
    counts = count_vertebrae(blocks(TRUTH, offset_zyx), blocks(TRUTH), SPACING_MM)
    assert counts.found == found
    assert counts.extra == 5 - found


def test_one_predicted_vertebra_over_two_true_ones_finds_neither() -> None:
    """Its centroid lies between two centroids 20 mm apart, 10 mm from each and a little more."""
    merged = {24: 10, 21: 130, 20: 170}
    prediction = blocks(merged)
    prediction[50:110, 12:27, 4:12] = 23  # as high as both, 2 mm behind
    counts = count_vertebrae(prediction, blocks(TRUTH), SPACING_MM)
    assert (counts.found, counts.named, counts.extra) == (3, 3, 1)


def test_each_predicted_vertebra_serves_one_true_vertebra() -> None:
    truth = blocks({21: 10, 20: 26}, height=10)  # centroids 8 mm apart
    counts = count_vertebrae(blocks({20: 20}, height=10), truth, SPACING_MM)
    assert (counts.whole, counts.found, counts.named) == (2, 1, 1)


def test_cut_vertebrae_are_not_counted_and_no_error_if_predicted() -> None:
    truth = blocks({24: 0, 23: 50, 22: 90, 21: 220})
    counts = count_vertebrae(truth, truth, SPACING_MM, cut=(22,))
    assert (counts.whole, counts.found, counts.extra) == (1, 1, 0)
    assert labels_cut_by_ends(truth) == {24, 21}


def test_a_vertebra_cut_at_the_side_of_a_slab_is_still_whole() -> None:
    truth = np.zeros(SHAPE, np.uint8)
    truth[50:70, 10:25, :] = 22
    assert count_vertebrae(truth, truth, SPACING_MM).whole == 1


def test_a_thirteenth_thoracic_vertebra_is_right_under_its_own_name_alone() -> None:
    truth, prediction = blocks({20: 10, 28: 50, 19: 90}), blocks({21: 10, 20: 50, 19: 90})
    assert count_vertebrae(truth, truth, SPACING_MM).named_up_to_shift == 3
    counts = count_vertebrae(prediction, truth, SPACING_MM)
    assert (counts.found, counts.named, counts.named_up_to_shift, counts.shift) == (3, 1, 1, 0)


def test_nothing_predicted_finds_nothing_and_nothing_true_has_no_share() -> None:
    nothing = np.zeros(SHAPE, np.uint8)
    counts = count_vertebrae(nothing, blocks(TRUTH), SPACING_MM)
    assert (counts.found, counts.named_up_to_shift, counts.shift) == (0, 0, 0)
    assert counts.found_share == 0.0
    assert math.isnan(count_vertebrae(nothing, nothing, SPACING_MM).found_share)


def test_centroids_are_in_mm_and_leave_sacrum_out() -> None:
    volume = blocks({20: 10})
    volume[100:110, 5:9, 2:4] = 26
    assert {label: tuple(place) for label, place in centroids_mm(volume, SPACING_MM).items()} == {
        20: (19.5 * 0.5, 17.0 * 1.0, 7.5 * 2.0)
    }


def test_wrong_shapes_and_limits_are_refused() -> None:
    with pytest.raises(ValueError, match=r"truth's shape \(z, y, x\)"):
        count_vertebrae(np.zeros((2, 3, 4), np.uint8), blocks(TRUTH), SPACING_MM)
    with pytest.raises(ValueError, match="limit_mm must be above 0; got 0"):
        count_vertebrae(blocks(TRUTH), blocks(TRUTH), SPACING_MM, limit_mm=0)
