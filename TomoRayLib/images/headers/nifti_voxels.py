"""Voxels of NIfTI volumes and slices as they are stored.

SimpleITK (niftilib) puts 0 where a file has NaN or infinity, and 0 HU is water; it refuses axes that rounded numbers
leave a thousandth of a radian off the right angle, and NIfTI-2; and it does not look at the checksum of a .gz.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.headers.nifti_header import GZIP_MAGIC, NUMBER_TYPES, NiftiHeader, voxel_file

_GZIP = 31  # zlib's wbits for a stream with the header and checksum of gzip
_BLOCK = 2**23  # bytes at a time, packed or not: few, as each waits for its turn if another thread runs Python


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
    stored: NDArray[Any] = np.empty(header.counts[2::-1], header.byte_order + NUMBER_TYPES[header.datatype])
    room = stored.reshape(-1).view(np.uint8).data
    place = -int(header.voxel_offset)  # of the next block among the voxels
    try:
        for block in _blocks(voxel_file(path, header)):
            part = block[max(-place, 0) : max(len(room) - place, 0)]
            start = max(place, 0)
            room[start : start + len(part)] = part
            place += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    if place < len(room):
        raise _damaged(path, f"{max(place, 0)} of {len(room)} bytes of voxels")
    return _scaled(stored, header) if header.is_scaled else stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _scaled(stored: NDArray[Any], header: NiftiHeader) -> NDArray[np.float32]:
    values = np.empty(stored.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 are refused as infinite
        for plane, kept in zip(stored, values, strict=True):  # without a second volume of 64 bits
            if header.slope == 1.0 and stored.itemsize < kept.itemsize:  # exact, but for the one rounding
                np.add(plane, np.float32(header.intercept), out=kept, dtype=np.float32)
            else:
                kept[:] = plane * header.slope + header.intercept
    return values


def _blocks(file: Path) -> Iterator[bytes]:
    """Give the content of a file, decompressed if it is compressed.

    Raises zlib.error or EOFError if that fails, a wrong checksum included.
    """
    with file.open("rb") as stream:
        block = stream.read(_BLOCK)
        if not block.startswith(GZIP_MAGIC):
            while block:
                yield block
                block = stream.read(_BLOCK)
            return
        member = zlib.decompressobj(_GZIP)
        while True:
            if content := member.decompress(block, _BLOCK):
                yield content
            block = member.unused_data if member.eof else member.unconsumed_tail
            if len(block) < len(GZIP_MAGIC):
                block += stream.read(_BLOCK)
            if member.eof:
                if not block.startswith(GZIP_MAGIC):  # the end, or padding
                    return
                member = zlib.decompressobj(_GZIP)  # files may be compressed in parts
            elif not block and not content:
                raise EOFError("compressed data that end too early")


def _damaged(path: Path, found: str) -> InputError:
    return InputError(f"{path}: expected readable voxels, got {found}: the file is damaged; copy or export it again.")
