"""What the headers of a case say, without its voxels: a thousand cases in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.cohort_finder import CohortCase, UnlabelledCase
from TomoRayLib.images.dicom.files import is_dicom
from TomoRayLib.images.existing import unreadable
from TomoRayLib.images.headers.stated_grid import check_plausible
from TomoRayLib.images.headers.volume_header import checked_header, geometry_of
from TomoRayLib.images.simpleitk_files import read_information

SAME_MM = 0.1  # by which grids of CT and mask may lie apart
THICK_MM = 5.0
SHORT_MM = 60.0  # of a CT along the body: two vertebrae


@dataclass(frozen=True)
class CaseHeaders:
    """The grids of a CT and its segmentation as their headers state them, and what is odd, in sentences.

    ``grid`` is None if the CT is a folder of DICOM files, which are looked at when it is read.
    """

    name: str
    grid: Grid | None
    findings: tuple[str, ...]


def check_headers(case: CohortCase | UnlabelledCase) -> CaseHeaders:
    """Look at the headers of a case.

    Args:
        case: A CT with its segmentation, or without.

    Returns:
        The CT's grid and findings: unreadable or damaged headers, no volume, an implausible or coarse grid, a short
        CT, a segmentation on another grid or beside the CT.
    """
    findings: list[str] = []
    ct = _grid_of(case.ct, findings)
    if ct is not None:
        findings += _odd(ct, case.ct.name)
    mask = case.segmentation if isinstance(case, CohortCase) else None
    if mask is not None and mask.is_file():
        other = _grid_of(mask, findings)
        if ct is not None and other is not None:
            findings += _apart(ct, other, mask.name)
    return CaseHeaders(case.name, ct, tuple(findings))


def _grid_of(path: Path, findings: list[str]) -> Grid | None:
    """The grid that a file's header states; a finding and None if it states none."""
    if path.is_dir():
        return None
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path.name}: expected a volume, got an empty file; copy it again.")
        if is_dicom(path):
            return None
        header = checked_header(path)
        if header is None:
            grid = _grid_of_itk(path)
            check_plausible(grid, path, "the file's header")
            return grid
        if not header.is_volume:
            raise InputError(f"{path.name}: expected one 3D volume, got an image of another shape.")
        stated = geometry_of(header, path)
        check_plausible(stated.grid, path, stated.size_field)
        findings += stated.warnings
        return stated.grid
    except (InputError, OSError) as error:
        sentence = error if isinstance(error, InputError) else unreadable(path, error)
        findings.append(str(sentence))
        return None


def _grid_of_itk(path: Path) -> Grid:
    """The grid of a format that ITK reads. Raises InputError for what is no volume."""
    found = read_information(path)
    try:
        return Grid(found.size, found.spacing, found.origin, found.direction)  # type: ignore[arg-type]
    except ValueError as error:
        raise InputError(f"{path.name}: {error}") from None


def _odd(grid: Grid, name: str) -> list[str]:
    """What is unusual for a CT of the spine."""
    found = []
    if max(grid.spacing_mm) > THICK_MM:
        found.append(f"{name}: voxels of {max(grid.spacing_mm):.1f} mm are too coarse to tell discs.")
    along = np.abs(grid.direction_matrix[2] * np.array(grid.spacing_mm) * np.array(grid.size)).sum()
    if along < SHORT_MM:
        found.append(f"{name}: {along:.0f} mm along the body show two vertebrae at most.")
    return found


def _apart(ct: Grid, mask: Grid, name: str) -> list[str]:
    """Whether a mask lies on the CT's grid, on another one, or beside the CT."""
    if ct.size == mask.size:
        corners = np.array([[0, 0, 0, 1], [*(np.array(ct.size) - 1), 1]], dtype=float)
        apart_mm = float(np.abs((ct.index_to_world - mask.index_to_world) @ corners.T)[:3].max())
        if apart_mm <= SAME_MM:
            return []
        return [f"{name}: on the CT's voxels, but its header places it up to {apart_mm:.1f} mm elsewhere."]
    ours, theirs = (np.array([grid.corners_mm().min(axis=0), grid.corners_mm().max(axis=0)]) for grid in (ct, mask))
    if (theirs[1] < ours[0]).any() or (theirs[0] > ours[1]).any():
        return [f"{name}: lies wholly beside the CT; is it the mask of another one?"]
    return [f"{name}: on other voxels ({_size(mask)}) than the CT ({_size(ct)}); it is resampled by nearest neighbour."]


def _size(grid: Grid) -> str:
    return " × ".join(str(count) for count in grid.size)
