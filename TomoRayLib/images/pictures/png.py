"""A PNG file as a picture: every colour type and depth, with transparency (PNG, third edition, W3C 2025)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.declared_size import DEFLATE
from TomoRayLib.images.pictures.pillow_pixels import damaged, exif_orientation, opened
from TomoRayLib.images.pictures.pixels import UPRIGHT, Picture, check_picture_size
from TomoRayLib.images.quiet import no_stderr

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6  # colour types
_CHANGING = {b"tRNS", b"sBIT"}  # SimpleITK makes colour of the one, and divides by the other


def read_png(path: Path) -> Picture:
    """Read a PNG file. Raises InputError for an animated or damaged one."""
    with path.open("rb") as file:
        chunks = dict(_chunks(file))
    if len(chunks.get(b"IHDR", b"")) != 13:
        raise damaged(path, "PNG", "a header that is cut off")
    columns, rows, bits, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    channels = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}.get(colour, 0)
    stored = channels * bits / 8
    check_picture_size(columns, rows, path, value_bytes=stored, held=path.stat().st_size, ratio=DEFLATE)
    if b"acTL" in chunks:
        raise InputError(f"{path}: expected one picture, got an animated PNG; export the one picture.")
    values, orientation = _stored(path, colour, bits, chunks)
    if values.shape[:2] != (rows, columns) or (values.shape[2] if values.ndim == 3 else 1) < channels:
        raise damaged(path, "PNG", f"pixels of shape {values.shape} for {rows} x {columns} x {channels}")
    values, opacity = _png_values(values, colour, bits, chunks)
    opaque = 65535.0 if opacity is not None and opacity.dtype == np.uint16 else 255.0
    return Picture("PNG", values, opacity, opaque, None, orientation, "Exif Orientation")


def _stored(path: Path, colour: int, bits: int, chunks: Mapping[bytes, bytes]) -> tuple[NDArray[Any], int]:
    """The stored values, of a palette its indices, and the Exif Orientation."""
    plain = bits in (8, 16) and colour == _GREY and not chunks.keys() & _CHANGING
    if plain or (bits == 16 and colour in (_RGB, _RGBA)):
        values, orientation = _through_itk(path, np.uint16 if bits == 16 else np.uint8), UPRIGHT
        if b"eXIf" in chunks:
            with PngImageFile(path) as picture:
                orientation = exif_orientation(picture)
        return values, orientation
    content = path.read_bytes()
    if bits < 16 or colour != _GREY_ALPHA:
        return opened(PngImageFile, content, path, "PNG")
    values, orientation = opened(PngImageFile, _as_bytes_of_colour(content), path, "PNG")
    return values.view(">u2").astype(np.uint16), orientation


def _chunks(file: BufferedReader) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk but the pixels'."""
    file.seek(len(PNG_SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IDAT":
            file.seek(length, io.SEEK_CUR)
        yield name, b"" if name == b"IDAT" else file.read(length)
        file.seek(4, io.SEEK_CUR)  # its checksum


def _png_values(
    values: NDArray[Any], colour: int, bits: int, chunks: Mapping[bytes, bytes]
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Grey or RGB values, and their opacity from an alpha channel or a tRNS chunk."""
    clear = chunks.get(b"tRNS")
    if colour == _PALETTE:
        palette = np.zeros((256, 3), np.uint8)
        colours = np.frombuffer(chunks.get(b"PLTE", b""), np.uint8)[:768]
        palette[: len(colours) // 3] = colours[: len(colours) // 3 * 3].reshape(-1, 3)
        alpha = np.full(256, 255, np.uint8)
        alpha[: len(clear or b"")] = np.frombuffer(clear or b"", np.uint8)[:256]
        return palette[values], None if clear is None else alpha[values]
    if colour in (_GREY_ALPHA, _RGBA):
        return values[..., 0] if colour == _GREY_ALPHA else values[..., :3], values[..., -1]
    if clear is None or len(clear) < (2 if colour == _GREY else 6):
        return values[..., :3] if colour == _RGB else values, None
    if colour == _RGB:
        key = np.array(struct.unpack_from(">3H", clear))
        is_clear = np.all(values[..., :3] == key, axis=-1)
    else:
        key_grey = struct.unpack_from(">H", clear)[0]
        is_clear = values == (key_grey if bits in (8, 16) else key_grey * 255 // (2**bits - 1))
    return values[..., :3] if colour == _RGB else values, np.where(is_clear, 0, 255).astype(np.uint8)


def _through_itk(path: Path, dtype: type[np.generic]) -> NDArray[Any]:
    """The values by SimpleITK: faster for grey, and of 16-bit colour Pillow keeps 8 bits."""
    try:
        with no_stderr():  # libpng complains of chunks that do not matter
            values = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="PNGImageIO"))
    except RuntimeError as error:
        raise damaged(path, "PNG", "pixels that do not decompress") from error
    if values.dtype != dtype:
        raise damaged(path, "PNG", f"{values.dtype} values for {np.dtype(dtype)}")
    return values


def _as_bytes_of_colour(content: bytes) -> bytes:
    """A PNG of grey and opacity of 16 bits, of which Pillow keeps 8, described as the 4 bytes a pixel that it is."""
    start = len(PNG_SIGNATURE) + 8
    header = bytearray(content[start : start + 13])
    header[8:10] = bytes((8, _RGBA))
    checksum = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return content[:start] + bytes(header) + checksum + content[start + 17 :]
