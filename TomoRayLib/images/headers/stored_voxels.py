"""Voxels of a NIfTI, NRRD or MetaImage file as they are stored, raw or compressed by zlib, read without ITK.

A reader that is given a damaged or hostile header may crash, or ask for more memory than there is. Here the room is
made once the header was checked against the file (``declared_size``), and filled as far as bytes come.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
_ANY_STREAM = 47  # zlib's wbits for a stream of gzip or zlib, with the checksum of either
_BLOCK = 2**23  # bytes at a time, packed or not: few, as each waits for its turn if another thread runs Python
_LONGEST_REST = 2**24  # bytes after the voxels, of padding


@dataclass(frozen=True)
class StoredVoxels:
    """Where voxels lie, and what they are.

    Args:
        file: The file that holds them.
        begin: Its first byte of voxels or of their compressed stream.
        skipped: Bytes before them in that stream.
        packed: Whether they are compressed.
        dtype: Their number type and byte order.
        shape: Counts from slow to fast: (z, y, x), perhaps with values per voxel behind.
    """

    file: Path
    begin: int
    skipped: int
    packed: bool
    dtype: str
    shape: tuple[int, ...]

    @property
    def declared(self) -> int:
        """Bytes, before compression."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def read_voxels(stored: StoredVoxels, path: Path) -> NDArray[Any]:
    """Read voxels in the byte order of this machine.

    Args:
        stored: Where they lie; what it declares must have been checked.
        path: The file that was named, for messages.

    Raises:
        InputError: If bytes are missing, more come than a header with some padding explains, or the compressed stream
            is damaged, which its checksum shows.
    """
    values: NDArray[Any] = np.empty(stored.shape, stored.dtype)
    room = values.reshape(-1).view(np.uint8).data
    place = -stored.skipped  # of the next block among the voxels
    try:
        for block in _blocks(stored):
            part = block[max(-place, 0) : max(len(room) - place, 0)]
            start = max(place, 0)
            room[start : start + len(part)] = part
            place += len(block)
            if stored.packed and place > 2 * len(room) + _LONGEST_REST:
                raise _damaged(path, f"more than {place} bytes where its header says {len(room)}")
            if not stored.packed and place >= len(room):
                break
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    if place < len(room):
        raise _damaged(path, f"{max(place, 0)} of {len(room)} bytes of voxels")
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _blocks(stored: StoredVoxels) -> Iterator[bytes]:
    """Give the content of a file from the voxels on, decompressed if it is compressed, as ``inflated`` does."""
    with stored.file.open("rb") as stream:
        stream.seek(stored.begin)
        if stored.packed:
            yield from inflated(stream)
            return
        while block := stream.read(_BLOCK):
            yield block


def inflated(stream: BinaryIO, at_once: int = _BLOCK) -> Iterator[bytes]:
    """Give the content of a stream of gzip or zlib, in one part or several; what follows them, as padding, is left out.

    Args:
        stream: The file, from the first byte of the stream on.
        at_once: Bytes to read, and to give, at a time.

    Raises:
        zlib.error: If a part is damaged, which its checksum shows.
        EOFError: If one ends too early.
    """
    block = stream.read(at_once)
    member = zlib.decompressobj(_ANY_STREAM)
    while True:
        if content := member.decompress(block, at_once):
            yield content
        block = member.unused_data if member.eof else member.unconsumed_tail
        if len(block) < len(GZIP_MAGIC):
            block += stream.read(at_once)
        if member.eof:
            if not block.startswith(GZIP_MAGIC):  # the end, or padding
                return
            member = zlib.decompressobj(_ANY_STREAM)  # files may be compressed in parts
        elif not block and not content:
            raise EOFError("compressed data that end too early")


def _damaged(path: Path, found: str) -> InputError:
    return InputError(f"{path}: expected readable voxels, got {found}: the file is damaged; copy or export it again.")
