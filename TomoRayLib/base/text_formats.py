"""CSV and JSON as TomoRay writes them: UTF-8, one newline at each line's end, no NaN in JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from TomoRayLib.base.files import write_atomically


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a header line; lines end with a newline on every system."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def json_text(content: Mapping[str, Any]) -> str:
    """An object as indented JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``json_text`` atomically. Raises OutputError if the place cannot be written."""
    with write_atomically(path) as partial:
        partial.write_text(json_text(content), encoding="utf-8")
