"""A CT of one bright blob on a lopsided grid of any direction."""

from __future__ import annotations

import numpy as np

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume

BLOB_MM = (12.0, -25.0, 40.0)  # LPS centre of the bright blob in ``a_ct``


def grid_around(center_mm: tuple[float, float, float], direction: np.ndarray) -> Grid:
    """44 x 61 x 97 voxels of 2 x 1 x 0.5 mm whose middle lies 3, -2, 4 mm off ``center_mm``."""
    size, spacing = (44, 61, 97), np.array((2.0, 1.0, 0.5))
    middle = direction @ (spacing * (np.array(size) - 1) / 2)
    origin = np.add(center_mm, (3.0, -2.0, 4.0)) - middle
    return Grid(size, tuple(spacing), tuple(origin), tuple(direction.ravel()))


def blob_on(grid: Grid, center_mm: tuple[float, float, float], sigma_mm: tuple[float, float, float]) -> np.ndarray:
    """(z, y, x) Gaussian of height 1 around ``center_mm``, with ``sigma_mm`` along LPS x, y, z."""
    k, j, i = np.indices(grid.shape)
    world = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ grid.index_to_world.T
    away = (world[..., :3] - center_mm) / sigma_mm
    return np.exp(-0.5 * (away**2).sum(axis=-1))


def ct_on(grid: Grid) -> Volume:
    """Air at -1000 HU and a blob of 2000 HU above it, different widths along x, y, z, as int16."""
    return Volume(np.rint(blob_on(grid, BLOB_MM, (6.0, 4.0, 3.0)) * 2000 - 1000).astype(np.int16), grid)
