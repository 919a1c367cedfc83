"""The rays of any camera as two lattices of points, and the same rays in the frame of a volume.

Pixel (row, column) lies at ``first_pixel_mm + row * row_step_mm + column * column_step_mm``. Its ray starts at
``first_source_mm``, which stays there (cone), moves with the row (slot scan) or with the pixel (parallel beam).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.views import View

Array = NDArray[np.float64]
# Rays run from the source through the pixel and beyond, so the pixel's place on its ray does not matter. A matrix does
# not fix it, and a parallel beam has no source.
ASSUMED_DISTANCE_MM = 1000.0
SNAP = 1e-7


@dataclass(frozen=True)
class RayLattice:
    """All rays of one camera, in LPS mm or in a volume's frame."""

    rows: int
    columns: int
    first_pixel_mm: Array  # (3,)
    row_step_mm: Array  # (3,) from one row to the next
    column_step_mm: Array  # (3,)
    first_source_mm: Array  # (3,) source of pixel (0, 0)
    source_follows_rows: bool
    source_follows_columns: bool

    @property
    def is_parallel(self) -> bool:
        """True if every ray has a source of its own."""
        return self.source_follows_rows and self.source_follows_columns

    @property
    def is_slot(self) -> bool:
        """True if all rays of a row share one source."""
        return self.source_follows_rows and not self.source_follows_columns

    def pixels_mm(self) -> Array:
        """(rows, columns, 3) of every pixel."""
        return self._points(self.first_pixel_mm, np.arange(self.rows), np.arange(self.columns))

    def sources_mm(self) -> Array:
        """(rows or 1, columns or 1, 3): one for each ray, for each row, or for all."""
        rows = np.arange(self.rows if self.source_follows_rows else 1)
        columns = np.arange(self.columns if self.source_follows_columns else 1)
        return self._points(self.first_source_mm, rows, columns)

    def corner_rays_mm(self) -> Array:
        """(4, 3): from source to pixel in the detector's four corners; every other ray lies between them."""
        rows, columns = np.array([0, self.rows - 1]), np.array([0, self.columns - 1])
        pixels = self._points(self.first_pixel_mm, rows, columns)
        sources = self._points(
            self.first_source_mm, rows * self.source_follows_rows, columns * self.source_follows_columns
        )
        return (pixels - sources).reshape(4, 3)

    def _points(self, first: Array, rows: NDArray[np.int_], columns: NDArray[np.int_]) -> Array:
        return first + rows[:, None, None] * self.row_step_mm + columns[None, :, None] * self.column_step_mm


def ray_lattice(camera: Camera) -> RayLattice:
    """The rays of a view or a projection matrix, in LPS mm."""
    if isinstance(camera, ProjectionMatrix):
        return _lattice_of_matrix(camera)
    return _lattice_of_view(camera)


def rays_of(camera: Camera, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """The rays of a camera as points, for ``trace_rays``.

    Args:
        camera: A ``View`` or a ``ProjectionMatrix``.
        device: Where the tensors are created.

    Returns:
        Sources (rows or 1, columns or 1, 3) and pixels (rows, columns, 3) in LPS mm, float64. Where on its ray a pixel
        lies is arbitrary for a matrix.
    """
    lattice = ray_lattice(camera)
    sources, pixels = (torch.from_numpy(points).to(device) for points in (lattice.sources_mm(), lattice.pixels_mm()))
    return sources, pixels


def _lattice_of_view(view: View) -> RayLattice:
    row_mm, column_mm = view.detector.pixel_spacing_mm
    row_step, column_step = view.down * row_mm, view.right * column_mm
    is_cone, is_parallel = isinstance(view.beam, ConeBeam), isinstance(view.beam, ParallelBeam)
    down_mm, right_mm = view.detector.down_mm()[0], view.detector.right_mm()[0]
    pixel = np.asarray(view.isocenter_mm) + down_mm * view.down + right_mm * view.right
    if is_parallel:
        source = pixel + ASSUMED_DISTANCE_MM * view.to_source
    else:
        assert not isinstance(view.beam, ParallelBeam)
        pixel = pixel - (view.beam.sid_mm - view.beam.sad_mm) * view.to_source
        source = view.source_mm + (0.0 if is_cone else down_mm * view.down)
    return RayLattice(*view.detector.shape, pixel, row_step, column_step, source, not is_cone, is_parallel)


def _lattice_of_matrix(camera: ProjectionMatrix) -> RayLattice:
    matrix = camera.array
    if camera.is_parallel:
        back = np.asarray(np.linalg.pinv(matrix[:2, :3]), dtype=np.float64)
        column_step, row_step = back[:, 0], back[:, 1]
        pixel = -back @ matrix[:2, 3]
        source = pixel - ASSUMED_DISTANCE_MM * camera.forward
    else:
        back = np.asarray(np.linalg.inv(matrix[:, :3]) * ASSUMED_DISTANCE_MM, dtype=np.float64)
        column_step, row_step = back[:, 0], back[:, 1]
        source = camera.source_mm
        pixel = source + back[:, 2]
    parallel = camera.is_parallel
    return RayLattice(camera.rows, camera.columns, pixel, row_step, column_step, source, parallel, parallel)


def in_volume_frame(lattice: RayLattice, grid: Grid) -> RayLattice:
    """The same rays along the axes i, j, k of ``grid``, in mm from the centre of voxel 0."""
    to_volume = grid.direction_matrix.T
    origin = np.asarray(grid.origin_mm)
    pixel = to_volume @ (lattice.first_pixel_mm - origin)
    central = to_volume @ (lattice.first_source_mm - origin) - pixel
    if lattice.is_parallel:
        central = _snapped(central)
    return replace(
        lattice,
        first_pixel_mm=pixel,
        first_source_mm=pixel + central,
        row_step_mm=_snapped(to_volume @ lattice.row_step_mm),
        column_step_mm=_snapped(to_volume @ lattice.column_step_mm),
    )


def _snapped(vector: Array) -> Array:
    """A vector along an axis up to rounding, exactly so: rounding in a header must not cost the exact path."""
    length = np.linalg.norm(vector)
    if length == 0:
        return vector
    unit = vector / length
    rounded = np.round(unit)
    return rounded * length if np.abs(unit - rounded).max() < SNAP else vector
