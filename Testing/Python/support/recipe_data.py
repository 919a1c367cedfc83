"""Small labelled CTs of random HU, for atlas, lookup table and publishing."""

from __future__ import annotations

import numpy as np

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume


def a_labelled_ct(seed: int, middle_hu: float, size: int = 16) -> tuple[Volume, Volume]:
    grid = Grid((size, size, size), (2.0, 2.0, 2.0), (10.0, 20.0, 30.0))
    labels = np.zeros(grid.shape, np.int16)
    labels[3:13, 3:13, 3:13], labels[:3] = 20, 26
    hu = np.random.default_rng(seed).normal(middle_hu, 150.0, grid.shape)
    return Volume(np.round(np.where(labels == 20, hu, -2000)).astype(np.int16), grid), Volume(labels, grid)
