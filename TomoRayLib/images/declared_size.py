"""Whether memory, and the file itself, can hold what its header declares: asked before any of it is asked for."""

from __future__ import annotations

from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.memory import available_memory_bytes

NOT_COMPRESSED = 1.0
# How much larger than its compressed form content can be, by the definitions of the formats.
DEFLATE = 1032.0  # gzip, zlib, PNG: 258 bytes by two bits
LZW = 1400.0  # codes of 12 bits for strings of at most 4 kB, half of that on average
PACK_BITS = 64.0  # RLE: 128 bytes by two
HUFFMAN_JPEG = 2048.0  # a bit for a block of 64 values, of which some components have a quarter
UNLIMITED = float("inf")  # JPEG 2000, JPEG-LS, LZMA, Zstandard: nothing at all may stand for a plane


def check_declared(
    path: Path,
    declared: int,
    held: int,
    what: str = "voxels",
    *,
    ratio: float = NOT_COMPRESSED,
    memory: int | None = None,
) -> None:
    """Check what a header declares against the memory that is free and the bytes that are there.

    Args:
        path: The file, for messages.
        declared: Bytes of ``what``, not compressed.
        held: Bytes of the file or files that they are in.
        what: What is declared, for messages.
        ratio: How much larger than in the file it can be.
        memory: Bytes of memory that reading takes at least, if more than ``declared``.

    Raises:
        InputError: If there are fewer bytes than ``declared`` needs, or too little memory; then MemoryError is its
            cause, so that the command ends as out of memory.
    """
    free, need = available_memory_bytes(), max(declared, memory or 0)
    is_there = ratio == UNLIMITED or declared <= held * ratio
    if free is not None and need > free:
        advice = "close other programs, or use a smaller image" if is_there else "it is damaged: export it again"
        raise InputError(
            f"{path}: expected {size_text(need)} of free memory for the {size_text(declared)} of {what} that its "
            f"header declares, got {size_text(free)}; the file holds {size_text(held)}. Not read: {advice}."
        ) from MemoryError(f"{size_text(need)} needed, {size_text(free)} free")
    if not is_there:
        compressed = "" if ratio == NOT_COMPRESSED else ", too few by any compression that it states"
        raise InputError(
            f"{path}: expected {size_text(declared)} of {what}, which its header declares, got {size_text(held)} in "
            f"the file{compressed}: it is truncated or its header is damaged; copy or export it again."
        )


def size_text(count: int) -> str:
    """A number of bytes in words: 34 GB, 2.1 kB."""
    if count >= 10**18:
        return f"more than {10**9} GB"
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.{0 if count >= 10 * unit else 1}f} {name}"
    return f"{count} bytes"
