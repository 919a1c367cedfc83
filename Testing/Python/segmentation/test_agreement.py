"""Agreement of found labels with given ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from support.labelled_cts import a_labelled_ct
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import labels_on_grid
from TomoRayLib.images.types import Volume
from TomoRayLib.segmentation.agreement import agreement, labels_at_ends


def test_labels_agree_with_themselves() -> None:
    _, labels = a_labelled_ct()
    found = agreement(labels, labels)
    assert found is not None
    assert found.dice == 1.0
    assert (found.counts.whole, found.counts.found, found.counts.named) == (4, 4, 4)
    assert found.dice_by_name == {"L1": 1.0, "L2": 1.0, "L3": 1.0, "L4": 1.0}
    assert json.loads(json.dumps(found.to_json_dict()))["named"] == 4


def test_a_shifted_numbering_has_the_shape_and_not_the_names() -> None:
    _, labels = a_labelled_ct()
    found = agreement(Volume(np.where(labels.voxels, labels.voxels - 1, 0), labels.grid), labels)
    assert found is not None
    assert found.dice == 1.0
    assert (found.counts.named, found.counts.named_up_to_shift, found.counts.shift) == (0, 4, -1)
    assert found.dice_by_name["L1"] == 0.0


def test_a_missing_vertebra_is_missed() -> None:
    _, labels = a_labelled_ct()
    found = agreement(Volume(np.where(labels.voxels == 21, 0, labels.voxels), labels.grid), labels)
    assert found is not None
    assert found.counts.found == 3
    assert 0.8 < found.dice < 0.9


def test_an_oblique_grid_whose_k_runs_sideways_is_compared_along_the_body() -> None:
    """The last slices along z cut L4; along k, which runs to the patient's left, nothing is cut."""
    _, labels = a_labelled_ct()
    angle = np.deg2rad(5.0)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    direction = turn @ np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # i to P, j to S, k to L
    origin = (-40.0, -75.0, 122.0)
    oblique = labels_on_grid(labels, Grid((40, 70, 60), (1.5, 2.0, 2.5), origin, tuple(direction.ravel())))
    assert labels_at_ends(oblique) == {23}
    found = agreement(oblique, oblique)
    assert found is not None
    assert found.dice == 1.0
    assert (found.counts.whole, found.counts.named) == (3, 3)


def test_what_touches_the_border_of_a_cropped_ct_is_cut() -> None:
    _, labels = a_labelled_ct()
    middle = Volume(labels.voxels[20:55], labels.grid.part((0, 0, 20), (60, 50, 55)))
    assert labels_at_ends(middle) == {20, 23}
    found = agreement(middle, middle)
    assert found is not None
    assert found.counts.whole == 2


def test_without_given_vertebrae_there_is_nothing_to_say_and_a_whole_spine_has_a_dice_alone() -> None:
    _, labels = a_labelled_ct()
    nothing = Volume(np.zeros_like(labels.voxels), labels.grid)
    assert agreement(labels, nothing) is None
    spine = agreement(labels, Volume(np.where(labels.voxels, 255, 0), labels.grid))
    assert spine is not None
    assert (spine.dice, spine.counts.whole, spine.dice_by_name) == (1.0, 0, {})
    missed = agreement(nothing, labels)
    assert missed is not None
    assert missed.dice == pytest.approx(0.0)
