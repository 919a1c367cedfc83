"""The slices into which a volume is cut for a camera, and the places at which rays cross them.

The *main axis* is the volume's axis along which no ray moves more than a few voxels sideways per slice. The detector
is *aligned* if its rows and columns run along the other two axes: then a ray's two coordinates within a slice
depend on its row alone and on its column alone. Any other detector gets a *virtual detector* in the volume's middle
slice, on the same rays, which is aligned; its image is resampled once (a homography).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.projector.lattice import RayLattice

Array = NDArray[np.float64]
VIRTUAL_OVERSAMPLING = 2.0
VIRTUAL_MARGIN_PX = 3
VIRTUAL_SAMPLES_PER_VOXEL = 2.0  # at least, however large the pixels
STEEPEST_VOXELS = 3.0  # sideways per slice; steeper rays are traced one by one


@dataclass(frozen=True)
class SlabRays:
    """One camera's rays against the slices of one grid. Lengths in mm, in the frame of the volume (see lattice)."""

    grid: Grid
    lattice: RayLattice
    main: int  # axis of the grid, 0 = i
    plane_mm: float  # of the virtual detector, along the main axis: the volume's middle

    @property
    def in_plane(self) -> tuple[int, int]:
        """(a, b): a is the axis along which the table has contiguous voxels, x unless that is the main axis, then y."""
        first, second = (axis for axis in range(3) if axis != self.main)
        return first, second

    @property
    def row_axis(self) -> int:
        """The axis along which a detector row runs, of an aligned detector."""
        return int(np.argmax(np.abs(self.lattice.column_step_mm)))

    @property
    def is_aligned(self) -> bool:
        """True if rows and columns of the detector run along the two in-plane axes."""
        along_row, along_column = self.lattice.column_step_mm, self.lattice.row_step_mm
        return bool(
            np.count_nonzero(along_row) == 1 == np.count_nonzero(along_column)
            and along_row[self.main] == 0 == along_column[self.main]
        )

    def at_plane(self, plane_mm: float) -> Array:
        """(rows, columns, 3): where each pixel's ray meets the plane ``main = plane_mm``."""
        sources, pixels = self.lattice.sources_mm(), self.lattice.pixels_mm()
        start, end = sources[..., self.main], pixels[..., self.main]
        scale = (plane_mm - start) / (end - start)
        return np.asarray(sources + (pixels - sources) * scale[..., None], dtype=np.float64)

    def virtual_axes(self) -> tuple[Array, Array]:
        """Sample positions (mm, in the middle plane) along axes a and b."""
        a, b = self.in_plane
        if self.is_aligned:  # one row and one column of the detector hold all positions
            row = replace(self, lattice=replace(self.lattice, rows=1)).at_plane(self.plane_mm)[0]
            column = replace(self, lattice=replace(self.lattice, columns=1)).at_plane(self.plane_mm)[:, 0]
            return (row[:, a], column[:, b]) if self.row_axis == a else (column[:, a], row[:, b])
        points = self.at_plane(self.plane_mm)
        return self._virtual_axis(a, points[..., a]), self._virtual_axis(b, points[..., b])

    def _virtual_axis(self, axis: int, places: Array) -> Array:
        """Samples that cover the pixels as far as the volume's shadow reaches, finer than pixels and voxels are."""
        steps = [np.abs(np.diff(places, axis=k)).max() for k in (0, 1) if places.shape[k] > 1]
        pixel_mm = max([float(step) for step in steps], default=0.0)
        pitch = self.grid.spacing_mm[axis] / VIRTUAL_SAMPLES_PER_VOXEL
        if pixel_mm > 0:
            pitch = min(pitch, pixel_mm / VIRTUAL_OVERSAMPLING)
        shadow_low, shadow_high = self._shadow_mm(axis)
        low = max(float(places.min()), shadow_low)
        high = max(min(float(places.max()), shadow_high), low)
        count = int(np.ceil((high - low) / pitch)) + 1 + 2 * VIRTUAL_MARGIN_PX
        return np.asarray(low + (np.arange(count) - VIRTUAL_MARGIN_PX) * pitch, dtype=np.float64)

    def _shadow_mm(self, axis: int) -> tuple[float, float]:
        """Where along ``axis`` the volume's shadow in the middle plane begins and ends."""
        edges = np.array([-0.5, self.grid.size[axis] - 0.5]) * self.grid.spacing_mm[axis]
        faces_mm = np.array([-0.5, self.grid.size[self.main] - 0.5]) * self.grid.spacing_mm[self.main]
        scale, shift = self._ray_family(axis, faces_mm)
        places = (edges[None, :] - shift[:, None]) / scale[:, None]
        return float(places.min()), float(places.max())

    def crossings_mm(self, axis: int, samples_mm: Array, planes_mm: Array) -> Array:
        """(planes, samples): position along ``axis`` of each sample's ray at each plane of the main axis."""
        scale, shift = self._ray_family(axis, planes_mm)
        return samples_mm[None, :] * scale[:, None] + shift[:, None]

    def _ray_family(self, axis: int, planes_mm: Array) -> tuple[Array, Array]:
        """(scale, shift) at each plane: a ray at x in the middle plane is at ``x * scale + shift`` in that plane."""
        lattice, m = self.lattice, self.main
        source = lattice.first_source_mm
        scanned = lattice.is_slot and axis == int(np.argmax(np.abs(lattice.row_step_mm)))
        if lattice.is_parallel or scanned:
            direction = lattice.first_pixel_mm - source
            slope = direction[axis] / direction[m] if lattice.is_parallel else 0.0
            return np.ones_like(planes_mm), (planes_mm - self.plane_mm) * slope
        scale = (planes_mm - source[m]) / (self.plane_mm - source[m])
        return scale, source[axis] * (1.0 - scale)

    def path_mm(self) -> Array:
        """(rows, columns): path length through one slice along each pixel's ray."""
        rays = self.lattice.pixels_mm() - self.lattice.sources_mm()
        steepness = np.linalg.norm(rays, axis=-1) / np.abs(rays[..., self.main])
        return steepness * self.grid.spacing_mm[self.main]

    def resampling(self, samples_a: Array, samples_b: Array) -> Array | None:
        """(1, rows, columns, 2) positions of the true pixels on the virtual detector, in grid_sample's [-1, 1]."""
        if self.is_aligned:
            return None
        points = self.at_plane(self.plane_mm)
        places = []
        for axis, samples in zip(self.in_plane, (samples_a, samples_b), strict=True):
            places.append(2 * (points[..., axis] - samples[0]) / (samples[-1] - samples[0]) - 1)
        return np.stack(places, axis=-1)[None]


