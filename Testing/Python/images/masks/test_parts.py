"""Middles, volumes and new numbers of labels, against scipy and a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.masks.label_maps import renumbered
from TomoRayLib.images.masks.parts import labels_in, parts_of
from TomoRayLib.images.types import Volume

DIRECTION = (0.0, 0.6, -0.8, 1.0, 0.0, 0.0, 0.0, -0.8, -0.6)


def a_map(dtype: str, highest: int) -> Volume:
    """Scattered labels, not contiguous in memory, on an oblique grid of 2 x 1 x 0.5 mm."""
    labels = np.random.default_rng(2).choice([0, 0, 0, 1, 7, highest], size=(9, 8, 12)).astype(dtype)[:, :, ::2]
    return Volume(labels, Grid((6, 8, 9), (2.0, 1.0, 0.5), (10.0, -20.0, 300.0), DIRECTION))


@pytest.mark.parametrize(("dtype", "highest"), [("uint8", 255), ("int16", 300), ("int32", 32767)])
def test_middles_and_volumes_are_those_of_scipy(dtype: str, highest: int) -> None:
    mask = a_map(dtype, highest)
    parts = parts_of(mask)
    assert set(parts) == labels_in(mask.voxels) == {1, 7, highest}
    for label, part in parts.items():
        k, j, i = ndimage.center_of_mass(mask.voxels == label)
        np.testing.assert_allclose(part.middle_mm, (mask.grid.index_to_world @ (i, j, k, 1.0))[:3], atol=1e-9)
        assert part.volume_cm3 == pytest.approx(np.count_nonzero(mask.voxels == label) * 0.001)


def test_booleans_are_one_part_and_nothing_is_none() -> None:
    mask = a_map("uint8", 20)
    assert list(parts_of(Volume(mask.voxels > 0, mask.grid))) == [1]
    assert parts_of(Volume(np.zeros_like(mask.voxels), mask.grid)) == {}
    assert labels_in(np.zeros_like(mask.voxels)) == set()


@pytest.mark.parametrize("dtype", ["bool", "int16", "int32"])
def test_labels_are_exchanged_and_all_others_are_background(dtype: str) -> None:
    voxels = a_map("int16", 300).voxels.astype(dtype)
    if dtype != "bool":
        voxels[0, 0, :2] = (-7, -1)
    meaning = {1: 24, 300: 5, 4000: 3}
    expected = [meaning.get(int(value), 0) for value in voxels.ravel()]
    assert renumbered(voxels, meaning).ravel().tolist() == expected
