"""Resampling of volumes and label maps from one grid to another."""

from __future__ import annotations

from enum import Enum

import numpy as np
import SimpleITK as sitk

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume, volume_from_sitk, volume_to_sitk

OUTSIDE_HU = -1024.0  # outside the CT; the fill value of the VerSe utilities


class Interpolation(str, Enum):
    """How values between voxel centres are found: LINEAR for grey values, NEAREST for labels."""

    LINEAR = "linear"
    NEAREST = "nearest"


def resample(
    volume: Volume, grid: Grid, interpolation: Interpolation = Interpolation.LINEAR, *, fill: float = OUTSIDE_HU
) -> Volume:
    """Resample a volume onto another grid; both may lie anywhere in LPS space, oblique or left-handed.

    Nothing is smoothed first. For labels use ``labels_on_grid``.

    Args:
        volume: Voxels ``(z, y, x)`` on their grid.
        grid: The grid of the result, in LPS mm.
        interpolation: LINEAR gives float32, NEAREST keeps the number type.
        fill: The value further than half a voxel outside the volume's outermost centres.

    Returns:
        The volume on ``grid``.
    """
    linear = interpolation is Interpolation.LINEAR
    voxels = volume.voxels.astype(np.float32, copy=False) if linear else volume.voxels
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(grid.size)
    filter_.SetOutputSpacing(grid.spacing_mm)
    filter_.SetOutputOrigin(grid.origin_mm)
    filter_.SetOutputDirection(grid.direction)
    filter_.SetInterpolator(sitk.sitkLinear if linear else sitk.sitkNearestNeighbor)
    filter_.SetDefaultPixelValue(fill)
    result = sitk.GetArrayFromImage(filter_.Execute(volume_to_sitk(Volume(voxels, volume.grid))))
    return Volume(result.astype(voxels.dtype, copy=False), grid)


def labels_on_grid(labels: Volume, grid: Grid) -> Volume:
    """Resample a label map by nearest neighbour; 0 outside, the number type is kept.

    Args:
        labels: Labels ``(z, y, x)`` on their grid.
        grid: The grid of the result, in LPS mm.

    Returns:
        The labels on ``grid``.
    """
    return resample(labels, grid, Interpolation.NEAREST, fill=0)


def resample_averaged(volume: Volume, grid: Grid) -> Volume:
    """Resample grey values onto a grid that may be coarser: whole voxels are averaged first, so that noise falls.

    Args:
        volume: Grey values ``(z, y, x)`` on their grid.
        grid: The grid of the result, in LPS mm, with cubic voxels.

    Returns:
        The volume on ``grid``, float32, ``OUTSIDE_HU`` outside.
    """
    factors = [
        max(1, min(int(grid.spacing_mm[0] / spacing_mm + 1e-6), size))
        for spacing_mm, size in zip(volume.grid.spacing_mm, volume.grid.size, strict=True)
    ]
    if max(factors) > 1:
        volume = volume_from_sitk(sitk.BinShrink(volume_to_sitk(volume), factors))
    return resample(volume, grid)


def cropped(volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
    """Return the voxels in a box, slices of (z, y, x) with both ends, at their place; the memory is shared."""
    low, high = [part.start for part in box[::-1]], [part.stop for part in box[::-1]]
    return Volume(volume.voxels[box], volume.grid.part(low, high))
