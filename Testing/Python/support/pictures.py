"""Picture files made byte by byte or by Pillow and tifffile, from one lopsided picture."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from TomoRayLib.images.files import read_radiograph
from TomoRayLib.images.types import Radiograph


def a_lopsided_picture(rows: int = 70, columns: int = 53, white: int = 4095) -> NDArray[np.uint16]:
    """Grey values from 1 to ``white`` without any symmetry: each pixel differs from its mirror images."""
    row, column = np.mgrid[0:rows, 0:columns]
    return np.rint(1 + (white - 1) * (3 * row / rows + column / columns + (row < 9) * (column < 5)) / 5).astype(
        np.uint16
    )


GREY = a_lopsided_picture()
GREY_8 = a_lopsided_picture(white=255).astype(np.uint8)


def write_tiff(path: Path, pixels: NDArray[Any], *, order: str = "<", **tags: int | tuple[int, ...]) -> None:
    """Write a TIFF of one strip by hand. ``tags`` are ``t262=0``; a value of -1 leaves a tag out."""
    bits = pixels.dtype.itemsize * 8
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    rows, columns = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    entries: dict[int, int | tuple[int, ...]] = {
        256: columns,
        257: rows,
        258: (bits,) * samples,
        259: 1,
        262: 1,
        273: 8,
    }
    entries |= {277: samples, 278: rows, 279: len(data)} | {int(name[1:]): value for name, value in tags.items()}
    entries = {tag: value for tag, value in entries.items() if value != -1}
    start = 8 + len(data) + len(data) % 2
    place = start + 2 + 12 * len(entries) + 4
    body, extra = b"", b""
    for tag, value in sorted(entries.items()):
        numbers = value if isinstance(value, tuple) else (value,)
        code = "H" if tag not in (256, 257, 273, 278, 279, 322, 323, 324, 325) else "I"
        content = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        if len(content) > 4:
            content, extra = struct.pack(order + "I", place + len(extra)), extra + content
        body += struct.pack(order + "HHI", tag, 3 if code == "H" else 4, len(numbers)) + content.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(order + "H", len(entries)) + body + b"\0" * 4
    path.write_bytes(magic + struct.pack(order + "I", start) + data.ljust(start - 8, b"\0") + directory + extra)


def write_png_bytes(
    path: Path,
    rows: list[bytes],
    columns: int,
    *,
    bits: int,
    colour: int,
    chunks: Mapping[str, bytes] | None = None,
    height: int | None = None,
    interlaced: bool = False,
) -> None:
    """Write a PNG from the bytes of its rows. ``chunks`` go before the pixels."""
    header = struct.pack(">IIBBBBB", columns, height or len(rows), bits, colour, 0, 0, int(interlaced))
    parts = [("IHDR", header), *(chunks or {}).items(), ("IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))]
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in [*parts, ("IEND", b"")]:
        body = name.encode() + data
        content += struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(content)


def exif_of(orientation: int) -> bytes:
    """An Exif block that says nothing but the Orientation."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + b"\0" * 4


def write_nifti(
    path: Path,
    voxels: NDArray[np.int16],
    *,
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0),
    rows_to_ras: NDArray[np.float64] | None = None,
    sform_code: int = 0,
    qform_code: int = 0,
    quaternion: tuple[float, float, float] = (0.0, 0.0, 0.0),
    qfac: float = 1.0,
    unit: int = 2,
) -> None:
    """Write a NIfTI-1 file by hand. ``voxels`` are (z, y, x) or (y, x), ``rows_to_ras`` the sform (3, 4)."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into(f"<{voxels.ndim + 1}h", header, 40, voxels.ndim, *voxels.shape[::-1])
    for place in range(voxels.ndim + 1, 8):
        struct.pack_into("<h", header, 40 + 2 * place, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, qfac, *spacing, *(1.0,) * (7 - len(spacing)))
    struct.pack_into("<f", header, 108, 352.0)
    struct.pack_into("<B", header, 123, unit)
    struct.pack_into("<hh3f", header, 252, qform_code, sform_code, *quaternion)
    if rows_to_ras is not None:
        struct.pack_into("<12f", header, 280, *np.asarray(rows_to_ras, float).ravel())
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + voxels.astype("<i2").tobytes())


def write_nrrd(path: Path, stored: NDArray[np.int16], fields: str) -> None:
    """Write a raw NRRD by hand. ``stored`` has the slowest axis first, ``fields`` are further lines of the header."""
    sizes = " ".join(str(size) for size in stored.shape[::-1])
    header = (
        f"NRRD0004\ntype: short\ndimension: {stored.ndim}\n{fields}sizes: {sizes}\nencoding: raw\nendian: little\n\n"
    )
    path.write_bytes(header.encode() + stored.astype("<i2").tobytes())


def write_meta_image(path: Path, stored: NDArray[np.int16], tags: str) -> None:
    """Write a MetaImage by hand. ``tags`` are further lines of the header."""
    sizes = " ".join(str(size) for size in stored.shape[::-1])
    header = f"ObjectType = Image\nNDims = {stored.ndim}\nBinaryData = True\nBinaryDataByteOrderMSB = False\n{tags}"
    ending = f"DimSize = {sizes}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    path.write_bytes((header + ending).encode() + stored.astype("<i2").tobytes())


def read_quietly(path: Path, capfd: pytest.CaptureFixture[str]) -> Radiograph:
    """Read a picture that states no spacing, and check that no library wrote to the terminal."""
    radiograph = read_radiograph(path)
    assert capfd.readouterr() == ("", ""), "a library wrote to the terminal"
    assert radiograph.pixels.dtype == np.float32
    assert radiograph.pixels.flags.writeable
    assert radiograph.pixel_spacing_mm is None
    return radiograph
