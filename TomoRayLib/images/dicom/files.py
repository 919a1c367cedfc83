"""DICOM files with and without preamble, meta information and file ending: which they are, and their data sets."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.filereader import read_partial
from pydicom.uid import AllTransferSyntaxes, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.declared import check_inflates
from TomoRayLib.images.existing import unreadable
from TomoRayLib.images.quiet import no_warnings

_ENDINGS = (".dcm", ".ima", ".dicom")
_PREAMBLE_BYTES = 128
_MARK = b"DICM"
_LARGEST_FIRST_VALUE = 1024  # bytes; a data set begins with a group length, a character set or an image type
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # as floats, doubles, numbers
_FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def is_dicom(path: Path) -> bool:
    """True for a DICOM Part 10 file, and for a bare data set whatever its name (PS3.10 7.1, 7.5).

    Without the mark DICM, a file that is named .dcm, .ima or .dicom, or begins with an element of group 0002 or 0008 in
    any byte order, is one if it parses and names its class or the size of its image.

    Raises InputError for a file that cannot be opened.
    """
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_PREAMBLE_BYTES + len(_MARK))
    except OSError as error:
        raise unreadable(path, error) from error
    if start[_PREAMBLE_BYTES:] == _MARK or start.startswith(_MARK):
        return True
    if path.suffix.lower() not in _ENDINGS and not _begins_as_data_set(start):
        return False
    try:
        with no_warnings(), path.open("rb") as file:
            check_inflates(file, path)
            header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            return "SOPClassUID" in header or ("Rows" in header and "Columns" in header)
    except Exception:  # pydicom raises many kinds on files that are not DICOM
        return False


def read_data_set(path: Path) -> pydicom.Dataset:
    """Read the data set of a file up to its pixels, with its transfer syntax in ``file_meta``.

    What follows the pixels, such as padding to the size of a disc block, is left alone. What an Enhanced image says in
    its functional groups stands at the top as well, as in other images; of its frames the first one counts.

    Raises InputError for a damaged file, and a transfer syntax that is none or unknown.
    """
    try:
        with path.open("rb") as file:
            check_inflates(file, path)
            start = file.read(len(_MARK))
            file.seek(0)
            source = BytesIO(file.read()[len(_MARK) :]) if start == _MARK else file
            dataset = read_partial(source, stop_when=_behind_pixels(), force=True)
        dataset.get("PixelData")  # raises if its value representation is none
        _raise_functional_groups(dataset)
    except InputError:
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise InputError(f"{path}: expected a readable DICOM file, got {reason_of(error)}; export it again.") from error
    settle_syntax_name(dataset, path)
    return dataset


def reason_of(error: Exception) -> str:
    """What pydicom says of a damaged file, in a line."""
    if isinstance(error, RecursionError):
        return "sequences within sequences, too deep to be read"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _behind_pixels() -> Callable[[int, str | None, int], bool]:
    """True for the first element behind the pixels, which whatever lies there may look like."""
    begun = False

    def behind(tag: int, _vr: str | None, _length: int) -> bool:
        nonlocal begun
        stop = begun or tag > max(_PIXELS)
        begun = begun or tag in _PIXELS
        return stop

    return behind


def _begins_as_data_set(start: bytes) -> bool:
    """True if the first bytes are an element of group 0002 or 0008: explicit in both byte orders, or implicit."""
    if len(start) < 8:
        return False
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", start[:4])
        if group in (0x0002, 0x0008) and element < 0x0100:
            if re.fullmatch(rb"[A-Z]{2}", start[4:6]):
                return True
            return order == "<" and struct.unpack("<I", start[4:8])[0] <= _LARGEST_FIRST_VALUE
    return False


def settle_syntax_name(dataset: pydicom.Dataset, path: Path) -> None:
    """Fill in the transfer syntax of a bare data set from its encoding. Raises InputError for an unknown one."""
    stated = dataset.file_meta.get("TransferSyntaxUID")
    if not stated:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    elif stated not in AllTransferSyntaxes:  # JPEG XL, or a maker's own, such as GE's with its two byte orders
        raise InputError(
            f"{path}: expected a Transfer Syntax UID (0002,0010) of the standard that can be decoded, got {stated}; "
            "export the image uncompressed."
        )


def _raise_functional_groups(dataset: pydicom.Dataset) -> None:
    """Copy the attributes of the functional groups (PS3.3 C.7.6.16) to the top, where none or an empty one stands."""
    for name in _FUNCTIONAL_GROUPS:
        for item in list(dataset.get(name) or [])[:1]:
            for group in item:
                for attribute in group.value[0] if group.VR == "SQ" and group.value else ():
                    if attribute.tag not in dataset or dataset[attribute.tag].is_empty:
                        dataset.add(attribute)
