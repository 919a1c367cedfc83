"""Headers of cubes of 16-bit voxels, of any side: NRRD and MetaImage."""

from __future__ import annotations

NRRD = """NRRD0004
type: short
dimension: 3
space: LPS
sizes: {side} {side} {side}
space directions: (1,0,0) (0,1,0) (0,0,1)
endian: little
encoding: {encoding}
{more}
"""
META_IMAGE = """ObjectType = Image
NDims = 3
BinaryData = True
CompressedData = {packed}
CompressedDataSize = {size}
ElementSpacing = 1 1 1
DimSize = {side} {side} {side}
ElementType = MET_SHORT
ElementDataFile = {data}
"""


def nrrd_header(side: int, encoding: str, more: str = "") -> bytes:
    """Return an NRRD header; ``more`` is a further field."""
    return NRRD.format(side=side, encoding=encoding, more=f"{more}\n" if more else "").encode()


def meta_image_header(side: int, size: int | None = None, data: str = "LOCAL") -> bytes:
    """Return a MetaImage header; ``size`` is that of compressed data in bytes, ``data`` where the voxels are."""
    return META_IMAGE.format(side=side, packed=size is not None, size=size or 0, data=data).encode()
