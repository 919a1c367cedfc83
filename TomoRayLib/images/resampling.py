"""Resampling of volumes and label maps from one grid to another."""

from __future__ import annotations

from enum import Enum

import numpy as np
import SimpleITK as sitk

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.masks import bounding_box
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
    if linear:  # labels half-way between two voxels would depend on the first place's last bit
        volume = _seen_by(grid, volume)
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


def resample_sparse(volume: Volume, grid: Grid) -> Volume:
    """Resample grey values that are mostly 0, linearly, with 0 outside: only what is around the others is touched.

    Args:
        volume: Grey values ``(z, y, x)`` on their grid.
        grid: The grid of the result, in LPS mm.

    Returns:
        The volume on ``grid``, float32, equal to that of ``resample`` with 0 outside.
    """
    result = np.zeros(grid.shape, dtype=np.float32)
    box = bounding_box(volume.voxels != 0, margin=1)
    if box is None:
        return Volume(result, grid)
    part = cropped(volume, box)
    reach = _box_in(grid, part.grid)
    if reach is not None:
        low, high = [side.start for side in reach[::-1]], [side.stop for side in reach[::-1]]
        result[reach] = resample(part, grid.part(low, high), fill=0.0).voxels
    return Volume(result, grid)


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


def _seen_by(grid: Grid, volume: Volume) -> Volume:
    """The part of a volume that its interpolation on a grid sees; all of it if it sees nothing."""
    box = _box_in(volume.grid, grid)
    return volume if box is None else cropped(volume, box)


def _box_in(grid: Grid, other: Grid, margin: int = 2) -> tuple[slice, slice, slice] | None:
    """Slices (z, y, x) of ``grid`` that hold another grid's voxels and ``margin`` voxels around them, or None."""
    world = np.c_[other.corners_mm(), np.ones(8)]
    places = (np.linalg.inv(grid.index_to_world) @ world.T)[:3].T
    low = np.maximum(np.floor(places.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(places.max(axis=0)).astype(int) + margin + 1, grid.size)
    if np.any(low >= high):
        return None
    z, y, x = (slice(int(first), int(end)) for first, end in zip(low[::-1], high[::-1], strict=True))
    return (z, y, x)
