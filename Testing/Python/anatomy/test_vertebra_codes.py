"""Names and SNOMED CT codes of vertebrae for other software."""

from __future__ import annotations

import pytest

from TomoRayLib.anatomy.vertebra_codes import SNOMED_CODE_OF_LABEL, Code, code_of_label, totalsegmentator_name
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME, VERTEBRA_LABELS, label_of_structure

# The permutation and multiplication tables of Verhoeff's check digit, which ends every SNOMED CT identifier.
PERMUTED = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
for _ in range(6):
    PERMUTED.append([PERMUTED[1][digit] for digit in PERMUTED[-1]])


def dihedral(a: int, b: int) -> int:
    """The product of two elements of the dihedral group of order ten."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5


def verhoeff(number: str) -> int:
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = dihedral(check, PERMUTED[place % 8][int(digit)])
    return check


def test_each_code_is_an_identifier_of_snomed_ct_and_of_one_vertebra_alone() -> None:
    assert set(SNOMED_CODE_OF_LABEL) == set(VERTEBRA_LABELS) - {LABEL_OF_NAME["L6"], LABEL_OF_NAME["T13"]}
    assert len(set(SNOMED_CODE_OF_LABEL.values())) == 24
    assert {code: verhoeff(code) for code in SNOMED_CODE_OF_LABEL.values()} == dict.fromkeys(
        SNOMED_CODE_OF_LABEL.values(), 0
    )


def test_a_slip_of_one_digit_would_be_seen() -> None:
    assert verhoeff("66794005") == 0
    assert verhoeff("66794004") != 0
    assert verhoeff("66749005") != 0


def test_codes_at_the_ends_of_each_region_are_those_of_cid_7603() -> None:
    ends = {"C1": "14806007", "C7": "87391001", "T1": "64864005", "T12": "23215003", "L1": "66794005"}
    ends |= {"L4": "11994002", "L5": "49668003"}
    assert {name: code_of_label(LABEL_OF_NAME[name]) for name in ends} == {
        name: Code(value, "SCT", f"{name} vertebra") for name, value in ends.items()
    }


def test_a_rare_vertebra_has_the_code_of_a_vertebra_in_general() -> None:
    assert {code_of_label(LABEL_OF_NAME[name]) for name in ("T13", "L6")} == {Code("51282000", "SCT", "Vertebra")}


def test_names_and_meanings_are_read_back_as_the_vertebra() -> None:
    for label in VERTEBRA_LABELS:
        assert label_of_structure(totalsegmentator_name(label)) == label
    for label in SNOMED_CODE_OF_LABEL:
        assert label_of_structure(code_of_label(label).meaning) == label


def test_sacrum_and_background_are_refused() -> None:
    for label in (0, 26, 27, 255):
        with pytest.raises(ValueError, match="Expected the VerSe number of a vertebra"):
            totalsegmentator_name(label)
        with pytest.raises(ValueError, match=f"got {label}"):
            code_of_label(label)
