"""Voxels of NIfTI files that SimpleITK reads otherwise than they are stored, or not at all.

SimpleITK (niftilib) puts 0 where a file has NaN or infinity, and 0 HU is water, so floats are read here. It does not
read NIfTI-2 at all, whose voxels are stored as those of NIfTI-1.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.headers.nifti_header import NUMBER_TYPES, NiftiHeader, begins_as_gzip, voxel_file


def is_read_here(header: object) -> TypeGuard[NiftiHeader]:
    """True for the header of a NIfTI file whose voxels SimpleITK changes or refuses."""
    if not isinstance(header, NiftiHeader):
        return False
    return header.version == 2 or (header.version == 1 and header.is_volume and not header.stores_whole_numbers)


def nifti_voxels(header: NiftiHeader, path: Path) -> NDArray[Any]:
    """Read the voxels of a checked NIfTI file.

    Args:
        header: Its header.
        path: The file, or either file of its pair.

    Returns:
        Values ``(z, y, x)``: the stored numbers, or float32 if the header scales them. NaN stays NaN.

    Raises:
        InputError: If the file holds no single 3D volume.
    """
    if not header.is_volume:
        raise InputError(f"{path}: expected one 3D volume, got dim {header.counts}; export the one to be used.")
    file = voxel_file(path, header)
    begin = int(header.voxel_offset)
    with gzip.open(file) if begins_as_gzip(file) else file.open("rb") as stream:
        stream.seek(begin)
        content = stream.read(header.end - begin)
    stored = np.frombuffer(content, header.byte_order + NUMBER_TYPES[header.datatype]).reshape(header.counts[2::-1])
    if header.is_scaled:
        with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 are refused as infinite
            return (stored * header.slope + header.intercept).astype(np.float32)
    return stored.astype(stored.dtype.newbyteorder("="))


def refuse_nifti_2(header: object, path: Path) -> None:
    """Raise InputError for a radiograph in NIfTI-2."""
    if isinstance(header, NiftiHeader) and header.version == 2:
        raise InputError(f"{path}: expected NIfTI-1, got NIfTI-2; save the radiograph as NRRD or NIfTI-1.")
