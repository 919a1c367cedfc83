"""The geometry of a volume file from its own header, for the formats that other readers take more lightly."""

from __future__ import annotations

import math
from pathlib import Path

from TomoRayLib.images.nifti import check_nifti, nifti_geometry
from TomoRayLib.images.nifti_header import NiftiHeader
from TomoRayLib.images.stated_geometry import StatedGeometry

VolumeHeader = NiftiHeader


def checked_header(path: Path) -> VolumeHeader | None:
    """Read the header of a NIfTI or ANALYZE file; None for another kind of file.

    Raises InputError if the file is truncated, contradicts itself, or holds no grey values.
    """
    return check_nifti(path)


def geometry_of(header: VolumeHeader, path: Path) -> StatedGeometry:
    """Return the grid that the header of a 3D file states. Raises InputError if it states none, or two."""
    return nifti_geometry(header, path)


def label_step(header: VolumeHeader | None) -> float:
    """Return the distance between neighbouring values if a NIfTI file stores whole numbers with a slope, else 0."""
    if not isinstance(header, NiftiHeader) or not header.stores_whole_numbers or math.isnan(header.slope):
        return 0.0
    return abs(header.slope)
