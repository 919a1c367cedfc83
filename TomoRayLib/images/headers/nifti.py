"""What a NIfTI file says about its voxels and their places, read by the format's definition.

SimpleITK reads a spacing of 0 as 1 mm and missing voxels as 0, drops a shear where a qform is there, takes sizes from
pixdim where the sform has others, and a direction of NaN as it is. So its answer gives the voxels alone; the geometry
is derived here. Definition: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h, "3D IMAGE (VOLUME) ORIENTATION".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.headers.nifti_header import (
    NiftiHeader,
    begins_as_gzip,
    check_held,
    is_nifti,
    is_nifti_pair,
    missing_voxels,
    read_nifti_header,
    voxel_file,
)
from TomoRayLib.images.headers.stated_grid import (
    HALF_A_VOXEL,
    Matrix,
    StatedGrid,
    affine,
    check_one_size,
    farthest_mm,
    grid_of_affine,
)

MM_OF_UNIT = {
    0: 1.0,
    1: 1000.0,
    2: 1.0,
    3: 0.001,
}  # xyzt_units: unknown is taken as mm, as every tool of the field does
_UNIT_NAMES = {1: "metres", 3: "micrometres"}
_NOT_GREY = {
    0: "an unknown number type",
    1: "single bits",
    32: "complex numbers",
    128: "RGB colour",
    1536: "128-bit numbers",
    1792: "complex numbers",
    2048: "complex numbers",
    2304: "RGBA colour",
}
_VECTOR_INTENTS = {1005: "symmetric matrices", 1006: "a displacement field", 1007: "vectors", 1008: "point sets"}
SAME_AXES_DEG = 45.0  # turned farther, an axis of one matrix is another patient axis of the other


@dataclass(frozen=True, eq=False)
class NiftiOrientation:
    """Both orientations that a NIfTI header can state, as matrices from ``(i, j, k, 1)`` to LPS mm.

    None where the code is 0, which says that the file does not state it. ``spacing_mm`` (x, y, z) is pixdim.
    """

    qform_code: int
    sform_code: int
    qform: Matrix | None
    sform: Matrix | None
    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


def check_nifti(path: Path) -> NiftiHeader | None:
    """Return the header of a NIfTI or ANALYZE file that can be read; None for other files.

    Raises InputError for a truncated file, voxels that are no grey values, a spacing that is not above 0, and a content
    that is compressed although the name says otherwise.
    """
    if not (is_nifti(path) or is_nifti_pair(path)):
        return None
    if path.name.lower().endswith(".nii") and begins_as_gzip(path):
        raise InputError(f"{path}: expected an uncompressed file, as .nii says, got gzip; rename it to {path.name}.gz.")
    header = read_nifti_header(path)
    if header is None:
        return None
    _check_fields(header, path)
    voxels = voxel_file(path, header)
    check_held(voxels, header)
    found = missing_voxels(voxels, header)
    if found is not None:
        raise InputError(
            f"{path}: expected {header.end} bytes (before compression), got {found}; copy or export it again."
        )
    return header


def _check_fields(header: NiftiHeader, path: Path) -> None:
    advice = "correct the header or export it again."
    if not all(math.isfinite(value) and value > 0 for value in header.spacing[:3]):
        raise InputError(
            f"{path}: expected a spacing above 0 mm along each axis, got {header.spacing[:3]} in the NIfTI header "
            f"(pixdim); {advice}"
        )
    if any(count < 1 for count in header.counts):
        raise InputError(f"{path}: expected at least one voxel along each axis, got dim {header.counts}; {advice}")
    if not header.is_grey:
        raise InputError(
            f"{path}: expected one grey value per voxel, got {_NOT_GREY.get(header.datatype, _NOT_GREY[0])} (datatype "
            f"{header.datatype}); export it as a greyscale image."
        )
    if header.intent in _VECTOR_INTENTS and math.prod(header.counts[3:]) > 1:
        raise InputError(
            f"{path}: expected one grey value per voxel, got {_VECTOR_INTENTS[header.intent]} (intent_code "
            f"{header.intent}, dim {header.counts}); choose the CT or the mask instead."
        )
    least = 0 if not header.single_file else 544 if header.version == 2 else 352
    if not math.isfinite(header.voxel_offset) or header.voxel_offset < least:
        raise InputError(
            f"{path}: expected voxels from byte {least} on, got vox_offset {header.voxel_offset:g}; {advice}"
        )
    _check_scaling(header, path)


def _check_scaling(header: NiftiHeader, path: Path) -> None:
    """Raise InputError for a scaling that is half stated. A slope of 0 (nibabel: NaN) says that there is none."""
    slope, intercept = header.slope, header.intercept
    scaled = bool(slope) and not math.isnan(slope)
    if scaled and not (math.isfinite(slope) and math.isfinite(intercept)):
        raise InputError(
            f"{path}: expected a finite scaling of the values, got scl_slope {slope:g} and scl_inter {intercept:g}; "
            "correct the header or export it again."
        )
    if not scaled and intercept and not math.isnan(intercept):
        raise InputError(
            f"{path}: expected values with a scaling or without one, got scl_slope {slope:g}, which says that stored "
            f"values are the values, and scl_inter {intercept:g}; correct the header (a slope of 1 if the offset is "
            "meant, else an offset of 0) or export it again."
        )


def nifti_orientation(path: Path) -> NiftiOrientation | None:
    """Read both orientations of a NIfTI file, which may have one slice; None for another kind of file.

    ANALYZE has the codes 0 and 0. Raises InputError for a quaternion longer than 1.
    """
    if not (is_nifti(path) or is_nifti_pair(path)) or (header := read_nifti_header(path)) is None:
        return None
    return orientation_of(header, path)


@np.errstate(over="ignore", invalid="ignore")  # numbers that are none are refused where a grid is made of them
def orientation_of(header: NiftiHeader, path: Path) -> NiftiOrientation:
    """Return both orientations that a header states; see ``nifti_orientation``."""
    to_mm = MM_OF_UNIT.get(header.unit, 1.0)
    counts, spacing = (*header.counts, 1, 1, 1)[:3], (*header.spacing, 1.0, 1.0, 1.0)[:3]
    spacing_mm = (spacing[0] * to_mm, spacing[1] * to_mm, spacing[2] * to_mm)
    qform = _qform(header, spacing, path) if header.qform_code > 0 else None
    rows = np.array(header.s_rows, dtype=np.float64).reshape(3, 4)
    sform = affine(rows[:, :3], rows[:, 3]) if header.sform_code > 0 else None
    to_lps_mm = np.array([[-to_mm], [-to_mm], [to_mm], [1.0]])  # row by row: a matrix product spreads NaN
    return NiftiOrientation(
        header.qform_code,
        header.sform_code,
        None if qform is None else to_lps_mm * qform + 0.0,
        None if sform is None else to_lps_mm * sform + 0.0,
        (counts[0], counts[1], counts[2]),
        spacing_mm,
    )


def _qform(header: NiftiHeader, spacing: tuple[float, ...], path: Path) -> Matrix:
    """Return method 2's matrix to RAS, in the file's unit."""
    b, c, d = header.quaternion
    square = 1.0 - (b * b + c * c + d * d)
    if not square >= -1e-5:  # rounded to float32, a quaternion may be longer than 1 by 1e-7
        raise InputError(
            f"{path}: expected a rotation in the qform (quatern_b, c, d of length 1 at most), got ({b:g}, {c:g}, "
            f"{d:g}); correct the header or export it again."
        )
    a = math.sqrt(max(square, 0.0))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    qfac = -1.0 if header.qfac < 0 else 1.0  # 0 stands for 1
    return affine(rotation * (spacing[0], spacing[1], qfac * spacing[2]), np.array(header.q_offset))


def nifti_geometry(header: NiftiHeader, path: Path) -> StatedGrid:
    """Return the grid of a NIfTI volume by the rule for CTs and masks alike.

    An sform whose code is not 0 says where voxels lie, as for nibabel, FSL and the tools built on them; else the qform
    does. Where both do and differ, the sform is taken with a warning as long as it is the same patient moved.

    Args:
        header: The header of a 3D file.
        path: The file, for messages.

    Returns:
        The grid in LPS mm, and that of the qform if it differs.

    Raises:
        InputError: If no orientation is stated, a matrix is sheared, has no inverse or other voxel sizes than pixdim,
            or both matrices differ by more than a movement.
    """
    stated = orientation_of(header, path)
    chosen, name, warnings = _chosen(stated, header, path)
    grid = grid_of_affine(chosen, stated.size, path, name)
    check_one_size(grid, stated.spacing_mm, path, (name, "pixdim"))
    notes: tuple[str, ...] = ()
    if header.unit in _UNIT_NAMES:
        notes = (f"Its header gives lengths in {_UNIT_NAMES[header.unit]} (xyzt_units): turned into mm.",)
    other = _other_grid(stated, grid, path) if stated.qform is not None and name == "the sform" else None
    if other is not None:
        warnings = (*warnings, _two_places(stated, grid, other))
    size_field = f"{name} and pixdim, {_UNIT_NAMES.get(header.unit, 'mm')}"
    return StatedGrid(grid, size_field, other, notes, warnings)


def _chosen(stated: NiftiOrientation, header: NiftiHeader, path: Path) -> tuple[Matrix, str, tuple[str, ...]]:
    """Return the matrix that counts, its name, and a warning if the sform says nothing."""
    if stated.sform is not None and (stated.qform is None or np.any(stated.sform[:3, :3])):
        return stated.sform, "the sform", ()
    if stated.qform is not None:
        empty = (
            "" if stated.sform is None else "Its sform holds zeros alone: placed by the qform; check its orientation."
        )
        return stated.qform, "the qform", (empty,) if empty else ()
    kind = "an ANALYZE header, which cannot state one" if header.version == 0 else "qform_code 0 and sform_code 0"
    raise InputError(
        f"{path}: expected a stated orientation, got {kind}. Programs read such a file differently (ITK: first voxel "
        "at the patient's right and front; nibabel: at the left and back), so its left and right, front and back "
        "cannot be known. Export it again from its source with an orientation (DICOM, NRRD, or NIfTI with a qform); "
        "or, if you know the orientation, write it into the header."
    )


def _other_grid(stated: NiftiOrientation, grid: Grid, path: Path) -> Grid | None:
    """Return the qform's grid if it differs from the sform's. Raises InputError if one is not the other one moved."""
    assert stated.qform is not None
    other = grid_of_affine(stated.qform, stated.size, path, "the qform")
    apart_mm = farthest_mm(grid.index_to_world, other.index_to_world, grid.size)
    if apart_mm <= HALF_A_VOXEL * min(grid.spacing_mm):
        return None
    cosines = np.sum(grid.direction_matrix * other.direction_matrix, axis=0)
    if np.any(cosines < math.cos(math.radians(SAME_AXES_DEG))):
        raise InputError(
            f"{path}: expected one orientation, got two: voxel axes run to {grid.axis_letters} by the sform (code "
            f"{stated.sform_code}) and to {other.axis_letters} by the qform (code {stated.qform_code}), up to "
            f"{apart_mm:.0f} mm apart. Find out which one is right, and write the file with that one alone."
        )
    return other


def _two_places(stated: NiftiOrientation, grid: Grid, other: Grid) -> str:
    apart_mm = farthest_mm(grid.index_to_world, other.index_to_world, grid.size)
    return (
        f"Its header places it twice, up to {apart_mm:.1f} mm apart: the sform (code {stated.sform_code}) was taken, "
        f"as nibabel and TotalSegmentator do; other programs may take the qform (code {stated.qform_code})."
    )
