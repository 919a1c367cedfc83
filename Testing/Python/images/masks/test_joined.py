"""Two vertebrae in one label are told; cut, crushed and missing ones are not taken for them."""

from __future__ import annotations

import pytest

from TomoRayLib.anatomy.numberings import Part
from TomoRayLib.images.masks.joined import joined_vertebrae

# T10 to L5 as in real label maps: the height of the middle in mm, and cm3.
HEIGHTS_MM = {17: 250.0, 18: 222.0, 19: 192.0, 20: 161.0, 21: 129.0, 22: 95.0, 23: 61.0, 24: 30.0}
VOLUMES_CM3 = {17: 39.0, 18: 44.0, 19: 48.0, 20: 51.0, 21: 58.0, 22: 64.0, 23: 66.0, 24: 66.0}
SPINE = {label: Part((5.0, -20.0, HEIGHTS_MM[label]), VOLUMES_CM3[label]) for label in HEIGHTS_MM}


def joined(upper: int) -> Part:
    """A vertebra and the next below as one."""
    height_mm = (HEIGHTS_MM[upper] + HEIGHTS_MM[upper + 1]) / 2
    return Part((5.0, -20.0, height_mm), VOLUMES_CM3[upper] + VOLUMES_CM3[upper + 1])


@pytest.mark.parametrize("upper", [17, 19, 21, 23])
def test_two_vertebrae_in_the_label_of_one_are_told(upper: int) -> None:
    for kept, gone in ((upper, upper + 1), (upper + 1, upper)):
        parts = {label: part for label, part in SPINE.items() if label != gone} | {kept: joined(upper)}
        name = {17: "T10", 18: "T11", 19: "T12", 20: "L1", 21: "L2", 22: "L3", 23: "L4", 24: "L5"}[kept]
        told = joined_vertebrae(parts, "mask")
        assert told is not None
        assert f"as two vertebrae in one label: {name} (" in told


def test_two_vertebrae_in_one_label_are_told_if_the_others_are_numbered_on() -> None:
    parts = {label: SPINE[label] for label in (18, 19)} | {20: joined(20), 21: SPINE[22], 22: SPINE[23]}
    assert "L1 (1.9 " in str(joined_vertebrae(parts, "mask"))


def test_a_right_spine_and_one_with_a_missing_vertebra_pass() -> None:
    assert joined_vertebrae(SPINE, "mask") is None
    assert joined_vertebrae({label: part for label, part in SPINE.items() if label != 21}, "mask") is None


def test_cut_and_crushed_neighbours_make_no_vertebra_two() -> None:
    cut = {21: Part((5.0, -20.0, 122.0), 25.0), 22: SPINE[22], 23: Part((5.0, -20.0, 68.0), 25.0)}
    assert joined_vertebrae(cut, "mask") is None
    crushed = {**SPINE, 21: Part(SPINE[21].middle_mm, 26.0), 23: Part(SPINE[23].middle_mm, 30.0)}
    assert joined_vertebrae(crushed, "mask") is None
