"""CT series in DICOM: which files belong together, and whether their positions form a straight, even stack.

SimpleITK stacks slices at even distances along their normal whatever their headers say. A missing slice or a gantry
tilt would then move anatomy without an error, so both are looked for here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.types import unreadable

_TAGS = ["ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames", "SeriesDescription"]
EVEN_TOLERANCE = 0.05  # of the slice distance; headers round positions to 0.01 or 0.1 mm
TILT_TOLERANCE_MM = 1.0  # sideways drift over the whole stack


def find_series(folder: Path) -> dict[str, tuple[str, ...]]:
    """Series Instance UID -> file names in the order of their positions, for the DICOM files directly in ``folder``."""
    uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    return {uid: tuple(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)) for uid in uids}


def choose_series(folder: Path) -> tuple[str, ...]:
    """Return the files of the only series of ``folder``. Raises InputError if it holds none or several."""
    series = find_series(folder)
    if not series:
        raise InputError(
            f"{folder}: expected a folder that holds a DICOM series, got none in it; choose the folder that holds the "
            "slices themselves, not the one above."
        )
    if len(series) > 1:
        raise InputError(
            f"{folder}: expected a folder with one DICOM series, got {len(series)}: {_listed(series)}; move the files "
            "of the wanted series into a folder of their own, and choose that folder."
        )
    return next(iter(series.values()))


def check_stack(files: tuple[str, ...], name: str) -> None:
    """Raise InputError if single-frame files do not form one straight, even stack of slices.

    Looks at Image Position (Patient) (0020,0032) and Image Orientation (Patient) (0020,0037) of every file: missing
    positions, two slices at one place, uneven distances (a slice is missing), sideways drift (gantry tilt).
    """
    headers = [_header(file) for file in files]
    if any("ImagePositionPatient" not in header or "ImageOrientationPatient" not in header for header in headers):
        raise InputError(
            f"{name}: expected Image Position (0020,0032) and Image Orientation (0020,0037) in every slice, got slices "
            "that lack them; export the series again, or convert it to NRRD or NIfTI with known geometry."
        )
    orientations = np.array([header.ImageOrientationPatient for header in headers], dtype=np.float64)
    if np.abs(orientations - orientations[0]).max() > 1e-3:
        raise InputError(
            f"{name}: expected slices of one orientation, got several (a localiser among them?); "
            "choose a folder with the CT slices alone."
        )
    positions = np.array([header.ImagePositionPatient for header in headers], dtype=np.float64)
    _check_positions(positions, np.cross(orientations[0, :3], orientations[0, 3:]), name)


def _check_positions(positions_mm: NDArray[np.float64], normal: NDArray[np.float64], name: str) -> None:
    """``positions_mm`` (n, 3) in LPS; ``normal`` (3,) of the slices."""
    order = np.argsort(positions_mm @ normal)
    steps = np.diff(positions_mm[order], axis=0)
    gaps_mm = steps @ normal
    usual_mm = float(np.median(gaps_mm))
    if gaps_mm.min() < 1e-3:
        raise InputError(
            f"{name}: expected one slice at each position, got several at the same one (several phases or "
            "reconstructions in one series); choose a series with one volume."
        )
    if np.abs(gaps_mm - usual_mm).max() > max(EVEN_TOLERANCE * usual_mm, 0.02):
        raise InputError(
            f"{name}: expected evenly spaced slices, got distances from {gaps_mm.min():.2f} to {gaps_mm.max():.2f} mm "
            "(is a slice missing?); complete the series, or resample it to even slices (Slicer: DICOM module with "
            "acquisition geometry regularisation)."
        )
    drift_mm = positions_mm[order[-1]] - positions_mm[order[0]]
    sideways_mm = float(np.linalg.norm(drift_mm - (drift_mm @ normal) * normal))
    if sideways_mm > TILT_TOLERANCE_MM:
        raise InputError(
            f"{name}: expected slices stacked along their normal, got a sideways drift of {sideways_mm:.1f} mm over "
            "the stack (gantry tilt); resample it to an orthogonal grid first (Slicer: DICOM module with acquisition "
            "geometry regularisation, then Harden transform)."
        )


def _listed(series: dict[str, tuple[str, ...]]) -> str:
    """Each series by its description, number of slices and first file, which tells the files to move."""
    parts = []
    for files in series.values():
        description = str(_header(files[0]).get("SeriesDescription") or "").strip() or "no description"
        slices = "1 slice" if len(files) == 1 else f"{len(files)} slices"
        parts.append(f"{description} ({slices}, such as {Path(files[0]).name})")
    return "; ".join(parts)


def _header(file: str) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
    except OSError as error:
        raise unreadable(Path(file), error) from error
