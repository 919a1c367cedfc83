"""Measures of a labelled prediction beside the true ones: by place, with what cannot be measured said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.stacked_boxes import BoxVertebra, grid_around, label_volume
from TomoRayLib.evaluation.measured import measured_pairs
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.synthesis.measured_case import LEAST_AGREEMENT, measured_truth

BOXES = [BoxVertebra(20 + number, (3.2, -4.3, 60.3 - 36.0 * number)) for number in range(3)]


@pytest.fixture(scope="module")
def grid() -> Grid:
    return grid_around(BOXES, (1.1, 1.0, 1.2))


@pytest.fixture(scope="module")
def true_labels(grid: Grid) -> np.ndarray:
    return label_volume(BOXES, grid)


def pairs(labels, true_labels, grid, cut=(), spine=None):
    truth = measured_truth(true_labels, grid, cut)
    found = measured_pairs(labels, true_labels, truth, grid, cut, spine)
    return None if found is None else {(one["key"], one["subject"]): one for one in found}


def test_a_lower_vertebra_under_another_number_errs_by_its_height(true_labels, grid) -> None:
    lower = label_volume([replace(box, label=box.label + 2, anterior_mm=20.0) for box in BOXES], grid)
    found = pairs(lower, true_labels, grid)
    for name in ("L1", "L2", "L3"):
        one = found["height_anterior_mm", name]
        assert one["synthetic"] - one["truth"] == pytest.approx(-6.0, abs=1.2)
        assert one["reason"] is None
    assert found["wedge_ratio", "L2"]["synthetic"] == pytest.approx(20 / 26, abs=0.12)


def test_a_missing_vertebra_leaves_a_reason(true_labels, grid) -> None:
    two = np.where(true_labels == 22, 0, true_labels)
    found = pairs(two, true_labels, grid)
    assert found["height_middle_mm", "L3"]["synthetic"] is None
    assert "no vertebra of the synthetic CT lies in this place" in found["height_middle_mm", "L3"]["reason"]
    assert found["height_middle_mm", "L1"]["synthetic"] is not None


def test_cut_vertebrae_of_the_truth_are_no_pairs(true_labels, grid) -> None:
    found = pairs(true_labels, true_labels, grid, cut={20})
    assert ("height_middle_mm", "L1") not in found
    assert ("disc_height_mm", "L1/L2") not in found
    assert ("disc_height_mm", "L2/L3") in found


def test_a_vertebra_that_its_voxels_do_not_agree_on_is_not_measured(true_labels, grid) -> None:
    vertebrae = [
        {"number": 20 + n, "name": f"L{n + 1}", "agreement": LEAST_AGREEMENT - 0.1 if n == 1 else 0.9} for n in range(3)
    ]
    found = pairs(true_labels, true_labels, grid, spine={"vertebrae": vertebrae})
    assert found["height_middle_mm", "L2"]["synthetic"] is None
    assert "unsure" in found["height_middle_mm", "L2"]["reason"]
    assert found["height_middle_mm", "L3"]["synthetic"] == pytest.approx(found["height_middle_mm", "L3"]["truth"])


def test_without_labels_there_are_no_measures(true_labels, grid) -> None:
    assert pairs(None, true_labels, grid) is None
