"""The grid that the header of a volume states, for every format that writes an affine matrix or its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import ORTHONORMAL_TOLERANCE, Grid

Matrix = NDArray[np.float64]

HALF_A_VOXEL = 0.5  # farther apart, a voxel of one reading is another voxel of the other
# A clinical CT has voxels of 0.1 to 10 mm; micro-CT of a specimen and a table of 2 m are still inside.
PLAUSIBLE_SPACING_MM = (0.05, 20.0)
LARGEST_EXTENT_MM = 2500.0
_NO_LENGTH_MM = 1e9  # 1000 km: a damaged header
_NAMES_OF_UNITS = {
    1.0: ("", "?", "???", "none", "unknown", "mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    10.0: ("cm", "centimeter", "centimeters", "centimetre", "centimetres"),
    1000.0: ("m", "meter", "meters", "metre", "metres"),
    0.001: ("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"),
}
MM_OF_UNIT = {name: mm for mm, names in _NAMES_OF_UNITS.items() for name in names}


@dataclass(frozen=True)
class StatedGrid:
    """The grid of a volume in LPS mm as its header states it.

    ``size_field`` names the fields that give the voxel size. ``other_grid`` is a second grid that the header states as
    well, of another space; ``notes`` say what was derived, ``warnings`` what the user should check.
    """

    grid: Grid
    size_field: str
    other_grid: Grid | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def affine(columns: NDArray[np.float64], origin: NDArray[np.float64]) -> Matrix:
    """Return the 4 x 4 matrix from ``(i, j, k, 1)``: ``columns`` (3, 3) are the steps along i, j and k."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = columns, origin
    return matrix


@np.errstate(over="ignore", invalid="ignore")
def grid_of_affine(matrix: Matrix, size: tuple[int, int, int], path: Path, field: str) -> Grid:
    """Return the grid of a matrix from voxel indices to LPS mm.

    Axes that are not quite perpendicular, as rounded numbers leave them, are turned by less than half a voxel.

    Args:
        matrix: 4 x 4.
        size: Voxels along (i, j, k).
        path: The file, for messages.
        field: The header's name of the matrix, for messages.

    Returns:
        A grid whose voxels lie less than half a voxel from the matrix's own places.

    Raises:
        InputError: If numbers are not finite, an axis has no length or the axes are sheared.
    """
    columns = matrix[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    if not np.all(np.abs(matrix) < _NO_LENGTH_MM) or not np.all(spacing > 0):
        raise InputError(
            f"{path}: expected a spacing above 0 mm along each axis, got {_rows(matrix)} in {field}; correct the "
            "header or export it again."
        )
    direction = _orthonormal(columns / spacing)
    moved = affine(direction * spacing, matrix[:3, 3])
    if (shift_mm := farthest_mm(matrix, moved, size)) > HALF_A_VOXEL * float(spacing.min()):
        raise InputError(
            f"{path}: expected perpendicular axes, got sheared ones in {field} ({_rows(matrix)}; corners lie up to "
            f"{shift_mm:.1f} mm from a box's): a gantry tilt or an affine registration. Resample it to an orthogonal "
            "grid first (Slicer: load it, Harden transform, Resample Scalar Volume)."
        )
    return Grid(size, tuple(spacing.tolist()), tuple(matrix[:3, 3].tolist()), tuple(direction.ravel().tolist()))


def farthest_mm(one: Matrix, other: Matrix, size: tuple[int, int, int]) -> float:
    """Return how far the centres of a corner voxel lie apart at most by two matrices from indices to mm."""
    ends = [(0, count - 1) for count in size]
    corners = np.array([(i, j, k, 1) for i in ends[0] for j in ends[1] for k in ends[2]], dtype=np.float64)
    return float(np.linalg.norm(((one - other) @ corners.T)[:3], axis=0).max())


def check_one_size(grid: Grid, spacing_mm: tuple[float, float, float], path: Path, fields: tuple[str, str]) -> None:
    """Raise InputError if the steps of a matrix are not as long as the spacing that is stated beside it.

    ``fields`` are the header's names of both, the matrix first.
    """
    differences = np.abs(np.array(grid.spacing_mm) - spacing_mm) * np.maximum(np.array(grid.size) - 1, 1)
    if np.any(differences > HALF_A_VOXEL * np.minimum(grid.spacing_mm, spacing_mm)):
        one, other = (" x ".join(f"{value:.4g}" for value in sizes) for sizes in (grid.spacing_mm, spacing_mm))
        raise InputError(
            f"{path}: expected one voxel size, got two: {one} mm in {fields[0]} and {other} mm in {fields[1]}. A "
            "registration that stretches the patient, or an edited header? Export it again in its own size, or correct "
            "the header."
        )


def assumed_lps(found: str) -> str:
    """Return the warning for a file whose axes lie in no stated frame of the patient. ``found`` is what it has."""
    return (
        f"Its header does not say how its axes lie in the patient ({found}): taken as to the left, back and head "
        "(LPS), as ITK does; check left and right, front and back."
    )


def mm_of_unit(unit: str, path: Path, field: str) -> float:
    """Return the millimetres of a unit of length; 1 for one that is not stated. Raises InputError for another one."""
    if (name := unit.strip().lower()) in MM_OF_UNIT:
        return MM_OF_UNIT[name]
    raise InputError(
        f"{path}: expected lengths in mm, cm, m or um, got {unit!r} ({field}); correct the header or export it again."
    )


def check_plausible(grid: Grid, path: Path, field: str) -> None:
    """Raise InputError for voxels or an extent that no CT of a body has. ``field`` is where the size was stated."""
    low_mm, high_mm = PLAUSIBLE_SPACING_MM
    x_mm, y_mm, z_mm = grid.spacing_mm
    got = f"got {x_mm:.4g} x {y_mm:.4g} x {z_mm:.4g} mm"
    if min(grid.spacing_mm) < low_mm or max(grid.spacing_mm) > high_mm:
        raise InputError(
            f"{path}: expected voxels of {low_mm:g} to {high_mm:g} mm, {got} ({field}); was it written in another "
            "unit? Correct the header or export it again."
        )
    if max(grid.extent_mm) > LARGEST_EXTENT_MM:
        raise InputError(
            f"{path}: expected a volume of at most {LARGEST_EXTENT_MM / 1000:g} m along each axis, got "
            f"{' x '.join(f'{extent:.0f}' for extent in grid.extent_mm)} mm ({grid.size} voxels of {x_mm:.4g} x "
            f"{y_mm:.4g} x {z_mm:.4g} mm; {field}); correct the voxel size in the header or export it again."
        )


def _orthonormal(direction: Matrix) -> Matrix:
    """Return the matrix itself if its columns are perpendicular, or the nearest one whose columns are."""
    if np.abs(direction.T @ direction - np.eye(3)).max() <= ORTHONORMAL_TOLERANCE:
        return direction
    left, _, right = np.linalg.svd(direction)
    return np.asarray(left @ right, dtype=np.float64)


def _rows(matrix: Matrix) -> str:
    return "; ".join(" ".join(f"{value:.4g}" for value in row) for row in matrix[:3])
