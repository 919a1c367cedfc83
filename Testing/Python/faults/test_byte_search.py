"""The search for a word in files finds it however it is packed."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, PngImagePlugin
from pyarrow import parquet

from support.byte_search import words_below, words_in

WORD = "Quixote^Alonso"


def a_png(compressed: bool) -> bytes:
    said, out = PngImagePlugin.PngInfo(), io.BytesIO()
    said.add_text("Comment", WORD, zip=compressed)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(out, "PNG", pnginfo=said)
    return out.getvalue()


def a_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", WORD * 9)
    return out.getvalue()


def a_parquet() -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table({"name": [WORD, "b"]}), out, compression="gzip")
    return out.getvalue()


PACKED: dict[str, Callable[[], bytes]] = {
    "as it is": lambda: b"x" + WORD.encode() + b"y",
    "in capitals": lambda: WORD.upper().encode(),
    "in UTF-16": lambda: WORD.encode("utf-16"),
    "gzip behind a header": lambda: b"NRRD0004\n\n" + gzip.compress(WORD.encode() * 3),
    "zlib": lambda: b"head" + zlib.compress(WORD.encode() * 3),
    "PNG text": lambda: a_png(False),
    "compressed PNG text": lambda: a_png(True),
    "PNG in base64 in a page": lambda: b'<img src="data:image/png;base64,' + base64.b64encode(a_png(True)) + b'">',
    "base64": lambda: base64.b64encode(b"the name of a person: " + WORD.encode()),
    "gzip in base64": lambda: base64.b64encode(gzip.compress(WORD.encode() * 3)),
    "ZIP": a_zip,
    "Parquet": a_parquet,
}


@pytest.mark.parametrize("how", sorted(PACKED))
def test_a_word_is_found_however_it_is_packed(how: str) -> None:
    assert words_in(PACKED[how](), (WORD, "Panza")) == [WORD]


def test_digits_of_a_hash_do_not_count() -> None:
    assert words_in(b"0" * 30 + b"19470913" + b"0" * 26, ("19470913",)) == []


def test_names_of_files_count(tmp_path: Path) -> None:
    (tmp_path / "Quixote.nrrd").write_bytes(b"")
    (tmp_path / "b").write_bytes(b"quixote")
    assert words_below(tmp_path, ("quixote",)) == {"Quixote.nrrd": ["quixote"], "b": ["quixote"]}
