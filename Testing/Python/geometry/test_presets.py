"""Presets: usual machines see the whole cube."""

from __future__ import annotations

import numpy as np
import pytest

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import PRESETS


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_sees_the_whole_256_mm_cube(name: str) -> None:
    pair = PRESETS[name]()
    corners = np.concatenate([Grid.cube((0, 0, 0), 256.0, 192).corners_mm(), np.ones((8, 1))], axis=1)
    for view in (pair.ap, pair.lateral):
        x, y, w = view.projection_matrix() @ corners.T
        assert (x / w).min() >= -0.5
        assert (x / w).max() <= view.detector.columns - 0.5
        assert (y / w).min() >= -0.5
        assert (y / w).max() <= view.detector.rows - 0.5
