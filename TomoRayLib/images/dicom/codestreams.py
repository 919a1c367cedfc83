"""The size of a compressed image, and whether its values were changed, as its codestream states them.

JPEG (ISO 10918-1), JPEG-LS (ISO 14495-1), JPEG 2000 and HTJ2K (ISO 15444-1, -15).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"
_JP2 = b"\0\0\0\x0cjP  "
_CODING_STYLE = b"\xff\x52"  # COD of JPEG 2000
_DCT_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_JPEG_LS_FRAME, _SCAN = 0xF7, 0xDA
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


def changes_values(frame: bytes) -> bool:
    """Return True for a codestream that cannot give back the values it was made of.

    That is JPEG by cosines, JPEG-LS with NEAR above 0, and JPEG 2000 with its irreversible wavelet (9-7).
    """
    try:
        if frame.startswith(_JPEG):
            return _changes_jpeg(frame)
        start = frame.index(_JPEG_2000)
        return frame[frame.index(_CODING_STYLE, start) + 13] == 0
    except (struct.error, IndexError, ValueError):
        return False


def _jpeg_size(frame: bytes) -> tuple[int, int, int, int] | None:
    for marker, place in _jpeg_segments(frame):
        if marker in _FRAME_HEADERS:
            bits, rows, columns, samples = struct.unpack(">BHHB", frame[place + 2 : place + 8])
            return rows, columns, samples, bits
    return None


def _changes_jpeg(frame: bytes) -> bool:
    kind = 0
    for marker, place in _jpeg_segments(frame):
        if marker in _FRAME_HEADERS:
            kind = marker
        if marker == _SCAN:  # of JPEG-LS: length, count, two bytes for each component, NEAR
            return kind in _DCT_FRAMES or (kind == _JPEG_LS_FRAME and frame[place + 3 + 2 * frame[place + 2]] > 0)
    return False


def _jpeg_segments(frame: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker and the place of the length of each segment up to the first scan."""
    place = 2
    while frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        yield marker, place + 2
        if marker == _SCAN:
            return
        place += 2 + int(struct.unpack(">H", frame[place + 2 : place + 4])[0])
