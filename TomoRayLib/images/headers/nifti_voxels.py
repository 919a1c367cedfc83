"""Voxels of NIfTI volumes and slices as they are stored.

SimpleITK (niftilib) puts 0 where a file has NaN or infinity, and 0 HU is water; it refuses axes that rounded numbers
leave a thousandth of a radian off the right angle, and NIfTI-2; and it does not look at the checksum of a .gz.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.headers.nifti_header import NUMBER_TYPES, NiftiHeader, begins_as_gzip, voxel_file
from TomoRayLib.images.headers.stored_voxels import StoredVoxels, read_voxels


def is_read_here(header: object) -> TypeGuard[NiftiHeader]:
    """True for the header of a NIfTI file, which ANALYZE is not."""
    return isinstance(header, NiftiHeader) and header.version > 0


def nifti_voxels(header: NiftiHeader, path: Path) -> NDArray[Any]:
    """Read the voxels of a checked NIfTI file.

    Args:
        header: Its header.
        path: The file, or either file of its pair.

    Returns:
        Values ``(z, y, x)`` or ``(y, x)``: the stored numbers, or float32 if the header scales them. NaN stays NaN.

    Raises:
        InputError: If the file holds a row or a sequence, or is damaged.
    """
    if len(header.counts) < 2 or math.prod(header.counts[3:]) != 1:
        raise InputError(f"{path}: expected one volume or slice, got dim {header.counts}; export the one to be used.")
    file = voxel_file(path, header)
    place = StoredVoxels(
        file,
        0,
        int(header.voxel_offset),
        begins_as_gzip(file),
        header.byte_order + NUMBER_TYPES[header.datatype],
        header.counts[2::-1],
    )
    stored = read_voxels(place, path)
    return _scaled(stored, header) if header.is_scaled else stored


def _scaled(stored: NDArray[Any], header: NiftiHeader) -> NDArray[np.float32]:
    values = np.empty(stored.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 are refused as infinite
        for plane, kept in zip(stored, values, strict=True):  # without a second volume of 64 bits
            if header.slope == 1.0 and stored.itemsize < kept.itemsize:  # exact, but for the one rounding
                np.add(plane, np.float32(header.intercept), out=kept, dtype=np.float32)
            else:
                kept[:] = plane * header.slope + header.intercept
    return values
