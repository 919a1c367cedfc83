"""Names of a label map's numbers: in the file's own header, or in a table beside it.

=============================  =====================================================================================
source                         where
=============================  =====================================================================================
3D Slicer segmentation         ``.seg.nrrd``: SegmentN_Name, _LabelValue, _Layer, terminology in _Tags
NIfTI with a label table       header extension in XML (CaretXML), as TotalSegmentator's ``--ml`` and Connectome
                               Workbench write it
nnU-Net                        ``dataset.json`` in the folder of the mask, or above ``labelsTr`` and ``labelsTs``
BIDS                           ``<stem>.tsv``, or ``dseg.tsv`` above a ``_dseg`` file: columns index and name
JSON of the same stem          ``labels`` or ``LabelMap``: number to name, or name to number
ITK-SNAP, 3D Slicer            label descriptions (``.txt``), colour table (``.ctbl``): of the same stem, or the one in
                               the folder
=============================  =====================================================================================
"""

from __future__ import annotations

import csv
import gzip
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from TomoRayLib.anatomy.vertebrae import terms_of_entry
from TomoRayLib.base.text_files import json_value, read_text
from TomoRayLib.images.cohort_finder import stem_of

_LARGEST_HEADER = 4_000_000
_LARGEST_TABLE = 1_000_000
_MOST_DIGITS = 9  # of a label
_ABOVE_BIDS = 3  # folders
_MOST_TABLES = 20  # texts in a folder that are looked at; more are no tables for all of its masks


@dataclass(frozen=True)
class NamedLabel:
    """One number of a label map and its names, the best first; ``layer`` is that of a layered ``.seg.nrrd``."""

    number: int
    texts: tuple[str, ...]
    layer: int = 0


@dataclass(frozen=True)
class LabelNames:
    """The names of a label map's numbers, and where they are from (``"the segments' names"``, a file's name)."""

    source: str
    labels: tuple[NamedLabel, ...]
    from_slicer: bool = False

    @property
    def has_layers(self) -> bool:
        """True if the segments lie in several layers, as overlapping ones do."""
        return len({label.layer for label in self.labels}) > 1


def names_of_labels(path: Path) -> LabelNames | None:
    """Look for names of a label map's numbers: in its own header first, then in a table beside it.

    Args:
        path: The file of the label map.

    Returns:
        The names; None if there are none, or the table beside it cannot be read.
    """
    for look in (_of_nrrd, _of_nifti, _of_same_stem, _of_nnunet, _of_bids, _of_only_table):
        found = look(path)
        if found is not None and found.labels:
            return found
    return None


def names_of_segments(names: Mapping[int, str]) -> LabelNames:
    """Return the names of a file's segments as those of a label map.

    Args:
        names: By segment number.

    Returns:
        The names.
    """
    return LabelNames("the names of its segments", tuple(NamedLabel(number, (name,)) for number, name in names.items()))


def _of_nrrd(path: Path) -> LabelNames | None:
    """Segments of a NRRD file of 3D Slicer."""
    with path.open("rb") as file:
        if file.read(4) != b"NRRD":
            return None
        file.seek(0)
        header = file.read(_LARGEST_HEADER)
    text = re.split(rb"\r?\n\r?\n", header, maxsplit=1)[0].decode("utf-8", "replace")
    fields = dict(re.findall(r"^(Segment\d+_\w+):=(.*?)\r?$", text, re.MULTILINE))
    numbers = sorted({int(key[7 : key.index("_")]) for key in fields if key.index("_") <= 7 + _MOST_DIGITS})
    labels = []
    for n in numbers:
        value = fields.get(f"Segment{n}_LabelValue", "").strip()
        if not value.lstrip("-").isdecimal() or len(value) > _MOST_DIGITS:
            continue
        entry = re.search(r"TerminologyEntry:([^|]*)", fields.get(f"Segment{n}_Tags", ""))
        terms = terms_of_entry(entry[1]) if entry else ()
        layer = fields.get(f"Segment{n}_Layer", "0").strip()
        texts = tuple(text for text in (fields.get(f"Segment{n}_Name", "").strip(), *terms) if text)
        is_layer = layer.isdecimal() and len(layer) <= _MOST_DIGITS
        labels.append(NamedLabel(int(value), texts, int(layer) if is_layer else 0))
    return LabelNames("the names of its segments", tuple(labels), from_slicer=True)


