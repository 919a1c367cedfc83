"""Pictures (PNG, TIFF, JPEG, BMP), told by their first bytes, not by their ending."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from PIL.BmpImagePlugin import BmpImageFile

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.declared_size import DEFLATE
from TomoRayLib.images.pictures.jpeg import read_jpeg
from TomoRayLib.images.pictures.pillow_pixels import damaged, opened
from TomoRayLib.images.pictures.pixels import Picture, check_picture_size, radiograph_from_picture
from TomoRayLib.images.pictures.png import PNG_SIGNATURE, read_png
from TomoRayLib.images.pictures.tiff import read_tiff
from TomoRayLib.images.quiet import no_warnings
from TomoRayLib.images.types import Radiograph

_KINDS = {
    PNG_SIGNATURE: "PNG",
    b"\xff\xd8": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_NETPBM = {b"P1": "PBM", b"P2": "PGM", b"P3": "PPM", b"P4": "PBM", b"P5": "PGM", b"P6": "PPM", b"P7": "PAM"}
_REFUSED = (  # name, place of the signature, signature
    ("GIF", 0, b"GIF8"),
    ("WebP", 8, b"WEBP"),
    ("JPEG 2000", 4, b"jP  "),
    ("JPEG 2000", 0, b"\xff\x4f\xff\x51"),
    ("JPEG XL", 4, b"JXL "),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("HEIC or AVIF", 4, b"ftyp"),
    ("PDF", 0, b"%PDF"),
    ("Photoshop", 0, b"8BPS"),
    ("SVG", 0, b"<svg"),
    *((f"{name} (Netpbm)", 0, mark + end) for mark, name in _NETPBM.items() for end in (b"\n", b" ", b"\t", b"\r")),
    *(("PCX", 0, bytes((10, version, 1))) for version in (0, 2, 3, 4, 5)),
)
_TGA_KINDS, _TGA_BITS = (1, 2, 3, 9, 10, 11), (8, 15, 16, 24, 32)  # image types, and bits of a pixel


def picture_kind(path: Path) -> str | None:
    """Return "PNG", "JPEG", "TIFF" or "BMP"; None for a file that is no picture.

    Raises InputError for pictures and documents that are not read, with their name.
    """
    with path.open("rb") as file:
        head = file.read(32)
    if (name := _refused_name(head, path)) is not None:
        raise InputError(
            f"{path}: expected a radiograph (DICOM, PNG, TIFF, JPEG, NRRD, MetaImage, NIfTI), got a {name} file, "
            "which is not read; export the image as PNG or TIFF."
        )
    for signature, kind in _KINDS.items():
        if head.startswith(signature):
            return kind
    is_bmp = head.startswith(b"BM") and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS
    return "BMP" if is_bmp else None


def _refused_name(head: bytes, path: Path) -> str | None:
    """The name of a format that is not read; TGA, which begins without a signature, by its ending and header."""
    for name, start, signature in _REFUSED:
        if head[start : start + len(signature)] == signature:
            return name
    named = path.suffix.lower() in (".tga", ".icb", ".vda", ".vst")
    is_tga = named and len(head) >= 18 and head[1] < 2 and head[2] in _TGA_KINDS and head[16] in _TGA_BITS
    return "TGA" if is_tga else None


def read_picture(path: Path, kind: str) -> Radiograph:
    """Read a picture of ``kind`` as a radiograph without spacing: its resolution is for print, not for a detector.

    Raises InputError for colour, several pages, sizes that no radiograph has, and damaged files.
    """
    read: Callable[[Path], Picture] = {"PNG": read_png, "JPEG": read_jpeg, "TIFF": read_tiff, "BMP": _bmp}[kind]
    with no_warnings():  # Pillow's on odd tags; what matters is checked
        picture = read(path)
    return radiograph_from_picture(picture, path)


def _bmp(path: Path) -> Picture:
    content = path.read_bytes()
    small = struct.unpack_from("<I", content, 14)[0] == 12
    columns, rows = struct.unpack_from("<HH" if small else "<ii", content.ljust(26, b"\0"), 18)
    check_picture_size(abs(columns), abs(rows), path, value_bytes=1 / 8, held=len(content), ratio=DEFLATE)
    values, _ = opened(BmpImageFile, content, path, "BMP")
    if values.shape[:2] != (abs(rows), abs(columns)):
        raise damaged(path, "BMP", f"pixels of shape {values.shape} for {rows} x {columns}")
    if values.ndim == 3 and values.shape[2] == 4:
        return Picture("BMP", values[..., :3], values[..., 3], 255.0)
    return Picture("BMP", values)
