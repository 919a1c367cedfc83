"""The stored samples of a TIFF page, whatever its layout, compression, number of bits and byte order.

libtiff (through Pillow) only undoes the compression: the page is described to it as 8-bit grey rows of bytes, so that
nothing a version of it may do to a picture (inverting, turning, cutting 16 bits to 8, swapping bytes) takes place.
What the bytes mean is decided here, by the tags of TIFF 6.0.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from io import BufferedReader
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from TomoRayLib.images.declared_size import DEFLATE, HUFFMAN_JPEG, LZW, PACK_BITS, UNLIMITED
from TomoRayLib.images.pictures.pillow_pixels import without_limit
from TomoRayLib.images.pictures.tiff_header import TiffError, TiffPage
from TomoRayLib.images.quiet import no_stderr

NOT_COMPRESSED, JPEG = 1, 7
Tags = dict[int, int | tuple[int, ...] | bytes]
COMPRESSIONS = {
    NOT_COMPRESSED: "none",
    5: "LZW",
    JPEG: "JPEG",
    8: "Deflate",
    32946: "Deflate",
    32773: "PackBits",
    34925: "LZMA",
    50000: "Zstandard",
}
_OTHER_COMPRESSIONS = {
    2: "CCITT fax",
    3: "CCITT fax",
    4: "CCITT fax",
    6: "old-style JPEG",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_RATIOS = {5: LZW, JPEG: HUFFMAN_JPEG, 8: DEFLATE, 32946: DEFLATE, 32773: PACK_BITS}
_LARGEST_MARGIN, _SMALL = 16, 2**26  # times and bytes that strips and tiles may be larger than the picture
_LARGEST_TILE = 2**16  # along a side, like the largest picture
_HORIZONTAL, _FLOATING = 2, 3  # Predictor (317)
_KINDS = {1: "u", 2: "i", 3: "f"}  # SampleFormat (339)
_SIZES = {"u": (1, 2, 4, 8), "i": (1, 2, 4, 8), "f": (2, 4, 8)}


def stored_samples(file: BufferedReader, page: TiffPage) -> NDArray[Any]:
    """Return the samples ``(row, column, sample)`` as they are stored, in the machine's byte order.

    Raises TiffError for a layout that is not read, with its name, and for a file that is cut off.
    """
    compression = page.compression
    if compression not in COMPRESSIONS:
        name = _OTHER_COMPRESSIONS.get(compression, "unknown")
        raise TiffError(f"compression {compression} ({name}), where {', '.join(sorted(set(COMPRESSIONS.values())))} go")
    if len(set(page.bits)) != 1 or len(page.bits) != page.samples:
        raise TiffError(f"BitsPerSample {page.bits} for SamplesPerPixel {page.samples}")
    if compression == JPEG:
        return _jpeg(file, page)
    dtype = _dtype(page)
    planes = [_plane(file, page, dtype, part) for part in _segments_of_planes(page)]
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def ratio_of(page: TiffPage) -> float:
    """Return how much larger than in the file a page's samples can be; those that are not compressed are checked when
    they are read."""
    return _RATIOS.get(page.compression, UNLIMITED)


def _dtype(page: TiffPage) -> np.dtype[Any] | None:
    """The stored number type in the file's byte order, None for packed bits."""
    bits, kind = page.bits[0], _KINDS.get(page.sample_format)
    if kind == "u" and bits % 8 and bits < 16:
        return None
    if kind is None or bits % 8 or bits // 8 not in _SIZES[kind]:
        raise TiffError(f"{bits} bits of SampleFormat {page.sample_format}")
    return np.dtype(f"{page.byte_order}{kind}{bits // 8}")


def _segments_of_planes(page: TiffPage) -> list[tuple[tuple[int, int], ...]]:
    """The strips or tiles of each plane: of one with all samples, or of one for each sample."""
    count = page.samples if page.is_planar else 1
    across, down = _layout(page)
    expected = across * down
    if len(page.segments) < expected * count:
        raise TiffError(f"{len(page.segments)} strips or tiles, where its size needs {expected * count}")
    return [page.segments[n * expected : (n + 1) * expected] for n in range(count)]