def _of_nifti(path: Path) -> LabelNames | None:
    """Label table in a NIfTI header's extensions (NIfTI-1 definition, "extended header"; XML as CaretXML)."""
    head = _unpacked(path, 544)
    sizes = {struct.unpack_from(f"{sign}i", head)[0]: sign for sign in "<>"} if len(head) > 352 else {}
    if 348 in sizes:
        size, (voxels,) = 348, struct.unpack_from(f"{sizes[348]}f", head, 108)
    elif 540 in sizes:
        size, (voxels,) = 540, struct.unpack_from(f"{sizes[540]}q", head, 168)
    else:
        return None
    if not size + 4 < voxels < _LARGEST_HEADER:
        return None
    content = _unpacked(path, int(voxels))[size:]
    found = re.search(rb"<LabelTable.*?</LabelTable>", content, re.DOTALL) if content[:1] != b"\0" else None
    if found is None:
        return None
    try:
        table = ElementTree.fromstring(found[0].decode("utf-8", "replace"))
    except ElementTree.ParseError:
        return None
    pairs = [(label.get("Key", ""), (label.text or "").strip()) for label in table.iter("Label")]
    return _table("the label table in its header", pairs)


def _unpacked(path: Path, count: int) -> bytes:
    """The first bytes of a file, unpacked if it is compressed; none if that fails."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            return file.read(count)
    except (OSError, EOFError, zlib.error):
        return b""


def _of_same_stem(path: Path) -> LabelNames | None:
    stem = stem_of(path) or path.stem
    readers = {".json": _json_table, ".tsv": _tsv_table, ".ctbl": _color_table, ".txt": _snap_table}
    for base in dict.fromkeys((stem, stem.removesuffix(".seg"))):
        for ending, read in readers.items():
            found = _read(path.parent / f"{base}{ending}", read)
            if found is not None:
                return found
    return None


def _of_nnunet(path: Path) -> LabelNames | None:
    folder = path.parent
    above = folder.parent if folder.name.lower().startswith(("labelstr", "labelsts", "predict")) else folder
    return _read(folder / "dataset.json", _json_table) or _read(above / "dataset.json", _json_table)


def _of_bids(path: Path) -> LabelNames | None:
    if not (stem_of(path) or "").lower().endswith("dseg"):
        return None
    for folder in list(path.absolute().parents)[:_ABOVE_BIDS]:
        tables = [table for table in sorted(folder.glob("*dseg.tsv")) if _is_above(table, path)]
        if tables:
            return _read(tables[-1], _tsv_table)
    return None


def _is_above(table: Path, path: Path) -> bool:
    """True if every entity in a BIDS table's name is in the mask's name too (inheritance principle)."""
    return set(table.name.removesuffix(".tsv").split("_")) <= set((stem_of(path) or "").split("_"))


def _of_only_table(path: Path) -> LabelNames | None:
    """The one colour table or ITK-SNAP description in the folder, if there is one only."""
    for ending, read in ((".ctbl", _color_table), (".label", _snap_table), (".txt", _snap_table)):
        files = list(path.parent.glob(f"*{ending}"))
        found = [table for file in files if (table := _read(file, read))] if len(files) <= _MOST_TABLES else []
        if len(found) == 1:
            return found[0]
    return None


def _read(path: Path, read: Callable[[str], Iterable[tuple[Any, Any]]]) -> LabelNames | None:
    try:
        table = _table(path.name, read(read_text(path, _LARGEST_TABLE)))
    except (OSError, ValueError, KeyError, csv.Error):
        return None
    return table if table.labels else None


def _table(source: str, pairs: Iterable[tuple[Any, Any]]) -> LabelNames:
    texts = [(str(number).strip(), str(name).strip()) for number, name in pairs]
    return LabelNames(
        source,
        tuple(
            NamedLabel(int(number), (name,))
            for number, name in texts
            if number.isdecimal() and len(number) <= _MOST_DIGITS and int(number) != 0 and name
        ),
    )


def _json_table(text: str) -> Iterable[tuple[Any, Any]]:
    """nnU-Net's ``{"labels": {"L5": 1}}`` (version 2) or ``{"labels": {"1": "L5"}}`` (version 1), and the like."""
    content = json_value(text)
    for key in ("labels", "LabelMap", "label_map", "Labels"):
        table = content.get(key) if isinstance(content, Mapping) else None
        if isinstance(table, Mapping):
            return [
                (number, name) if str(number).isdecimal() else (name, number)
                for number, name in table.items()
                if isinstance(name, (int, str))
            ]
    return []


def _tsv_table(text: str) -> Iterable[tuple[Any, Any]]:
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    return [(row["index"], row["name"]) for row in rows if row.get("index") and row.get("name")]


def _color_table(text: str) -> Iterable[tuple[Any, Any]]:
    """``20 L1 255 0 0 255``; a name of several words is in quotes or joined by underscores."""
    found = re.findall(r'^\s*(\d+)[ \t]+("[^"]*"|\S+)(?:[ \t]+[\d.]+){3,4}\s*$', text, re.MULTILINE)
    return [(number, name.strip('"')) for number, name in found]


def _snap_table(text: str) -> Iterable[tuple[Any, Any]]:
    """``20 255 0 0 1 1 1 "L1"``: number, colour, opacity, visibility, mesh, name."""
    return re.findall(r'^\s*(\d+)(?:\s+[\d.]+){6}\s+"([^"]*)"\s*$', text, re.MULTILINE)
