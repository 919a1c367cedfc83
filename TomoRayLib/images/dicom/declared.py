"""What the header of a DICOM image declares against what its file and memory can hold, asked before it is decoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGExtended12Bit, RLELossless

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.memory import available_memory_bytes
from TomoRayLib.images.declared_size import (
    DEFLATE,
    HUFFMAN_JPEG,
    NOT_COMPRESSED,
    PACK_BITS,
    UNLIMITED,
    check_declared,
    size_text,
)
from TomoRayLib.images.dicom.header import number_of

MOST_FRAMES = 10**6
MOST_PIXELS = 10**9  # of a frame; 30000 x 30000
_RATIOS = {
    DeflatedExplicitVRLittleEndian: DEFLATE,
    RLELossless: PACK_BITS,
    JPEGBaseline8Bit: HUFFMAN_JPEG,
    JPEGExtended12Bit: HUFFMAN_JPEG,
}
_LARGEST_INFLATED = 4 * 10**9  # bytes of a deflated data set
_USUAL_INFLATED, _USUAL_RATIO = 2**29, 64  # bytes; beyond them, how much larger than its file it can be
_LEAST_OF_A_BOMB = 2**17  # bytes; what is smaller inflates to 135 MB at most
_META_BYTES = 2**16  # where the transfer syntax stands; the usual group has a few hundred


def check_frames(datasets: Iterable[tuple[pydicom.Dataset, Path]], *, together: bool = True) -> None:
    """Raise InputError for frames that no image has, that their files cannot hold, or that memory cannot.

    Args:
        datasets: The images, each with its file.
        together: Whether the values of all frames are to be in memory together, or those of one after another.
    """
    declared = held = memory = 0
    ratio, first = 0.0, Path()
    for dataset, path in datasets:
        rows, columns, samples, bits = (
            int(number_of(dataset, keyword) or least)
            for keyword, least in (("Rows", 0), ("Columns", 0), ("SamplesPerPixel", 1), ("BitsAllocated", 16))
        )
        count = int(number_of(dataset, "NumberOfFrames") or 1)
        if rows * columns > MOST_PIXELS or count > MOST_FRAMES:
            raise InputError(
                f"{path}: expected at most {MOST_PIXELS // 10**6} million pixels and {MOST_FRAMES // 10**6} million "
                f"frames, got {columns} x {rows} in {count} frames in the header; it is damaged: export it again."
            )
        values = rows * columns * samples * count
        declared += values * bits // 8
        memory += max(values * bits // 8, 2 * values) if together else 0
        held += path.stat().st_size
        stated = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
        ratio = max(ratio, _ratio_of(stated))
        first = path if held == path.stat().st_size else first
    check_declared(first, declared, held, "pixels", ratio=ratio, memory=memory)


def _ratio_of(syntax: pydicom.uid.UID | None) -> float:
    if syntax in _RATIOS:
        return _RATIOS[syntax]
    return UNLIMITED if syntax is not None and syntax.is_encapsulated else NOT_COMPRESSED


def check_inflates(file: BinaryIO, path: Path) -> None:
    """Raise InputError for a deflated data set (PS3.5 A.5) that is larger than memory, or than any image.

    The file is read from its beginning, and left there.
    """
    size = path.stat().st_size
    file.seek(0)
    start = file.read(_META_BYTES) if size >= _LEAST_OF_A_BOMB else b""
    file.seek(0)
    name = str(DeflatedExplicitVRLittleEndian).encode()
    place = start.find(name)
    if place < 0:
        return
    free = available_memory_bytes()
    most = min(_LARGEST_INFLATED, max(_USUAL_INFLATED, _USUAL_RATIO * size))
    most = most if free is None else min(most, free // 3)  # unpacked, as stored values, as grey values
    found = max(_inflated(file, begin, most) for begin in _data_set_begins(start, place + len(name)))
    file.seek(0)
    if found > most:
        raise InputError(
            f"{path}: expected at most {size_text(most)} of data, got more in a deflated file of {size_text(size)}; it "
            "is damaged: export it without compression."
        ) from MemoryError(f"more than {size_text(most)}")


def _data_set_begins(start: bytes, place: int) -> list[int]:
    """Where the deflated data set may begin: after the group of meta information, whose length stands first in it."""
    mark = start.find(b"\x02\0\0\0UL\x04\0", 0, place)
    if mark >= 0 and mark + 12 <= len(start):
        return [mark + 12 + int.from_bytes(start[mark + 8 : mark + 12], "little")]
    return list(range(place, min(place + 64, len(start))))  # not stated: the syntax is among the last of the group


def _inflated(file: BinaryIO, begin: int, most: int) -> int:
    """How many bytes the file inflates to from ``begin`` on; no more than ``most`` are counted."""
    file.seek(begin)
    stream, found = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        block = file.read(2**20)
        while block and found <= most and not stream.eof:
            found += len(stream.decompress(block, 2**22))
            block = stream.unconsumed_tail or file.read(2**20)
    except zlib.error:  # pydicom says so
        pass
    return found
