"""Everything that a file holds, unpacked: for a search for words that must be nowhere in it."""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

HASH = re.compile(rb"[0-9a-f]{64}")  # of a file: its digits may be those of any number
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
_ZLIB_BEGINNINGS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_DEEPEST = 4


def words_in(content: bytes, words: Iterable[str]) -> list[str]:
    """Return those words that stand anywhere in a content, whatever their case, as UTF-8 or UTF-16, also within gzip,
    zlib, PNG, ZIP, base64 and Parquet; digits of SHA-256 hashes do not count."""
    spelt = {word: (word.lower().encode("utf-8"), word.lower().encode("utf-16-le")) for word in words}
    found = set()
    for part in parts_of(content):
        lowered = HASH.sub(b"", part.lower())
        found |= {word for word, ways in spelt.items() if any(way in lowered for way in ways)}
    return sorted(found)


def words_below(folder: Path, words: Iterable[str]) -> dict[str, list[str]]:
    """Return the words in each file below a folder that holds some, its name among it."""
    wanted = list(words)
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        contents = (name.encode("utf-8", "surrogateescape"), path.read_bytes() if path.is_file() else b"")
        if here := {word for content in contents for word in words_in(content, wanted)}:
            found[name] = sorted(here)
    return found


def parts_of(content: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield a content, and all that is packed in it."""
    yield content
    if depth == _DEEPEST:
        return
    for part in _packed(content):
        yield from parts_of(part, depth + 1)


def _packed(content: bytes) -> Iterator[bytes]:
    if content.startswith(b"\x89PNG"):
        yield from _png_texts(content)
        return
    if content.startswith(b"PK\x03\x04"):
        yield from _zip_members(content)
        return
    if content.startswith(b"PAR1"):
        yield _parquet_text(content)
        return
    yield from _streams(content, (b"\x1f\x8b\x08",), 31)
    yield from _streams(content, _ZLIB_BEGINNINGS, 15)
    for match in _BASE64.finditer(content):
        try:
            decoded = base64.b64decode(match[0] + b"=" * (-len(match[0]) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        if _looks_packed(decoded) or _looks_like_text(decoded):
            yield decoded


def _looks_packed(content: bytes) -> bool:
    return content.startswith((b"\x89PNG", b"\x1f\x8b", b"PK", *_ZLIB_BEGINNINGS))


def _looks_like_text(content: bytes) -> bool:
    return all(byte >= 9 for byte in content)


def _streams(content: bytes, beginnings: tuple[bytes, ...], window: int) -> Iterator[bytes]:
    for beginning in beginnings:
        place = content.find(beginning)
        tries = 0
        while place >= 0 and tries < 2000:  # two bytes stand by chance in any picture
            tries += 1
            unpacker = zlib.decompressobj(window)
            try:
                unpacked = unpacker.decompress(content[place:])
            except zlib.error:
                unpacked = b""
            if len(unpacked) > 8:
                yield unpacked
            place = content.find(beginning, place + 1)


def _png_texts(content: bytes) -> Iterator[bytes]:
    place = 8
    while place + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        chunk = content[place + 8 : place + 8 + length]
        if kind in (b"zTXt", b"iTXt", b"iCCP", b"eXIf"):
            yield from _streams(chunk, _ZLIB_BEGINNINGS, 15)
        place += 12 + length


def _zip_members(content: bytes) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield archive.read(name)
    except (zipfile.BadZipFile, zlib.error):
        return


def _parquet_text(content: bytes) -> bytes:
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(content))
    return f"{table.to_pydict()} {table.schema.metadata}".encode()
