"""Names and codes of vertebrae for other software: TotalSegmentator's structure names and SNOMED CT.

The codes are those of DICOM's context group CID 7603, "Vertebra" (PS3.16, version 20220115), which the terminology of
Slicer's TotalSegmentator uses too. The group ends at L5 and T12: the rare T13 and L6 get the code of a vertebra in
general.
"""

from __future__ import annotations

from typing import NamedTuple

from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME, NAME_OF_LABEL

CODING_SCHEME = "SCT"  # SNOMED CT, as DICOM abbreviates it

_CODE_OF_NAME = {
    "C1": "14806007",
    "C2": "39976000",
    "C3": "113205007",
    "C4": "5329002",
    "C5": "36978003",
    "C6": "36054005",
    "C7": "87391001",
    "T1": "64864005",
    "T2": "53733008",
    "T3": "1626008",
    "T4": "73071006",
    "T5": "56401006",
    "T6": "45296009",
    "T7": "62487009",
    "T8": "11068009",
    "T9": "82687006",
    "T10": "7610001",
    "T11": "12989004",
    "T12": "23215003",
    "L1": "66794005",
    "L2": "14293000",
    "L3": "36470004",
    "L4": "11994002",
    "L5": "49668003",
}


class Code(NamedTuple):
    """A coded concept: ``Code("66794005", "SCT", "L1 vertebra")``, in the order of a DICOM code sequence's item."""

    value: str
    scheme: str
    meaning: str


VERTEBRA = Code("51282000", CODING_SCHEME, "Vertebra")
SNOMED_CODE_OF_LABEL: dict[int, str] = {LABEL_OF_NAME[name]: code for name, code in _CODE_OF_NAME.items()}


def code_of_label(label: int) -> Code:
    """Return the SNOMED CT code of a vertebra.

    Args:
        label: VerSe number, 1 (C1) to 25 (L6), or 28 (T13).

    Returns:
        Its code; that of a vertebra in general for T13 and L6, which have none.

    Raises:
        ValueError: If the number is none of a vertebra.

    >>> code_of_label(20)
    Code(value='66794005', scheme='SCT', meaning='L1 vertebra')
    """
    name = _name(label)
    code = SNOMED_CODE_OF_LABEL.get(label)
    return VERTEBRA if code is None else Code(code, CODING_SCHEME, f"{name} vertebra")


def totalsegmentator_name(label: int) -> str:
    """Return the name that TotalSegmentator gives a vertebra: ``vertebrae_L1``.

    Args:
        label: VerSe number. ``vertebrae_L6`` is a name of TotalSegmentator's from version 3 on; T13 is none of its
            structures and gets the name that it would have.

    Raises:
        ValueError: If the number is none of a vertebra.

    >>> totalsegmentator_name(20)
    'vertebrae_L1'
    """
    return f"vertebrae_{_name(label)}"


def _name(label: int) -> str:
    if label not in NAME_OF_LABEL:
        raise ValueError(f"Expected the VerSe number of a vertebra, 1 to 25 or 28; got {label}.")
    return NAME_OF_LABEL[label]