def _layout(page: TiffPage) -> tuple[int, int]:
    """How many tiles lie side by side and below each other; strips count as tiles of full width."""
    width, height = page.tile or (page.width, page.rows_per_strip)
    if min(width, height) < 1 or max(width, height) > _LARGEST_TILE:
        raise TiffError(f"tiles or strips of {width} x {height} pixels")
    return -(-page.width // width), -(-page.height // height)


def _plane(
    file: BufferedReader, page: TiffPage, dtype: np.dtype[Any] | None, segments: Sequence[tuple[int, int]]
) -> NDArray[Any]:
    """The samples ``(row, column, sample)`` of one plane."""
    samples = 1 if page.is_planar else page.samples
    across, _ = _layout(page)
    width = page.tile[0] if page.tile else page.width
    row_bytes = -(-width * samples * page.bits[0] // 8)
    stored = _bytes_of_rows(file, page, segments, row_bytes)
    blocks = stored.reshape(page.height, across, row_bytes)
    if dtype is None:
        if page.predictor != 1:
            raise TiffError(f"Predictor {page.predictor} with {page.bits[0]} bits")
        values = _unpacked(blocks, page.bits[0])[..., : width * samples]
    elif page.predictor == _FLOATING:
        values = _sum_of_float_bytes(blocks, dtype, samples)
    else:
        values = blocks.view(dtype)
        if not dtype.isnative:
            values = values.astype(dtype.newbyteorder("="))
        if page.predictor == _HORIZONTAL:
            values = _sum_of_differences(values, samples)
    return values.reshape(page.height, across * width, samples)[:, : page.width]


def _bytes_of_rows(
    file: BufferedReader, page: TiffPage, segments: Sequence[tuple[int, int]], row_bytes: int
) -> NDArray[np.uint8]:
    """All rows of a plane without their compression, ``(row, bytes)``; tiles side by side, of full width."""
    across, down = _layout(page)
    rows = page.tile[1] if page.tile else page.rows_per_strip
    if page.compression == NOT_COMPRESSED:
        block = row_bytes * rows
        expected = block * across * down if page.tile else row_bytes * page.height
        if expected > (length := os.fstat(file.fileno()).st_size):
            raise TiffError(f"{length} bytes, where its size needs {expected}: it is cut off")
        stored = np.empty(expected, np.uint8)
        for n, (offset, count) in enumerate(segments):
            _read_into(file, stored[n * block : (n + 1) * block], offset, count)
        if page.number(266, 1) == 2:
            stored = _reversed_bits()[stored]
        if page.tile:
            stored = stored.reshape(down, across, rows, row_bytes).swapaxes(1, 2)
        return stored.reshape(-1, across * row_bytes)[: page.height]
    _check_blocks(file, page, segments, row_bytes * rows * across * down)
    contents = [_segment(file, offset, count) for offset, count in segments]
    width = across * row_bytes
    tags: Tags = {256: width, 257: page.height, 258: 8, 259: page.compression, 262: 1, 277: 1, 266: page.number(266, 1)}
    tags |= {322: row_bytes, 323: rows} if page.tile else {278: rows}
    return _decoded(_byte_picture(tags, contents, tiled=page.tile is not None), (page.height, width))


def _check_blocks(file: BufferedReader, page: TiffPage, segments: Sequence[tuple[int, int]], expected: int) -> None:
    """Raise TiffError for strips or tiles that are far larger than the picture, or than the file together."""
    length, stored = os.fstat(file.fileno()).st_size, sum(count for _, count in segments)
    samples = page.width * page.height * sum(page.bits) // 8
    if expected > _LARGEST_MARGIN * samples + _SMALL or stored > _LARGEST_MARGIN * length:
        raise TiffError(
            f"strips or tiles of {expected} bytes ({stored} compressed) for a picture of {samples} bytes: it is damaged"
        )


def _read_into(file: BufferedReader, block: NDArray[np.uint8], offset: int, count: int) -> None:
    """Fill the bytes of a strip or tile that is not compressed."""
    file.seek(offset)
    found = file.readinto(block.data) if count >= len(block) else count
    if found < len(block):
        raise TiffError(f"{found} of {len(block)} bytes of a strip or tile: it is cut off")


def _segment(file: BufferedReader, offset: int, count: int) -> bytes:
    file.seek(offset)
    content = file.read(min(count, os.fstat(file.fileno()).st_size))
    if len(content) < count:
        raise TiffError(f"{len(content)} of {count} bytes of a strip or tile: it is cut off")
    return content


def _reversed_bits() -> NDArray[np.uint8]:
    """Each byte with its bits in reverse order (FillOrder 2)."""
    return np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], axis=1)[:, 0]


def _byte_picture(tags: Tags, contents: Sequence[bytes], *, tiled: bool) -> bytes:
    """A little-endian TIFF file around strips or tiles as they are."""
    offsets, position = [], 8
    for content in contents:
        offsets.append(position)
        position += len(content)
    tags = tags | {324 if tiled else 273: tuple(offsets), 325 if tiled else 279: tuple(map(len, contents))}
    start = position + position % 2
    if start >= 2**32 - 2**24:
        raise TiffError("more than 4 GB of compressed pixels")
    extra_start = start + 2 + 12 * len(tags) + 4
    entries, extra = b"", b""
    for tag, value in sorted(tags.items()):
        if isinstance(value, bytes):
            kind, length, content = 7, len(value), value
        else:
            numbers = value if isinstance(value, tuple) else (value,)
            kind, length = (3, len(numbers)) if tag in (258, 259, 262, 266, 277, 530) else (4, len(numbers))
            content = struct.pack(f"<{length}{'H' if kind == 3 else 'I'}", *numbers)
        if len(content) > 4:
            content, extra = struct.pack("<I", extra_start + len(extra)), extra + content + b"\0" * (len(content) % 2)
        entries += struct.pack("<HHI", tag, kind, length) + content.ljust(4, b"\0")
    directory = struct.pack("<H", len(tags)) + entries + b"\0" * 4
    head = b"II*\0" + struct.pack("<I", start)
    return b"".join([head, *contents, b"\0" * (position % 2), directory, extra])


