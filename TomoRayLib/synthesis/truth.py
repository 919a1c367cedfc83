"""The ground truth of a synthetic CT: the real CT with its vertebrae, windowed, on the same grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, LookupTable, make_target, vertebra_mask
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.masks import bounding_box, support_of
from TomoRayLib.images.resampling import labels_on_grid, resample
from TomoRayLib.images.types import Volume


@dataclass(frozen=True)
class GroundTruth:
    """The paper's target on one grid: ``grey`` in [0, 1] and ``labels`` (VerSe numbers), both (z, y, x)."""

    grey: NDArray[np.float32]
    labels: NDArray[np.integer]
    grid: Grid
    table: LookupTable

    @property
    def is_empty(self) -> bool:
        """True if there is no vertebra on the grid."""
        return not self._vertebrae.any()

    def hu(self) -> Volume:
        """Return the target in HU (int16); everything but the vertebrae is at the window's lower end."""
        low = np.round(self.table.dequantise(0.0)).astype(np.int16)
        hu = np.full(self.grey.shape, low, dtype=np.int16)
        box = support_of(self.grey).box
        if box is not None:
            hu[box] = np.round(self.table.dequantise(self.grey[box]))
        return Volume(hu, self.grid)

    def vertebrae(self) -> Volume:
        """Return the labels of the vertebrae alone (uint8, VerSe numbers)."""
        return Volume(self._vertebrae, self.grid)

    @cached_property
    def _vertebrae(self) -> NDArray[np.uint8]:
        return np.where(vertebra_mask(self.labels), self.labels, 0).astype(np.uint8)


def ground_truth(ct: Volume, labels: Volume, grid: Grid, table: LookupTable) -> GroundTruth:
    """Make the target from a CT.

    Args:
        ct: CT in HU.
        labels: Vertebra labels in VerSe numbering, on any grid.
        grid: Grid of the synthetic CT.
        table: Lookup table from HU in the bone window to grey values.

    Returns:
        The target, resampled to ``grid``.
    """
    on_grid = labels_on_grid(labels, grid).voxels
    grey = np.zeros(on_grid.shape, dtype=np.float32)
    box = bounding_box(vertebra_mask(on_grid))
    if box is not None:  # outside it the target is 0, whatever the CT
        part = grid.part([side.start for side in box[::-1]], [side.stop for side in box[::-1]])
        grey[box] = make_target(resample(ct, part).voxels, on_grid[box], table)
    return GroundTruth(grey, on_grid, grid, table)


def windowed_ct(ct: Volume, grid: Grid) -> Volume:
    """Return a CT in the bone window, all tissue, on another grid (HU, int16)."""
    on_grid = resample(ct, grid).voxels
    windowed = np.clip(np.round(on_grid), BONE_WINDOW.low_hu, BONE_WINDOW.high_hu)
    return Volume(windowed.astype(np.int16), grid)
