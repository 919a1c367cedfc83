"""CSV and JSON as TomoRay writes them: UTF-8, one newline at each line's end, no NaN in JSON.

A spreadsheet takes a cell that begins with =, +, - or @ for a formula, and runs it. Texts that begin so, such as names
of files, are written with an apostrophe in front, as spreadsheets themselves mark a text; numbers stay as they are.
Control characters are written out, a tab as ``\\t``.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from TomoRayLib.base.files import write_text
from TomoRayLib.base.plain_text import plain

_LIKE_A_FORMULA = re.compile(r"'*[=+\-@\n\uff0b\uff0d\uff1d\uff20]")  # the last four: their full-width forms
_MARKED = re.compile(r"'+[=+\-@\n\uff0b\uff0d\uff1d\uff20]")
# A number, or several in words of their own: -0.3, -1.2 ± 0.4, -1.2 (-2.0–0.1)
_NUMBERS = re.compile(
    r"[-+]?(\d+\.?\d*|\.\d+|inf|nan)(e[-+]?\d+)?( ± [\d.]+| \([-+]?[\d.]+–[-+]?[\d.]+\))?|-", re.IGNORECASE
)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a header line; lines end with a newline on every system, and no cell is a formula."""
    return csv_lines([header, *rows])


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Lines of a table that has its header already."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue()


def csv_cell(value: object) -> object:
    """Return a value as it is written into a cell: a text that a spreadsheet would run begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    text = plain(value, newline=True)
    return f"'{text}" if _LIKE_A_FORMULA.match(text) and not _NUMBERS.fullmatch(text) else text


def csv_rows(path: Path) -> list[list[str]]:
    """Return the rows of a table that ``csv_text`` wrote, the header first, with its texts as they were but for
    control characters.

    Raises OSError if the file cannot be read.
    """
    return csv_rows_of(path.read_bytes().decode("utf-8"))


def csv_rows_of(text: str) -> list[list[str]]:
    """Return the rows of a table's text, as ``csv_rows`` does."""
    return [
        [cell[1:] if _MARKED.match(cell) else cell for cell in row] for row in csv.reader(io.StringIO(text, newline=""))
    ]


def csv_records(path: Path) -> list[dict[str, str]]:
    """Return the rows of ``csv_rows`` by the names of their columns. Raises OSError if the file cannot be read."""
    header, *rows = csv_rows(path) or [[]]
    return [dict(zip(header, row, strict=False)) for row in rows]


def json_text(content: Mapping[str, Any]) -> str:
    """An object as indented JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``json_text`` atomically. Raises OutputError if the place cannot be written."""
    write_text(path, json_text(content))
