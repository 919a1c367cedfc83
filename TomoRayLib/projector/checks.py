"""Checks of a volume and its rays before they are projected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.projector.lattice import RayLattice

EVERY = 8  # one row and column in so many, for a first look


def check_volume(volume: Tensor, grid: Grid) -> None:
    """Raise ValueError unless a volume, or batch of them, is a float tensor with its grid's shape."""
    if not isinstance(volume, Tensor):
        raise ValueError(
            f"The volume must be a torch tensor; got {type(volume).__name__}. Call torch.from_numpy(volume)."
        )
    if tuple(volume.shape[-3:]) != grid.shape or volume.ndim not in (3, 4):
        raise ValueError(
            f"The volume must have the shape of its grid, (z, y, x) = {grid.shape}, with at most one batch axis "
            f"before; got {tuple(volume.shape)}. Check the axis order."
        )
    if str(volume.dtype) not in ("torch.float32", "torch.float64"):
        raise ValueError(
            f"The volume must be float32 or float64; got {volume.dtype}. Convert HU with hu_to_attenuation, or call "
            ".float()."
        )


def check_rays(grid: Grid, lattice: RayLattice) -> None:
    """Raise InputError if a source lies inside the volume, or all of the volume behind the source.

    ``lattice`` is in the volume's frame: mm along its axes from the centre of voxel 0.
    """
    if lattice.is_parallel:
        return
    low, high = _box(grid)
    sources = lattice.sources_mm().reshape(-1, 3)
    inside = np.all((sources > low) & (sources < high), axis=1)
    if inside.any():
        x, y, z = sources[inside][0]
        raise InputError(
            f"The X-ray source must lie outside the volume; got one at ({x:.1f}, {y:.1f}, {z:.1f}) mm along the "
            f"volume's axes from its first voxel, in a volume of {grid.extent_mm} mm. Use a larger distance from "
            "source to isocentre (SAD), move the isocentre, or crop the volume.",
            field="sad_mm",
        )
    forward = lattice.corner_rays_mm().sum(axis=0)
    corners = np.array([[(low, high)[n >> axis & 1][axis] for axis in range(3)] for n in range(8)])
    if ((corners - sources.mean(axis=0)) @ forward <= 0).all():
        raise InputError(
            "The volume must lie ahead of the source, towards the detector; got one behind the source, so that every "
            "ray leads away from it. Check the isocentre, angles and offsets; a projection matrix that looks away must "
            "be multiplied by -1."
        )


def any_ray_meets(grid: Grid, lattice: RayLattice) -> bool:
    """True if some ray, as a line, passes through the volume. ``lattice`` is in the volume's frame."""
    few = replace(
        lattice,
        rows=-(-lattice.rows // EVERY),
        columns=-(-lattice.columns // EVERY),
        row_step_mm=EVERY * lattice.row_step_mm,
        column_step_mm=EVERY * lattice.column_step_mm,
    )
    return _some_meet(grid, few) or _some_meet(grid, lattice)  # a few of them usually suffice


def _some_meet(grid: Grid, lattice: RayLattice) -> bool:
    low, high = _box(grid)
    sources = lattice.sources_mm()
    directions = lattice.pixels_mm() - sources
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (low - sources) / directions, (high - sources) / directions
    enter, leave = np.fmin(first, second).max(axis=-1), np.fmax(first, second).min(axis=-1)
    return bool((leave > enter).any())


def _box(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Outer corners in mm along the grid's axes, from the centre of voxel 0."""
    spacing = np.asarray(grid.spacing_mm)
    return -0.5 * spacing, (np.asarray(grid.size) - 0.5) * spacing
