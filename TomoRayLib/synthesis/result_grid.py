"""The grid of a synthetic CT: a cube about the isocentre."""

from __future__ import annotations

from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.weights import ModelEntry

SAME_MM = 1e-6


def model_grid(entry: ModelEntry, isocenter_mm: Vector3) -> Grid:
    """Return the grid that a model fills: its cube about the isocentre."""
    return Grid.cube(isocenter_mm, entry.fov_mm, entry.size)


def with_field_of_view(grid: Grid, fov_mm: float) -> Grid:
    """Return a cube with another edge in mm, the same centre and as many voxels; itself if the edge is the same."""
    same = abs(fov_mm - grid.extent_mm[0]) < SAME_MM
    return grid if same else Grid.cube(grid.center_mm, fov_mm, grid.size[0])
