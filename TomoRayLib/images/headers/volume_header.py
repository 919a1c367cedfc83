"""The geometry and scaling of a volume file from its own header, for the formats that SimpleITK takes more lightly."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.headers.meta_image_header import (
    MetaImageHeader,
    check_meta_image,
    meta_image_geometry,
    stored_meta_image,
)
from TomoRayLib.images.headers.nifti import check_nifti, nifti_geometry
from TomoRayLib.images.headers.nifti_header import NiftiHeader
from TomoRayLib.images.headers.nrrd_header import NrrdHeader, check_nrrd, nrrd_geometry
from TomoRayLib.images.headers.nrrd_voxels import check_voxels, stored_nrrd
from TomoRayLib.images.headers.stated_grid import StatedGrid, assumed_lps
from TomoRayLib.images.headers.stored_voxels import GZIP_MAGIC, read_voxels
from TomoRayLib.images.types import check_finite

_PICTURES = (".tif", ".tiff", ".lsm", ".png", ".jpg", ".jpeg", ".bmp", ".gif")
_ORIENTED = (".mnc", ".h5", ".hdf", ".hdf5")  # MINC and ITK's own HDF5 keep directions
VolumeHeader = NiftiHeader | NrrdHeader | MetaImageHeader


def checked_header(path: Path) -> VolumeHeader | None:
    """Read the header of a NIfTI, ANALYZE, NRRD or MetaImage file; None for another kind of file.

    Raises InputError if the file is truncated, contradicts itself, or holds no grey values.
    """
    header = check_nrrd(path)
    if header is not None:
        check_voxels(header, path)
        return header
    return check_nifti(path) or check_meta_image(path)


def stored_voxels(header: VolumeHeader | None, path: Path) -> NDArray[Any] | None:
    """Read the voxels of a checked NRRD or MetaImage file as they are stored: (z, y, x) or (y, x), perhaps with values
    per voxel behind.

    Returns None for another kind of file, and for a layout that is left to ITK. Raises InputError for damaged voxels.
    """
    if isinstance(header, NrrdHeader):
        stored = stored_nrrd(header, path)
    else:
        stored = stored_meta_image(header, path) if isinstance(header, MetaImageHeader) else None
    return None if stored is None else read_voxels(stored, path)


def geometry_of(header: VolumeHeader, path: Path) -> StatedGrid:
    """Return the grid that the header of a 3D file states. Raises InputError if it states none, or two."""
    if isinstance(header, NiftiHeader):
        return nifti_geometry(header, path)
    return nrrd_geometry(header, path) if isinstance(header, NrrdHeader) else meta_image_geometry(header, path)


def scaled_values(voxels: NDArray[Any], header: VolumeHeader, path: Path) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Apply MetaImage's function from element to intensity, which SimpleITK leaves out, with a warning.

    Raises InputError for values that are no numbers then.
    """
    if not isinstance(header, MetaImageHeader) or (function := header.intensity_function) == (1.0, 0.0):
        return voxels, ()
    slope, offset = function
    warning = (
        f"Its values were turned into {slope:g} x stored + {offset:g} (ElementToIntensityFunction), which ITK and "
        "Slicer leave out; check the values."
    )
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (voxels * np.float64(slope) + offset).astype(np.float32)
    check_finite(scaled, str(path))
    return scaled, (warning,)


def values_per_voxel(header: VolumeHeader | None) -> int:
    """Return how many values a voxel of a file has that ``stored_voxels`` reads."""
    if isinstance(header, NrrdHeader):
        return math.prod(size for axis, size in enumerate(header.sizes) if axis not in header.space_axes)
    return int(header.value("ElementNumberOfChannels") or 1) if isinstance(header, MetaImageHeader) else 1


def fields_of_text(header: VolumeHeader | None) -> dict[str, str]:
    """Return the fields of text that a program has added to those of the format."""
    return header.pairs if isinstance(header, NrrdHeader | MetaImageHeader) else {}


def stated_size(header: VolumeHeader | None) -> tuple[int, ...] | None:
    """Return how many voxels lie along each axis in space, (x, y, z, ...); None for a file without a header of ours."""
    if isinstance(header, NiftiHeader):
        return header.counts if header.version > 0 else None
    if isinstance(header, NrrdHeader):
        return tuple(header.sizes[axis] for axis in header.space_axes if axis < len(header.sizes))
    return None if header is None else header.sizes


def label_step(header: VolumeHeader | None) -> float:
    """Return the distance between neighbouring values if a NIfTI file stores whole numbers with a slope, else 0."""
    if not isinstance(header, NiftiHeader) or not header.stores_whole_numbers or math.isnan(header.slope):
        return 0.0
    return abs(header.slope)


def warnings_of_format(path: Path) -> tuple[str, ...]:
    """Return a warning for a format that keeps no orientation, for files without a header that is read here.

    Raises InputError for a stack of pictures, which keeps no distance of slices either.
    """
    ending = path.suffix.lower()
    if ending in _PICTURES:
        raise InputError(
            f"{path}: expected a format that states voxel size and orientation (DICOM, NIfTI, NRRD, MetaImage), got "
            f"pictures ({ending}); export the CT from its source again."
        )
    return () if ending in _ORIENTED else (assumed_lps(f"{ending} as ITK reads it"),)


def misnamed(path: Path) -> str | None:
    """Return the name that a file of a known format should have; None if its content is another, or named rightly."""
    with path.open("rb") as file:
        content = file.read(352)
    try:
        magic = zlib.decompressobj(31).decompress(content, 352) if content[:2] == GZIP_MAGIC else content
    except zlib.error:
        return None
    ending = ""
    if content.startswith(b"NRRD000"):
        ending = ".nrrd"
    elif magic[344:347] in (b"n+1", b"ni1") or magic[4:7] in (b"n+2", b"ni2"):
        ending = ".nii" if magic is content else ".nii.gz"
    elif b"NDims" in content or content.startswith(b"ObjectType"):
        ending = ".mha"
    if not ending or path.name.lower().endswith((ending, ".nhdr", ".mhd")):
        return None
    stem = path
    while stem.suffix.lower() in (".gz", ".nii", ".nrrd", ".mha"):
        stem = stem.with_suffix("")
    return f"{stem.name if stem.suffix != path.suffix else stem.stem}{ending}"