def _decoded(content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """What libtiff makes of a file of 8-bit samples. Raises TiffError if that has not the expected form."""
    try:
        with no_stderr(), without_limit(), TiffImageFile(io.BytesIO(content)) as picture:
            picture.load()
            shown = picture.convert("RGB") if picture.mode == "YCbCr" else picture
            mode, size = shown.mode, (shown.height, shown.width)
            content = shown.tobytes()
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise TiffError(f"pixels that do not decompress ({error}): it is damaged or cut off") from error
    if mode != ("L" if len(shape) == 2 else "RGB") or size != shape[:2]:
        raise TiffError(f"pixels of mode {mode}, {size}, from libtiff in place of 8 bits, {shape}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _jpeg(file: BufferedReader, page: TiffPage) -> NDArray[Any]:
    """The samples of a page whose strips or tiles are JPEG files of 8 bits; YCbCr becomes RGB."""
    if page.bits[0] != 8 or page.sample_format != 1 or page.samples not in (1, 3) or page.is_planar:
        raise TiffError(f"JPEG of {page.samples} x {page.bits[0]} bits, where 8 bits go (lossless JPEG is not read)")
    across, down = _layout(page)
    columns, rows = page.tile or (page.width, page.rows_per_strip)
    _check_blocks(file, page, page.segments, page.samples * columns * rows * across * down)
    contents = [_segment(file, offset, count) for offset, count in page.segments]
    colour = page.samples == 3
    tags: Tags = {
        256: page.width,
        257: page.height,
        258: (8,) * page.samples,
        259: JPEG,
        262: 1 if not colour else page.photometric or 2,
        277: page.samples,
    }
    tags |= {322: page.tile[0], 323: page.tile[1]} if page.tile else {278: page.rows_per_strip}
    if isinstance(tables := page.tags.get(347), bytes):
        tags[347] = tables
    if colour and 530 in page.tags:
        tags[530] = page.numbers(530, ())
    shape = (page.height, page.width, 3) if colour else (page.height, page.width)
    values = _decoded(_byte_picture(tags, contents, tiled=page.tile is not None), shape)
    return values.reshape(page.height, page.width, page.samples)


def _unpacked(blocks: NDArray[np.uint8], bits: int) -> NDArray[Any]:
    """Packed samples of 1 to 15 bits along the last axis; each row begins at a byte."""
    if bits == 12:  # the one of cameras and scanners, done without single bits
        count = blocks.shape[-1] * 2 // 3
        padded = np.zeros((*blocks.shape[:-1], -(-blocks.shape[-1] // 3) * 3), np.uint16)
        padded[..., : blocks.shape[-1]] = blocks
        first, middle, last = padded[..., 0::3], padded[..., 1::3], padded[..., 2::3]
        pairs = np.stack([first << 4 | middle >> 4, (middle & 15) << 8 | last], axis=-1)
        return pairs.reshape(*blocks.shape[:-1], -1)[..., :count]
    single = np.unpackbits(blocks, axis=-1)
    count = single.shape[-1] // bits
    groups = single[..., : count * bits].reshape(*blocks.shape[:-1], count, bits)
    values: NDArray[Any] = np.zeros(groups.shape[:-1], np.uint8 if bits <= 8 else np.uint16)
    for bit in range(bits):
        values = values << 1 | groups[..., bit]
    return values


def _sum_of_differences(values: NDArray[Any], samples: int) -> NDArray[Any]:
    """Undo Predictor 2: each sample was stored as its difference to the one at its left, modulo its range."""
    if values.dtype.kind == "f":
        raise TiffError("Predictor 2 with floating-point samples")
    unsigned = values.view(f"u{values.dtype.itemsize}")
    pixels = unsigned.reshape(*values.shape[:-1], -1, samples)
    return np.cumsum(pixels, axis=-2, dtype=unsigned.dtype).view(values.dtype).reshape(values.shape)


def _sum_of_float_bytes(blocks: NDArray[np.uint8], dtype: np.dtype[Any], samples: int) -> NDArray[Any]:
    """Undo Predictor 3 (TIFF Technical Note 3): differences of bytes, those of the highest order first in each row."""
    if dtype.kind != "f":
        raise TiffError("Predictor 3 with whole numbers")
    size = dtype.itemsize
    pixels = blocks.reshape(*blocks.shape[:-1], -1, samples)
    summed = np.cumsum(pixels, axis=-2, dtype=np.uint8).reshape(*blocks.shape[:-1], size, -1)
    joined = np.ascontiguousarray(np.moveaxis(summed, -2, -1))
    return joined.reshape(*blocks.shape[:-1], -1).view(f">f{size}").astype(f"=f{size}")
