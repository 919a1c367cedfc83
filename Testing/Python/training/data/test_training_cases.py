"""The labelled CTs of a training: named as their data sets name them, left out with a reason, held out by subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.labelled_cts import written
from TomoRayLib.base.errors import InputError
from TomoRayLib.training.data.training_cases import (
    TrainingCases,
    describe_left_out,
    find_labelled_cts,
    find_training_cases,
)


def named(path: Path) -> Path:
    """An empty file: finding cases looks at names only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


LAYOUTS = {
    "VerSe, subject based": ("rawdata/sub-7/sub-7_ct.nii.gz", "derivatives/sub-7/sub-7_seg-vert_msk.nii.gz", "sub-7"),
    "VerSe, split": (
        "rawdata/sub-7/sub-7_split-1_ct.nii.gz",
        "derivatives/sub-7/sub-7_split-1_seg-vert_msk.nii.gz",
        "sub-7_split-1",
    ),
    "VerSe, challenge": ("verse007.nii.gz", "verse007_seg.nii.gz", "verse007"),
    "CTSpine1K": ("volumes/COLONOG/1.3.6.1.nii.gz", "labels/COLONOG/1.3.6.1_seg.nii.gz", "1.3.6.1"),
    "TotalSegmentator": ("s0001/ct.nii.gz", "s0001/labels.nii.gz", "s0001"),
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_ct_and_its_mask_are_paired_by_name(tmp_path: Path, layout: str) -> None:
    ct, mask, name = LAYOUTS[layout]
    named(tmp_path / ct)
    named(tmp_path / mask)
    cases, left_out = find_labelled_cts(tmp_path)
    assert [(case.name, case.ct, case.segmentation) for case in cases] == [(name, tmp_path / ct, tmp_path / mask)]
    assert left_out == []


def test_a_case_has_the_name_of_its_data_set_wherever_it_lies(tmp_path: Path) -> None:
    """Licences and held-out subjects go by names; the cohort of an evaluation needs unique ones."""
    for name in ("set/s0308/ct", "set/s0308/labels", "one/sub-gl017_ct", "one/sub-gl017_seg", "a/scan", "a/scan_seg"):
        named(tmp_path / f"{name}.nii.gz")
    for name in ("b/scan", "b/scan_seg", "data/verse/verse024", "label/verse/verse024_seg", "c/1", "c/labels"):
        named(tmp_path / f"{name}.nii.gz")
    cases, left_out = find_labelled_cts(tmp_path)
    assert [case.name for case in cases] == ["scan", "scan", "c", "verse024", "sub-gl017", "s0308"]
    assert left_out == []


def test_of_two_cts_of_one_name_the_one_in_the_masks_folder_is_taken(tmp_path: Path) -> None:
    for part in ("A", "B"):
        named(tmp_path / part / "volumes" / "1.nii.gz")
        named(tmp_path / part / "labels" / "1_seg.nii.gz")
    pairs = [(case.ct.parts[-3], case.segmentation.parts[-3]) for case in find_labelled_cts(tmp_path)[0]]
    assert pairs == [("A", "A"), ("B", "B")]


def test_what_has_no_partner_is_left_out_with_its_reason(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "a_seg.nii.gz", "b.nii.gz", "c.nii.gz", "d_seg.nii.gz"):
        named(tmp_path / name)
    cases, left_out = find_labelled_cts(tmp_path)
    assert [case.name for case in cases] == ["a"]
    assert dict(left_out) == {
        "b.nii.gz": "CT without a segmentation",
        "c.nii.gz": "CT without a segmentation",
        "d_seg.nii.gz": "segmentation without a CT",
    }
    told = describe_left_out(left_out)
    assert told.startswith("Left out: 2 x CT without a segmentation; 1 x segmentation without a CT.")
    assert "d_seg.nii.gz: segmentation without" in told


def test_a_long_list_is_cut_and_an_empty_one_says_nothing() -> None:
    told = describe_left_out([(f"case {i}", "reason") for i in range(30)])
    assert told.count("case") == 20
    assert told.endswith("and 10 more")
    assert describe_left_out([]) == ""


def test_a_folder_without_a_pair_is_refused_with_all_reasons(tmp_path: Path) -> None:
    named(tmp_path / "a_ct.nii.gz")
    with pytest.raises(InputError, match=r"found none.*1 x CT without a segmentation"):
        find_labelled_cts(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        find_labelled_cts(tmp_path / "nowhere")


def test_unusable_cases_are_left_out_as_they_are_met_and_listed_when_none_is_left(tmp_path: Path) -> None:
    written(tmp_path / "good.nii.gz", tmp_path / "good_seg.nii.gz")
    written(tmp_path / "sacrum.nii.gz", tmp_path / "sacrum_seg.nii.gz", labels=(26, 27))
    cohort, held_out = find_training_cases([tmp_path])
    assert held_out == []
    names = {cohort.draw(np.random.default_rng(seed)).name for seed in range(12)}
    assert names == {"good"}
    assert [name for name, _ in cohort.left_out] == ["sacrum"]
    only_bad = TrainingCases([case for case in find_labelled_cts(tmp_path)[0] if case.name == "sacrum"])
    with pytest.raises(InputError, match=r"got none; .* Left out: 1 x (.|\n)*sacrum"):
        only_bad.draw(np.random.default_rng(0))


def test_one_usable_case_is_found_before_training_and_what_was_met_is_not_met_again(tmp_path: Path) -> None:
    """A mask of the whole spine has no levels to train on; the last file, which is none, is not looked at."""
    written(tmp_path / "a.nii.gz", tmp_path / "a_seg.nii.gz", labels=(255, 255, 255))
    written(tmp_path / "b.nii.gz", tmp_path / "b_seg.nii.gz")
    named(tmp_path / "c.nii.gz"), named(tmp_path / "c_seg.nii.gz")
    cohort = TrainingCases(find_labelled_cts(tmp_path)[0])
    cohort.check_usable()
    assert [name for name, _ in cohort.left_out] == ["a"]
    (tmp_path / "b.nii.gz").unlink()  # it is kept
    assert {cohort.draw(np.random.default_rng(seed)).name for seed in range(4)} == {"b"}
    assert sorted(name for name, _ in cohort.left_out) == ["a", "c"]


def test_held_out_cases_are_not_trained_on_and_must_exist(tmp_path: Path) -> None:
    for name in ("a", "b"):
        named(tmp_path / f"{name}.nii.gz")
        named(tmp_path / f"{name}_seg.nii.gz")
    cohort, held_out = find_training_cases([tmp_path], ["b"])
    assert [case.name for case in cohort.cases] == ["a"]
    assert [case.name for case in held_out] == ["b"]
    with pytest.raises(InputError, match=r"got \['c'\].*a, b"):
        find_training_cases([tmp_path], ["c"])


def cases_named(folder: Path, *names: str) -> Path:
    for name in names:
        named(folder / f"{name}_ct.nii.gz")
        named(folder / f"{name}_seg-vert_msk.nii.gz")
    return folder


def test_no_scan_of_a_held_out_subject_is_trained_on(tmp_path: Path) -> None:
    """Subjects that phantoms are scored on as well: their label maps are of the same CTs."""
    names = ("sub-verse024", "sub-verse041_dir-iso", "sub-verse401_split-verse253", "sub-verse401_split-verse254")
    cases_named(tmp_path, *names, "verse645")
    cohort, held_out = find_training_cases([tmp_path], ["sub-verse401_split-verse253"])
    assert [case.name for case in cohort.cases] == ["sub-verse041_dir-iso"]
    assert [case.name for case in held_out] == ["sub-verse401_split-verse253"]
    left_out = dict(cohort.left_out)
    assert sorted(left_out) == ["sub-verse024", "sub-verse401_split-verse254", "verse645"]
    assert all("same subject is held out" in reason for reason in left_out.values())


def test_the_case_of_the_published_figures_is_neither_trained_on_nor_scored(tmp_path: Path) -> None:
    cases_named(tmp_path, "LIDC-IDRI-0001", "lidc-idri-0001_a", "LIDC-IDRI-0002")
    cohort, _ = find_training_cases([tmp_path])
    assert [case.name for case in cohort.cases] == ["LIDC-IDRI-0002"]
    assert [name for name, reason in cohort.left_out if "held out for ever" in reason] == [
        "LIDC-IDRI-0001",
        "lidc-idri-0001_a",
    ]
    with pytest.raises(InputError, match="held out for ever"):
        find_training_cases([tmp_path], ["LIDC-IDRI-0001"])


def test_a_held_out_case_that_permissive_leaves_out_is_told_as_such(tmp_path: Path) -> None:
    cases_named(tmp_path, "stranger", "sub-verse014")
    with pytest.raises(InputError, match=r"got \['stranger'\](.|\n)*stranger: not known to allow .* permissive = true"):
        find_training_cases([tmp_path], ["stranger"], permissive=True)
    assert [case.name for case in find_training_cases([tmp_path], permissive=True)[0].cases] == ["sub-verse014"]
