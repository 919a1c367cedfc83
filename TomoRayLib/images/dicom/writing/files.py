"""Data sets written to files; what the slices of a series share is encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info

from TomoRayLib.base.files import write_bytes

_PREAMBLE = b"\0" * 128 + b"DICM"
_PIXEL_DATA = 0x7FE00010


def write_slices(folder: Path, slices: Sequence[Dataset]) -> None:
    """Write data sets that share their elements, as ``ct_slices`` makes them, as ``0001.dcm``, ``0002.dcm``, ...

    The files are those that pydicom writes one by one, in a fifth of the time.

    Args:
        folder: An existing, empty folder.
        slices: Data sets with file meta information, in Explicit VR Little Endian.
    """
    encoded: dict[int, bytes] = {}  # by the identity of an element, which ``slices`` keep alive
    for number, one in enumerate(slices, 1):
        begin = DicomBytesIO()
        begin.is_little_endian, begin.is_implicit_VR = True, False
        write_file_meta_info(begin, one.file_meta)
        parts = [_PREAMBLE, begin.getvalue()]
        for tag in sorted(one.keys()):
            element = one[tag]
            if id(element) not in encoded:
                encoded[id(element)] = _encoded(element, one)
            parts.append(encoded[id(element)])
            if tag == _PIXEL_DATA:
                del encoded[id(element)]
        write_bytes(folder / f"{number:04d}.dcm", b"".join(parts))


def _encoded(element: object, dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_data_element(buffer, element, dataset.get("SpecificCharacterSet", "iso8859"))
    return bytes(buffer.getvalue())
