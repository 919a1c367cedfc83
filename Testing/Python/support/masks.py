"""A segmentation of slabs, one for each label."""

from __future__ import annotations

import numpy as np

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume


def a_mask(labels: dict[int, slice], dtype: type = np.int16) -> Volume:
    """Labels on slabs of slices of 2 mm; grid 60 x 50 x 60 voxels of 1 x 1.5 x 2 mm."""
    grid = Grid((60, 50, 60), (1.0, 1.5, 2.0), (5.0, -7.0, 11.0))
    voxels = np.zeros(grid.shape, dtype)
    for label, slices in labels.items():
        voxels[slices, 10:40, 20:50] = label
    return Volume(voxels, grid)
