"""Held-out patients: one subject under all of its names."""

from __future__ import annotations

import pytest

from TomoRayLib.images.subjects import is_of_subjects, subject_of
from TomoRayLib.training.data.held_out import VALIDATION_PEOPLE, is_held_out_for_ever


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
        ("acrin_flt_001_head_neck", "acrin_flt_001"),
        ("acrin_flt_013_lower_chest", "acrin_flt_013_lower_chest"),
        ("totalsegmentator_example_abdomen_pelvis", "totalsegmentator_example"),
        ("ricord_1a_chest_b", "ricord_1a_chest_b"),
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
        ("acrin_flt_001_head_neck", "acrin_flt_001_abdomen_pelvis", True),
        ("ricord_1a_chest", "ricord_1a_chest_b", False),  # two people
    ],
)
def test_names_of_one_subject(name: str, other: str, same: bool) -> None:
    assert is_of_subjects(name, ["nobody", other]) is is_of_subjects(other, [name]) is same
    assert not is_of_subjects(name, [])


def test_what_is_held_out_for_ever_is_known_by_any_name_or_path() -> None:
    assert is_held_out_for_ever("mine", "data/lidc-idri-0001/ct.nii.gz")
    assert is_held_out_for_ever("LIDC-IDRI-0001_a")
    assert is_held_out_for_ever("lidc_idri_0001_chest")
    assert is_held_out_for_ever("mine", "data/scouts/lumbar/ct_coronal_2mm.nii.gz")
    assert not is_held_out_for_ever("LIDC-IDRI-0002", "data/ct.nii.gz")
    assert not is_held_out_for_ever("lidc_idri_0314_chest", "LIDC-IDRI-00012", "scouts/thoracic", "lumbar")


@pytest.mark.parametrize(
    "name", ["sub-verse005", "verse007_seg", "sub-verse008_dir-iso", "totalsegmentator_example_abdomen_pelvis"]
)
def test_the_people_of_the_validation_are_known_by_all_their_files(name: str) -> None:
    assert is_of_subjects(name, VALIDATION_PEOPLE)


@pytest.mark.parametrize("name", ["sub-verse006", "sub-verse014", "s0308", "verse009", "nlst_chest"])
def test_others_are_trained_on(name: str) -> None:
    assert not is_of_subjects(name, VALIDATION_PEOPLE)