def slab_rays(grid: Grid, lattice: RayLattice) -> SlabRays | None:
    """The rays cut along their best main axis; ``lattice`` is in the volume's frame.

    None if no axis serves: a fan too wide for every axis, slices much thicker than voxels are wide, a volume that
    reaches past the source, or a slot scan along no axis of the volume, whose rays are not separable in any plane.
    """
    axis = main_axis(grid, lattice)
    if axis is None:
        return None
    if lattice.is_slot and not _scans_along_an_axis(lattice, axis):
        return None
    plane_mm = (grid.size[axis] - 1) / 2 * grid.spacing_mm[axis]
    return SlabRays(grid, lattice, axis, plane_mm)


def main_axis(grid: Grid, lattice: RayLattice) -> int | None:
    """The axis along which the steepest of all rays moves the fewest voxels sideways per slice."""
    steps = lattice.corner_rays_mm() / np.asarray(grid.spacing_mm)
    best, fewest = None, STEEPEST_VOXELS
    for axis in range(3):
        along = steps[:, axis]
        if np.abs(np.sign(along).sum()) < 4 or not _is_before_the_volume(grid, lattice, axis):
            continue
        others = np.abs(np.delete(steps, axis, axis=1)) / np.abs(along)[:, None]
        worst = float(others.max())
        if worst < fewest - 1e-9:
            best, fewest = axis, worst
    return best


def _is_before_the_volume(grid: Grid, lattice: RayLattice, axis: int) -> bool:
    """True if all slices along ``axis`` lie on the rays' side of every source."""
    if lattice.is_parallel:
        return True
    faces_mm = np.array([-0.5, grid.size[axis] - 0.5]) * grid.spacing_mm[axis]
    sources = lattice.sources_mm()[..., axis]
    towards = np.sign(lattice.corner_rays_mm()[0, axis])
    return bool(((faces_mm[:, None, None] - sources) * towards).min() > 0)


def _scans_along_an_axis(lattice: RayLattice, main: int) -> bool:
    return bool(np.count_nonzero(lattice.row_step_mm) == 1 and lattice.row_step_mm[main] == 0)
