"""The size of a compressed image as its codestream states it.

JPEG (ISO 10918-1), JPEG-LS (ISO 14495-1), JPEG 2000 and HTJ2K (ISO 15444-1, -15).
"""

from __future__ import annotations

import struct

_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"
_JP2 = b"\0\0\0\x0cjP  "
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})  # SOF of all kinds


def stated_size(frame: bytes) -> tuple[int, int, int, int] | None:
    """Return (rows, columns, values per pixel, bits of a value) of a codestream, None if it is another or broken."""
    try:
        if frame.startswith(_JPEG):
            return _jpeg_size(frame)
        if frame.startswith(_JP2):  # a file in place of the bare codestream
            frame = frame[frame.index(_JPEG_2000) :]
        if frame.startswith(_JPEG_2000):
            width, height, left, top = struct.unpack(">4I", frame[8:24])
            samples, depth = struct.unpack(">HB", frame[40:43])
            return height - top, width - left, samples, (depth & 0x7F) + 1
    except (struct.error, IndexError, ValueError):
        pass
    return None


def _jpeg_size(frame: bytes) -> tuple[int, int, int, int] | None:
    """Walk the segments to the frame header."""
    place = 2
    while frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        length, bits, rows, columns, samples = struct.unpack(">HBHHB", frame[place + 2 : place + 10])
        if marker in _FRAME_HEADERS:
            return rows, columns, samples, bits
        place += 2 + length
    return None
