"""The pages of a TIFF file as its directories describe them; pixels are read elsewhere.

TIFF 6.0 (Adobe, 1992) and BigTIFF (https://www.awaresystems.be/imaging/tiff/bigtiff.html), both byte orders.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader

_LARGEST_DIRECTORY = 4096  # entries
_LARGEST_VALUE = 2**26  # bytes of a tag; offsets of a million strips have 8
_MOST_PAGES = 64  # enough to say that it is not one picture
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_FRACTIONS = {5: "II", 10: "ii"}
_BYTES = (2, 7)
_NAMES = {256: "ImageWidth", 257: "ImageLength", 273: "StripOffsets", 279: "StripByteCounts"}

Value = tuple[int, ...] | tuple[float, ...] | bytes


class TiffError(ValueError):
    """A directory that the definition of the format does not allow."""


@dataclass(frozen=True)
class TiffPage:
    """One directory: its tags by number, each a tuple of numbers or bytes. ``byte_order`` is that of ``struct``."""

    byte_order: str
    tags: Mapping[int, Value]

    @property
    def width(self) -> int:
        return self.required(256)[0]

    @property
    def height(self) -> int:
        return self.required(257)[0]

    @property
    def samples(self) -> int:
        return self.number(277, 1)

    @property
    def bits(self) -> tuple[int, ...]:
        """Bits of each sample; one number stands for all of them."""
        bits = self.numbers(258, (1,))
        return bits * self.samples if len(bits) == 1 else bits

    @property
    def sample_format(self) -> int:
        """1 unsigned, 2 signed, 3 float (SampleFormat, 339); the undefined 4 counts as unsigned."""
        formats = set(self.numbers(339, (1,)))
        if len(formats) != 1:
            raise TiffError(f"SampleFormat {self.numbers(339, (1,))}: samples of different kinds")
        return {4: 1}.get(min(formats), min(formats))

    @property
    def photometric(self) -> int | None:
        return self.number(262, -1) if 262 in self.tags else None

    @property
    def compression(self) -> int:
        return self.number(259, 1)

    @property
    def predictor(self) -> int:
        return self.number(317, 1)

    @property
    def is_planar(self) -> bool:
        """True if each sample has strips or tiles of its own."""
        return self.number(284, 1) == 2 and self.samples > 1

    @property
    def orientation(self) -> int:
        return self.number(274, 1)

    @property
    def tile(self) -> tuple[int, int] | None:
        """Width and height of a tile, None for strips."""
        if 322 not in self.tags:
            return None
        return self.required(322)[0], self.required(323)[0]

    @property
    def rows_per_strip(self) -> int:
        return min(self.number(278, self.height), self.height)

    @property
    def is_reduced(self) -> bool:
        """True for a thumbnail or a mask of another page (NewSubfileType 254, SubfileType 255)."""
        return bool(self.number(254, 0) & 0b101) or self.number(255, 1) == 2

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """Offset and number of bytes of each strip or tile."""
        offsets, counts = (self.required(324 if self.tile else 273), self.numbers(325 if self.tile else 279, ()))
        if not counts and self.compression == 1 and len(offsets) == 1:  # old writers leave out StripByteCounts
            counts = (self.height * -(-self.width * sum(self.bits) // 8),)
        if len(offsets) != len(counts):
            raise TiffError(f"{len(offsets)} offsets of strips or tiles with {len(counts)} sizes")
        return tuple(zip(offsets, counts, strict=True))

    @property
    def description(self) -> str:
        text = self.tags.get(270, b"")
        return text.decode("utf-8", "replace").rstrip("\0") if isinstance(text, bytes) else ""

    def numbers(self, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return the whole numbers of a tag. Raises TiffError if it holds something else."""
        value = self.tags.get(tag, default)
        if isinstance(value, bytes) or any(not isinstance(number, int) for number in value):
            raise TiffError(f"tag {tag} ({_NAMES.get(tag, 'see TIFF 6.0')}) is not a whole number")
        return tuple(int(number) for number in value)

    def number(self, tag: int, default: int) -> int:
        return (self.numbers(tag, (default,)) or (default,))[0]

    def required(self, tag: int) -> tuple[int, ...]:
        numbers = self.numbers(tag, ())
        if not numbers or min(numbers) < 0:
            raise TiffError(f"tag {tag} ({_NAMES.get(tag, 'see TIFF 6.0')}) is missing or negative")
        return numbers


def read_pages(file: BufferedReader) -> list[TiffPage]:
    """Read every directory of the main chain. Raises TiffError for one that cannot be understood."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    version = struct.unpack_from(order + "H", head, 2)[0] if order and len(head) >= 8 else 0
    if version not in (42, 43) or (version == 43 and len(head) < 16):
        raise TiffError("it does not begin as a TIFF file does")
    big = version == 43
    offset = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
    pages: list[TiffPage] = []
    seen: set[int] = set()
    while offset and offset not in seen and len(pages) < _MOST_PAGES:
        seen.add(offset)
        tags, offset = _directory(file, offset, order, big)
        pages.append(TiffPage(order, tags))
    if not pages:
        raise TiffError("it holds no picture")
    return pages


def _directory(file: BufferedReader, offset: int, order: str, big: bool) -> tuple[dict[int, Value], int]:
    """The tags of one directory and the offset of the next."""
    count_code, entry_length, next_code = ("Q", 20, "Q") if big else ("H", 12, "I")
    file.seek(offset)
    count = _unpacked(file, order + count_code)
    if count > _LARGEST_DIRECTORY:
        raise TiffError(f"a directory of {count} entries")
    entries = file.read(count * entry_length)
    if len(entries) < count * entry_length:
        raise TiffError("its directory is cut off")
    following = file.read(struct.calcsize(next_code))
    tags: dict[int, Value] = {}
    for start in range(0, len(entries), entry_length):
        tag, kind, length = struct.unpack_from(order + ("HHQ" if big else "HHI"), entries, start)
        inline = entries[start + (12 if big else 8) : start + entry_length]
        value = _value(file, order, kind, length, inline)
        if value is not None:
            tags.setdefault(tag, value)
    complete = len(following) == struct.calcsize(next_code)  # some writers end the file before it
    return tags, struct.unpack(order + next_code, following)[0] if complete else 0


def _value(file: BufferedReader, order: str, kind: int, length: int, inline: bytes) -> Value | None:
    """The value of one entry; None for kinds that no tag of interest has."""
    code = _NUMBERS.get(kind) or _FRACTIONS.get(kind) or ("s" if kind in _BYTES else None)
    if code is None:
        return None
    size = length * struct.calcsize("=" + code)
    content = inline[:size]
    if size > _LARGEST_VALUE:
        raise TiffError(f"a tag of {size} bytes")
    if size > len(inline):
        file.seek(struct.unpack_from(order + ("Q" if len(inline) == 8 else "I"), inline)[0])
        content = file.read(size)
    if len(content) < size:
        return None
    if kind in _BYTES:
        return content
    numbers = struct.unpack(order + code * length, content) if len(code) > 1 else ()
    if kind in _FRACTIONS:
        return tuple(top / bottom if bottom else 0.0 for top, bottom in zip(numbers[::2], numbers[1::2], strict=True))
    return struct.unpack(f"{order}{length}{code}", content)


def _unpacked(file: BufferedReader, code: str) -> int:
    content = file.read(struct.calcsize(code))
    if len(content) < struct.calcsize(code):
        raise TiffError("its directory is cut off")
    return int(struct.unpack(code, content)[0])
