"""Boxes around volumes, and the dilation of masks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from TomoRayLib.geometry.masks import bounding_box, dilated_by, support_of

SHAPE = (9, 14, 11)  # (z, y, x)


def scattered(seed: int, share: float) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPE) < share


@pytest.mark.parametrize("voxels", [0, 1, 2.5, 3, 20])
def test_dilation_reaches_all_centres_within_the_radius(voxels: float) -> None:
    mask = scattered(1, 0.004)
    mask[0, 13, 10] = True  # a corner
    np.testing.assert_array_equal(dilated_by(mask, voxels), ndimage.distance_transform_edt(~mask) <= voxels)


def test_the_support_is_the_box_and_the_slices_that_are_not_zero() -> None:
    volume = np.zeros(SHAPE, dtype=np.float32)
    volume[2, 5, 4], volume[6, 3, 9] = -0.5, 1e-30
    support = support_of(volume)
    assert support.box == bounding_box(volume != 0) == (slice(2, 7), slice(3, 6), slice(4, 10))
    assert [np.flatnonzero(shown).tolist() for shown in support.slices] == [[2, 6], [3, 5], [4, 9]]


def test_an_empty_volume_has_no_support() -> None:
    support = support_of(np.zeros(SHAPE))
    assert support.box is None
    assert not any(shown.any() for shown in support.slices)
