"""The vertebra field of a label map, on an oblique grid of anisotropic voxels."""

from __future__ import annotations

import numpy as np
import pytest

from TomoRayLib.anatomy.vertebra_field import (
    LEVEL_MIDDLE,
    LEVEL_UNIT,
    OFFSET_UNIT_MM,
    level_of_label,
    vertebra_field,
)
from TomoRayLib.geometry.grid import Grid

TURN = np.deg2rad(25.0)
OBLIQUE = (np.cos(TURN), -np.sin(TURN), 0.0, np.sin(TURN), np.cos(TURN), 0.0, 0.0, 0.0, -1.0)
GRID = Grid((14, 9, 21), (1.5, 2.5, 3.0), (-40.0, 12.0, 77.0), OBLIQUE)


def labels() -> np.ndarray:
    """T12 at the first slice, L1 whole, a sacrum."""
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[0:6, 2:5, 3:10] = 19
    voxels[9:14, 3:8, 1:8] = 20
    voxels[17:20, 3:8, 1:8] = 26
    return voxels


def position_mm(k: float, j: float, i: float) -> np.ndarray:
    """The place of an index by its definition, one axis after the other."""
    columns = np.array(OBLIQUE).reshape(3, 3).T
    step = [n * s for n, s in zip((i, j, k), GRID.spacing_mm, strict=True)]
    return np.array(GRID.origin_mm) + sum(s * c for s, c in zip(step, columns, strict=True))


def test_each_voxel_points_at_the_centroid_of_its_vertebra() -> None:
    field, known = vertebra_field(labels(), GRID)
    for k, j, i in ((0, 2, 3), (5, 4, 9), (9, 7, 1)):
        own = labels() == labels()[k, j, i]
        center = np.mean([position_mm(*index) for index in np.argwhere(own)], axis=0)
        assert known[k, j, i]
        assert position_mm(k, j, i) + field[:3, k, j, i] * OFFSET_UNIT_MM == pytest.approx(center, abs=1e-4)


def test_the_level_is_the_number_and_a_half() -> None:
    field, known = vertebra_field(labels(), GRID)
    assert field[3, 10, 4, 2] * LEVEL_UNIT + LEVEL_MIDDLE == pytest.approx(20.5, abs=1e-5)
    assert level_of_label(19) < level_of_label(28) < level_of_label(20)
    assert not known[18, 5, 4]
    assert not field[:, ~known].any()


def test_given_centroids_hold_and_others_have_no_field() -> None:
    field, known = vertebra_field(labels(), GRID, {20: np.array([1.0, 2.0, 3.0])})
    assert known.sum() == (labels() == 20).sum()
    assert position_mm(9, 3, 1) + field[:3, 9, 3, 1] * OFFSET_UNIT_MM == pytest.approx([1.0, 2.0, 3.0], abs=1e-4)
