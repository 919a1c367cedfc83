"""Presets: usual machines see the whole cube."""

from __future__ import annotations

import pytest

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import PRESETS


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_sees_the_whole_256_mm_cube(name: str) -> None:
    pair = PRESETS[name]()
    corners_mm = Grid.cube((0, 0, 0), 256.0, 192).corners_mm()
    for view in (pair.ap, pair.lateral):
        x, y = view.project_points(corners_mm).T
        assert x.min() >= -0.5
        assert x.max() <= view.detector.columns - 0.5
        assert y.min() >= -0.5
        assert y.max() <= view.detector.rows - 0.5
