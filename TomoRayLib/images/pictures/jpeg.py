"""A JPEG file as a picture: 8 bits, baseline or progressive; others are refused by name (ITU T.81)."""

from __future__ import annotations

import struct
from pathlib import Path

from PIL.JpegImagePlugin import JpegImageFile

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.declared_size import HUFFMAN_JPEG
from TomoRayLib.images.pictures.pillow_pixels import damaged, opened
from TomoRayLib.images.pictures.pixels import Picture, check_picture_size


def read_jpeg(path: Path) -> Picture:
    """Read a JPEG file. Raises InputError for a lossless, 12-bit, CMYK or damaged one."""
    content = path.read_bytes()
    process, bits, rows, columns, channels = _jpeg_frame(content, path)
    check_picture_size(columns, rows, path, value_bytes=channels, held=len(content), ratio=HUFFMAN_JPEG)
    kind = "lossless" if process in (3, 7, 11, 15) else "arithmetic-coded" if process > 8 else f"{bits}-bit"
    if process not in (0, 1, 2) or bits != 8:
        raise InputError(
            f"{path}: expected a JPEG of 8 bits (baseline or progressive), got a {kind} one, which is not read; "
            "export the image as PNG, TIFF or DICOM."
        )
    if channels not in (1, 3):
        raise InputError(
            f"{path}: expected a greyscale JPEG, got {channels} colours for print (CMYK); export it in grey."
        )
    values, orientation = opened(JpegImageFile, content, path, "JPEG")
    if values.shape != ((rows, columns) if channels == 1 else (rows, columns, 3)):
        raise damaged(path, "JPEG", f"pixels of shape {values.shape} for {rows} x {columns} x {channels}")
    return Picture("JPEG", values, orientation=orientation, orientation_tag="Exif Orientation")


def _jpeg_frame(content: bytes, path: Path) -> tuple[int, int, int, int, int]:
    """Process (0 baseline, 2 progressive, 3 lossless, ...), bits, rows, columns and channels (ITU T.81, B.2.2)."""
    place = 2
    while place + 10 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == 0xF7:
            raise InputError(
                f"{path}: expected a JPEG, got a JPEG-LS file, which is not read; export it as PNG or TIFF."
            )
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return (marker - 0xC0, *struct.unpack_from(">BHHB", content, place + 4))
        place += 2 + int(struct.unpack_from(">H", content, place + 2)[0])
    raise damaged(path, "JPEG", "no frame header")
