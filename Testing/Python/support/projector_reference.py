"""Slow, plain line integrals in float64 to judge the projector by: Siddon's trace, and closed forms of solid bodies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View

Array = NDArray[np.float64]


def rays_of_view(view: View) -> tuple[Array, Array]:
    """Starts and unit directions (rows, columns, 3) of all rays, from the definitions in docs/conventions.md."""
    pixels = view.pixel_positions_mm()
    if isinstance(view.beam, ParallelBeam):
        starts = pixels + 1000.0 * view.to_source
    else:
        starts = np.broadcast_to(view.source_mm, pixels.shape)
        if isinstance(view.beam, SlotScan):
            starts = starts + view.detector.down_mm()[:, None, None] * view.down
    directions = pixels - starts
    assert isinstance(view.beam, (ConeBeam, ParallelBeam, SlotScan))
    return starts, directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def siddon(voxels: Array, grid: Grid, starts: Array, directions: Array) -> Array:
    """Line integrals (*rays) of voxels (z, y, x) as boxes: lengths between all crossings of voxel faces, added up."""
    world_to_index = grid.world_to_index
    image = np.zeros(starts.shape[:-1])
    for ray in np.ndindex(image.shape):
        start = world_to_index[:3, :3] @ starts[ray] + world_to_index[:3, 3]
        step = world_to_index[:3, :3] @ directions[ray]  # voxels per mm
        crossings = [
            (np.arange(n + 1) - 0.5 - start[axis]) / step[axis]
            for axis, n in enumerate(grid.size)
            if abs(step[axis]) > 1e-12
        ]
        mm = np.sort(np.concatenate(crossings))
        mm = mm[mm > 0]  # rays begin at the source
        if mm.size < 2:
            continue
        middles = start + (mm[:-1] + mm[1:])[:, None] / 2 * step
        index = np.rint(middles).astype(int)
        inside = np.all((index >= 0) & (index < grid.size), axis=1)
        i, j, k = index[inside].T
        image[ray] = (voxels[k, j, i] * np.diff(mm)[inside]).sum()
    return image


@dataclass(frozen=True)
class Box:
    """The outer box of a grid: an inclined slab if the grid's directions are oblique."""

    grid: Grid

    def chord_mm(self, starts: Array, directions: Array) -> Array:
        start = (starts - np.asarray(self.grid.origin_mm)) @ self.grid.direction_matrix
        direction = directions @ self.grid.direction_matrix
        low = -0.5 * np.asarray(self.grid.spacing_mm)
        high = (np.asarray(self.grid.size) - 0.5) * self.grid.spacing_mm
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = (low - start) / direction, (high - start) / direction
        return _length(np.fmin(first, second).max(axis=-1), np.fmax(first, second).min(axis=-1))

    def contains(self, points: Array) -> NDArray[np.bool_]:
        return np.ones(points.shape[:-1], dtype=bool)


@dataclass(frozen=True)
class Sphere:
    center_mm: tuple[float, float, float]
    radius_mm: float

    def chord_mm(self, starts: Array, directions: Array) -> Array:
        to_center = np.asarray(self.center_mm) - starts
        along = (to_center * directions).sum(axis=-1)
        off_axis = (to_center**2).sum(axis=-1) - along**2
        return 2 * np.sqrt(np.clip(self.radius_mm**2 - off_axis, 0, None))

    def contains(self, points: Array) -> NDArray[np.bool_]:
        return ((points - np.asarray(self.center_mm)) ** 2).sum(axis=-1) < self.radius_mm**2


@dataclass(frozen=True)
class Cylinder:
    """A closed cylinder about any axis."""

    center_mm: tuple[float, float, float]
    axis: tuple[float, float, float]
    radius_mm: float
    length_mm: float

    def _unit(self) -> Array:
        return np.asarray(self.axis) / np.linalg.norm(self.axis)

    def chord_mm(self, starts: Array, directions: Array) -> Array:
        unit = self._unit()
        start = starts - np.asarray(self.center_mm)
        height, climb = start @ unit, directions @ unit
        start, across = start - height[..., None] * unit, directions - climb[..., None] * unit
        a, b, c = (across**2).sum(-1), (start * across).sum(-1), (start**2).sum(-1) - self.radius_mm**2
        root = np.sqrt(np.clip(b**2 - a * c, 0, None))
        hits = b**2 > a * c
        with np.errstate(divide="ignore", invalid="ignore"):
            caps = (-self.length_mm / 2 - height) / climb, (self.length_mm / 2 - height) / climb
        enter = np.maximum((-b - root) / a, np.fmin(*caps))
        leave = np.minimum((-b + root) / a, np.fmax(*caps))
        return np.where(hits, _length(enter, leave), 0.0)

    def contains(self, points: Array) -> NDArray[np.bool_]:
        off = points - np.asarray(self.center_mm)
        height = off @ self._unit()
        inside = (off**2).sum(axis=-1) - height**2 < self.radius_mm**2
        return inside & (np.abs(height) < self.length_mm / 2)


def _length(enter: Array, leave: Array) -> Array:
    return np.clip(leave - enter, 0, None)


def share_of_voxels(body: Box | Sphere | Cylinder, grid: Grid, subdivisions: int = 4) -> Array:
    """(z, y, x): the share of each voxel inside a body, from ``subdivisions`` points along each axis."""
    steps = (np.arange(subdivisions) + 0.5) / subdivisions - 0.5
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    share = np.zeros(grid.shape)
    for dk in steps:
        for dj in steps:
            for di in steps:
                points = np.stack([i + di, j + dj, k + dk, np.ones(grid.shape)], axis=-1) @ grid.index_to_world.T
                share += body.contains(points[..., :3])
    return share / subdivisions**3


def relative_rmse(image: Array, expected: Array) -> float:
    """Root mean square error over the root mean square of what was expected."""
    return float(np.sqrt(((image - expected) ** 2).mean() / (expected**2).mean()))
