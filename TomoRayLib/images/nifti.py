"""Checks that SimpleITK does not make of a NIfTI file: it reads a spacing of 0 as 1 mm and missing voxels as 0.

Both header versions: https://nifti.nimh.nih.gov/nifti-1 and nifti-2.
"""

from __future__ import annotations

import gzip
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from TomoRayLib.base.errors import InputError


@dataclass(frozen=True)
class NiftiHeader:
    """``counts`` and ``spacing`` (pixdim, the file's own unit) in (x, y, z, ...) order; ``end``: bytes of the file."""

    counts: tuple[int, ...]
    spacing: tuple[float, ...]
    end: int


def is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def check_nifti(path: Path) -> None:
    """Raises InputError for a truncated NIfTI and one whose spacing is not above 0; other files are not looked at."""
    if not is_nifti(path) or (header := read_nifti_header(path)) is None:
        return
    if not all(math.isfinite(value) and value > 0 for value in header.spacing[:3]):
        raise InputError(
            f"{path}: expected a spacing above 0 mm along each axis, got {header.spacing[:3]} in the NIfTI header "
            "(pixdim); correct the header or export it again."
        )
    if not is_whole_nifti(path, header):
        raise InputError(
            f"{path}: expected {header.end} bytes (before compression), got fewer: the file is truncated; copy or "
            "export it again."
        )


def read_nifti_header(path: Path) -> NiftiHeader | None:
    """Read the header of a .nii or .nii.gz file; None if it is not one, which SimpleITK will say."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            content = file.read(540)
    except (OSError, EOFError):
        return None
    for order in "<>":
        size = struct.unpack_from(order + "i", content)[0] if len(content) >= 348 else 0
        if size == 348:
            dim = struct.unpack_from(order + "8h", content, 40)
            bits, pixdim = (
                struct.unpack_from(order + "h", content, 72)[0],
                struct.unpack_from(order + "8f", content, 76),
            )
            offset = int(struct.unpack_from(order + "f", content, 108)[0])
        elif size == 540 and len(content) >= 540:
            dim, bits = struct.unpack_from(order + "8q", content, 16), struct.unpack_from(order + "h", content, 14)[0]
            pixdim, offset = (
                struct.unpack_from(order + "8d", content, 104),
                struct.unpack_from(order + "q", content, 168)[0],
            )
        else:
            continue
        used = min(max(dim[0], 0), 7)
        counts = dim[1 : 1 + used]
        return NiftiHeader(counts, pixdim[1 : 1 + used], offset + math.prod(counts) * bits // 8)
    return None


def is_whole_nifti(path: Path, header: NiftiHeader) -> bool:
    """True if all voxels are in the file. A .gz is decompressed only if its own length field disagrees."""
    if path.suffix.lower() != ".gz":
        return path.stat().st_size >= header.end
    with path.open("rb") as file:
        file.seek(-4, 2)
        if struct.unpack("<I", file.read(4))[0] == header.end % 2**32:
            return True
    length = 0
    try:
        with gzip.open(path) as file:
            while length < header.end and (block := file.read(2**22)):
                length += len(block)
    except (OSError, EOFError):
        return False
    return length >= header.end
