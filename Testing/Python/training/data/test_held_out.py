"""Held-out patients: one subject under all of its names."""

from __future__ import annotations

import pytest

from TomoRayLib.training.data.held_out import is_demonstration_case, is_of_subjects, subject_of


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("verse041", "verse041"),
        ("verse041_seg", "verse041"),
        ("sub-verse041", "verse041"),
        ("sub-verse041_dir-iso", "verse041"),
        ("verse506_CT-iso", "verse506"),
        ("verse400_verse090", "verse400"),
        ("sub-verse401_split-verse253", "verse401"),
        ("sub-gl108_dir-sag", "sub-gl108"),
        ("s0308", "s0308"),
        ("my_verse018", "my_verse018"),
        ("1.3.6.1.4", "1.3.6.1.4"),
    ],
)
def test_the_subject_of_a_name(name: str, subject: str) -> None:
    assert subject_of(name) == subject
    assert subject_of(subject) == subject


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        ("verse041_seg", "sub-verse041_dir-iso", True),
        ("verse400_verse090", "sub-verse400_split-verse155", True),
        ("verse253", "sub-verse401_split-verse253", True),  # the challenge's name of a scan
        ("sub-gl108_dir-ax", "sub-gl108_dir-sag", True),
        ("verse041", "verse0411", False),
        ("verse400_verse090", "verse404_verse209", False),
        ("s0308", "verse308", False),
    ],
)
def test_names_of_one_subject(name: str, other: str, same: bool) -> None:
    assert is_of_subjects(name, ["nobody", other]) is is_of_subjects(other, [name]) is same
    assert not is_of_subjects(name, [])


def test_the_demonstration_case_is_known_by_any_name_or_path() -> None:
    assert is_demonstration_case("mine", "data/lidc-idri-0001/ct.nii.gz")
    assert is_demonstration_case("LIDC-IDRI-0001_a")
    assert not is_demonstration_case("LIDC-IDRI-0002", "data/ct.nii.gz")
