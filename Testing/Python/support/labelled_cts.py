"""A small CT with a column of labelled vertebrae, in memory and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume

COLUMN_MM = (31.0, -52.0)  # LPS x, y of the column of vertebrae


Z_OF_L1_MM, HEIGHT_MM = 210.0, 30.0


def a_labelled_ct(labels: tuple[int, ...] = (20, 21, 22, 23), direction_x: float = 1.0) -> tuple[Volume, Volume]:
    """A block of tissue with a column of vertebrae (700 HU), a knob of bone to the left of the uppermost one."""
    size, spacing = (60, 50, 70), (3.0, 4.0, 2.5)
    origin = (-50.0 if direction_x > 0 else -50.0 + 59 * 3.0, -150.0, 80.0)
    grid = Grid(size, spacing, origin, (direction_x, 0, 0, 0, 1, 0, 0, 0, 1))
    k, j, i = np.indices(grid.shape)
    x, y, z = (grid.index_to_world @ np.stack([i, j, k, np.ones_like(i)]).reshape(4, -1))[:3].reshape(3, *grid.shape)
    off_x, off_y = x - COLUMN_MM[0], y - COLUMN_MM[1]
    hu, mask = np.where(np.hypot(off_x, off_y) < 85, 40, -1000), np.zeros(grid.shape, np.int16)
    for number, label in enumerate(labels):
        inside = (np.abs(off_x) < 18) & (np.abs(off_y) < 15) & (np.abs(z - (Z_OF_L1_MM - HEIGHT_MM * number)) < 13)
        if number == 0:
            inside |= (np.abs(off_x - 30) < 13) & (np.abs(off_y) < 8) & (np.abs(z - Z_OF_L1_MM) < 8)
        mask[inside] = label
    return Volume(np.where(mask > 0, 700, hu).astype(np.int16), grid), Volume(mask, grid)


def written(ct_path: Path, mask_path: Path, labels: tuple[int, ...] = (20, 21, 22, 23)) -> None:
    ct, mask = a_labelled_ct(labels)
    for path, volume in ((ct_path, ct), (mask_path, mask)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, volume)
