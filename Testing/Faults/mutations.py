"""Damage done to files: bits, lengths, numbers and pieces, the same for the same seed."""

from __future__ import annotations

import gzip
import random
import re
import struct
import zlib

GZIP_MAGIC = b"\x1f\x8b"
LONGEST_INSERT = 64
# What stands in a header where a number was expected, or another one.
TEXTS = (
    *(b"0", b"-1", b"1", b"3", b"255", b"65535", b"65536", b"2147483647", b"4294967296", b"9" * 18),
    *(b"1" + b"0" * 30, b"9" * 5000, b"1e308", b"1e400", b"-1e400", b"nan", b"inf", b"-inf", b"1e-300", b"0.0"),
    *(
        b"",
        b"x",
        b"none",
        b"None",
        b"1,5",
        b"0x10",
        b"1 2 3",
        b"(",
        b")",
        b"%d",
        b"../x",
        b"\xff\xfe",
        b"\0",
        b"a" * 250,
    ),
)
NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 31, 64, 127, 128, 255, 256, 512, 4095, 32767, 32768, 65534, 65535)
NUMBERS += (2**31 - 1, 2**31, 2**32 - 1)
DEEP = (b"[" * 20_000, b'{"a":' * 20_000, b"(" * 20_000)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_][A-Za-z_ ]{2,20}")


def mutated(content: bytes, others: list[bytes], dice: random.Random) -> bytes:
    """Return a file with one to three kinds of damage.

    Args:
        content: A valid file. What gzip packed is also damaged before it is packed again.
        others: Further valid files, pieces of which may take the place of its own.
        dice: Decides.
    """
    if content.startswith(GZIP_MAGIC) and dice.random() < 0.6:
        return gzip.compress(mutated(gzip.decompress(content), others, dice), mtime=0)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        content = dice.choice(_DAMAGES)(content, others, dice)
    return _with_checksums(content) if content.startswith(b"\x89PNG") and dice.random() < 0.7 else content


def _bits(content: bytes, _: list[bytes], dice: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 8, 32))):
        if damaged:
            damaged[_place(damaged, dice)] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def _bytes(content: bytes, _: list[bytes], dice: random.Random) -> bytes:
    damaged, place = bytearray(content), _place(content, dice)
    count = dice.choice((1, 2, 4, 16))
    damaged[place : place + count] = bytes([dice.choice((0, 0xFF, 0x7F, 0x80, dice.randrange(256)))]) * count
    return bytes(damaged)


def _cut(content: bytes, _: list[bytes], dice: random.Random) -> bytes:
    return content[: dice.choice((_place(content, dice), len(content) - dice.randrange(1, 20)))]


def _left_out(content: bytes, _: list[bytes], dice: random.Random) -> bytes:
    place = _place(content, dice)
    return content[:place] + content[place + dice.choice((1, 2, 8, 100)) :]


def _inserted(content: bytes, _: list[bytes], dice: random.Random) -> bytes:
    place = _place(content, dice)
    more = dice.randbytes(dice.randrange(1, LONGEST_INSERT)) if dice.random() < 0.9 else dice.choice(DEEP)
    return content[:place] + more + content[place:]


def _number_in_text(content: bytes, _: list[bytes], dice: random.Random) -> bytes:
    found = list(_NUMBER.finditer(content[:20_000]))
    if not found:
        return content
    one = dice.choice(found)
    return content[: one.start()] + dice.choice(TEXTS) + content[one.end() :]


def _word(content: bytes, _: list[bytes], dice: random.Random) -> bytes:
    found = list(_WORD.finditer(content[:20_000]))
    if len(found) < 2:
        return content
    one, other = dice.choice(found), dice.choice(found)
    return content[: one.start()] + dice.choice((other[0], other[0], b"", b"z" * 250)) + content[one.end() :]


def _number(content: bytes, _: list[bytes], dice: random.Random) -> bytes:
    damaged, code = bytearray(content), dice.choice(("<H", ">H", "<I", ">I", "<f", "<d"))
    size = struct.calcsize(code)
    if len(damaged) < size:
        return content
    place = min(_place(damaged, dice) & ~1, len(damaged) - size)
    value: float = dice.choice(NUMBERS)
    if code[1] in "fd":
        value = dice.choice((0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), float("-inf")))
    elif code[1] == "H":
        value = int(value) & 0xFFFF
    struct.pack_into(code, damaged, place, value)
    return bytes(damaged)


def _splice(content: bytes, others: list[bytes], dice: random.Random) -> bytes:
    other = dice.choice(others) if others else content
    begin, place = _place(other, dice), _place(content, dice)
    piece = other[begin : begin + dice.choice((4, 16, 100, 1000))]
    return content[:place] + piece + content[place + dice.choice((0, len(piece))) :]


def _repeated(content: bytes, _: list[bytes], dice: random.Random) -> bytes:
    begin, place = _place(content, dice), _place(content, dice)
    return (
        content[:place] + content[begin : begin + dice.choice((8, 64, 512))] * dice.choice((1, 2, 50)) + content[place:]
    )


def _place(content: bytes | bytearray, dice: random.Random) -> int:
    """A place in a file, often in its first kilobyte, where headers are."""
    if not content:
        return 0
    return dice.randrange(min(len(content), 1024) if dice.random() < 0.7 else len(content))


def _with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have right checksums, so that what is in them is looked at."""
    parts, place = [content[:8]], 8
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        body = content[place + 4 : place + 8 + length]
        if len(body) < length + 4:
            break
        parts.append(content[place : place + 4] + body + struct.pack(">I", zlib.crc32(body)))
        place += 12 + length
    return b"".join([*parts, content[place:]])


_DAMAGES = (
    *(_bits, _bits, _bytes, _bytes, _cut, _left_out, _inserted, _number, _number, _number),
    *(_number_in_text, _number_in_text, _number_in_text, _word, _splice, _repeated),
)
