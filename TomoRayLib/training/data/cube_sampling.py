"""A cube's voxels between those of a scene: the few slices, rows and columns that are needed, and their weights.

A cube of 48 voxels an edge looks at 96 of the 192 columns of a scene. What is to be worked out of a scene's voxels
before they are interpolated is worked out of these alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.kernels import has_kernels


@dataclass(frozen=True)
class _Axis:
    """Along one axis: ``needed`` voxels of the scene, ascending, and for each of the cube's voxels the places among
    them of the two beside it, with their weights, 0 outside of the scene."""

    needed: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    low_weight: NDArray[np.float32]
    high_weight: NDArray[np.float32]


@dataclass(frozen=True)
class CubeSampling:
    """Trilinear sampling of an axis-aligned grid at the voxels of an axis-aligned cube; 0 outside of the grid."""

    axes: tuple[_Axis, _Axis, _Axis]  # z, y, x

    @staticmethod
    def of(grid: Grid, cube: Grid) -> CubeSampling:
        """From the grid of a scene and the one to sample at, in LPS mm."""
        x, y, z = (_along(axis, grid, cube) for axis in range(3))
        return CubeSampling((z, y, x))

    def needed(self, volume: Tensor) -> Tensor:
        """The voxels (..., z, y, x) of a scene's volume that lie beside those of the cube, in its number type."""
        for dim, axis in zip((-3, -2, -1), self.axes, strict=True):
            volume = volume.index_select(dim, torch.from_numpy(axis.needed).to(volume.device))
        return volume

    def interpolated(self, needed: Tensor) -> Tensor:
        """(c, z, y, x) floating values at the cube's voxels, from those of ``needed``."""
        if needed.dtype == torch.float32 and has_kernels(needed.device):
            from TomoRayLib.training.data.cube_kernel import interpolate_rows

            result = np.empty((len(needed), *(len(axis.low) for axis in self.axes)), np.float32)
            z, y, x = ((axis.low, axis.high, axis.low_weight, axis.high_weight) for axis in self.axes)
            interpolate_rows(needed.contiguous().numpy(), z, y, x, result)
            return torch.from_numpy(result)
        for dim, axis in zip((-3, -2, -1), self.axes, strict=True):
            low, high, low_weight, high_weight = (
                torch.from_numpy(one).to(needed.device)
                for one in (axis.low, axis.high, axis.low_weight, axis.high_weight)
            )
            shape = (-1, *(1,) * (-1 - dim))
            lower, upper = needed.index_select(dim, low), needed.index_select(dim, high)
            needed = lower * low_weight.view(shape) + upper * high_weight.view(shape)
        return needed


def on_cube(channels: Tensor, grid: Grid, cube: Grid) -> Tensor:
    """(c, z, y, x) on an axis-aligned grid, trilinearly sampled on an axis-aligned cube; 0 outside."""
    sampling = CubeSampling.of(grid, cube)
    return sampling.interpolated(sampling.needed(channels))


def _along(axis: int, grid: Grid, cube: Grid) -> _Axis:
    places_mm = cube.origin_mm[axis] + np.arange(cube.size[axis]) * cube.spacing_mm[axis]
    index = (places_mm - grid.origin_mm[axis]) / grid.spacing_mm[axis]
    low = np.floor(index).astype(np.int64)
    beside = np.stack([low, low + 1])
    share = (index - low).astype(np.float32)
    inside = (beside >= 0) & (beside < grid.size[axis])
    needed, among = np.unique(beside.clip(0, grid.size[axis] - 1), return_inverse=True)
    among = among.reshape(beside.shape)
    return _Axis(needed, among[0], among[1], (1 - share) * inside[0], share * inside[1])
