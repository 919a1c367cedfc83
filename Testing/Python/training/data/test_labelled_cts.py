"""Real labelled CTs: found and paired by name, refused with a reason, set into scenes as they lie in the patient."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from support.labelled_cts import COLUMN_MM, HEIGHT_MM, a_labelled_ct, written
from support.phantoms import STILL
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import write_volume
from TomoRayLib.images.types import Volume
from TomoRayLib.training.data.labelled_cts import (
    Cohort,
    describe_left_out,
    find_cases,
    find_cohort,
    labelled_ct,
    load_case,
    scene_of_case,
)
from TomoRayLib.training.data.samples import Anatomy, StreamConfig
from TomoRayLib.training.data.stream import SampleStream
from TomoRayLib.training.phantoms.scene import Scene, SceneSize

COARSE = SceneSize(right_left_mm=96.0, anterior_mm=96.0, posterior_mm=96.0, height_mm=200.0, spacing_mm=4.0)


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
    found = find_cases(tmp_path)
    assert [(case.name, case.ct, case.labels) for case in found.cases] == [(name, tmp_path / ct, tmp_path / mask)]
    assert found.left_out == ()


def test_of_two_cts_of_one_name_the_one_in_the_masks_folder_is_taken(tmp_path: Path) -> None:
    for part in ("A", "B"):
        named(tmp_path / part / "volumes" / "1.nii.gz")
        named(tmp_path / part / "labels" / "1_seg.nii.gz")
    pairs = [(case.ct.parts[-3], case.labels.parts[-3]) for case in find_cases(tmp_path).cases]
    assert pairs == [("A", "A"), ("B", "B")]


def test_what_has_no_partner_is_left_out_with_its_reason(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "a_seg.nii.gz", "b.nii.gz", "c.nii.gz", "d_seg.nii.gz"):
        named(tmp_path / name)
    found = find_cases(tmp_path)
    assert [case.name for case in found.cases] == ["a"]
    assert dict(found.left_out) == {
        "b.nii.gz": "no vertebra mask of this name",
        "c.nii.gz": "no vertebra mask of this name",
        "d_seg.nii.gz": "no CT of this name",
    }
    told = describe_left_out(found.left_out)
    assert told.startswith("Left out: 2 x no vertebra mask of this name; 1 x no CT of this name.")
    assert "d_seg.nii.gz: no CT" in told


def test_a_long_list_is_cut_and_an_empty_one_says_nothing() -> None:
    told = describe_left_out([(f"case {i}", "reason") for i in range(30)])
    assert told.count("case") == 20
    assert told.endswith("and 10 more")
    assert describe_left_out([]) == ""


def test_a_folder_without_a_pair_is_refused_with_all_reasons(tmp_path: Path) -> None:
    named(tmp_path / "a_ct.nii.gz")
    with pytest.raises(ValueError, match=r"no pair among 1 NIfTI files.*1 x no vertebra mask of this name"):
        find_cases(tmp_path)
    with pytest.raises(ValueError, match="correct the path"):
        find_cases(tmp_path / "nowhere")


def test_a_mask_of_another_ct_is_refused(tmp_path: Path) -> None:
    ct, mask = a_labelled_ct()
    moved = dataclasses.replace(mask.grid, origin_mm=(900.0, 900.0, 900.0))
    write_volume(tmp_path / "x.nii.gz", ct)
    write_volume(tmp_path / "x_seg.nii.gz", Volume(mask.voxels, moved))
    (case,) = find_cases(tmp_path).cases
    with pytest.raises(InputError, match="a mask that lies in the CT"):
        load_case(case)


def test_unusable_cases_are_left_out_as_they_are_met_and_listed_when_none_is_left(tmp_path: Path) -> None:
    written(tmp_path / "good.nii.gz", tmp_path / "good_seg.nii.gz")
    written(tmp_path / "sacrum.nii.gz", tmp_path / "sacrum_seg.nii.gz", labels=(26, 27))
    cohort, held_out = find_cohort([tmp_path])
    assert held_out == []
    names = {cohort.draw(np.random.default_rng(seed)).name for seed in range(12)}
    assert names == {"good"}
    assert [name for name, _ in cohort.left_out] == ["sacrum"]
    only_bad = Cohort([case for case in find_cases(tmp_path).cases if case.name == "sacrum"])
    with pytest.raises(ValueError, match=r"got none; .* Left out: 1 x (.|\n)*sacrum"):
        only_bad.draw(np.random.default_rng(0))


def test_one_usable_case_is_found_before_training_and_what_was_met_is_not_met_again(tmp_path: Path) -> None:
    """A mask of the whole spine has no levels to train on; the last file, which is none, is not looked at."""
    written(tmp_path / "a.nii.gz", tmp_path / "a_seg.nii.gz", labels=(255, 255, 255))
    written(tmp_path / "b.nii.gz", tmp_path / "b_seg.nii.gz")
    named(tmp_path / "c.nii.gz"), named(tmp_path / "c_seg.nii.gz")
    cohort = Cohort(list(find_cases(tmp_path).cases))
    cohort.check_usable()
    assert [name for name, _ in cohort.left_out] == ["a"]
    (tmp_path / "b.nii.gz").unlink()  # it is kept
    assert {cohort.draw(np.random.default_rng(seed)).name for seed in range(4)} == {"b"}
    assert sorted(name for name, _ in cohort.left_out) == ["a", "c"]


def test_held_out_cases_are_not_trained_on_and_must_exist(tmp_path: Path) -> None:
    for name in ("a", "b"):
        named(tmp_path / f"{name}.nii.gz")
        named(tmp_path / f"{name}_seg.nii.gz")
    cohort, held_out = find_cohort([tmp_path], ["b"])
    assert [case.name for case in cohort.cases] == ["a"]
    assert [case.name for case in held_out] == ["b"]
    with pytest.raises(ValueError, match=r"got \['c'\].*a, b"):
        find_cohort([tmp_path], ["c"])


def cases_named(folder: Path, *names: str) -> Path:
    for name in names:
        named(folder / f"{name}_ct.nii.gz")
        named(folder / f"{name}_seg-vert_msk.nii.gz")
    return folder


def test_no_scan_of_a_held_out_subject_is_trained_on(tmp_path: Path) -> None:
    """Subjects that phantoms are scored on as well: their label maps are of the same CTs."""
    names = ("sub-verse024", "sub-verse041_dir-iso", "sub-verse401_split-verse253", "sub-verse401_split-verse254")
    cases_named(tmp_path, *names, "verse645")
    cohort, held_out = find_cohort([tmp_path], ["sub-verse401_split-verse253"])
    assert [case.name for case in cohort.cases] == ["sub-verse041_dir-iso"]
    assert [case.name for case in held_out] == ["sub-verse401_split-verse253"]
    left_out = dict(cohort.left_out)
    assert sorted(left_out) == ["sub-verse024", "sub-verse401_split-verse254", "verse645"]
    assert all("same subject is held out" in reason for reason in left_out.values())


def test_the_case_of_the_published_figures_is_neither_trained_on_nor_scored(tmp_path: Path) -> None:
    cases_named(tmp_path, "LIDC-IDRI-0001", "lidc-idri-0001_a", "LIDC-IDRI-0002")
    cohort, _ = find_cohort([tmp_path])
    assert [case.name for case in cohort.cases] == ["LIDC-IDRI-0002"]
    assert [name for name, reason in cohort.left_out if "held out for ever" in reason] == [
        "LIDC-IDRI-0001",
        "lidc-idri-0001_a",
    ]
    with pytest.raises(ValueError, match="held out for ever"):
        find_cohort([tmp_path], ["LIDC-IDRI-0001"])


def test_a_held_out_case_that_permissive_leaves_out_is_told_as_such(tmp_path: Path) -> None:
    cases_named(tmp_path, "stranger", "sub-verse014")
    with pytest.raises(ValueError, match=r"got \['stranger'\](.|\n)*stranger: not known to allow .* permissive = true"):
        find_cohort([tmp_path], ["stranger"], permissive=True)
    assert [case.name for case in find_cohort([tmp_path], permissive=True)[0].cases] == ["sub-verse014"]


def place_of(scene: Scene, marked: np.ndarray) -> np.ndarray:
    """(3,) centroid in scene millimetres of the bone where ``marked`` is true."""
    k, j, i = np.nonzero((scene.occupancy.numpy() > 127) & marked)
    return np.array([i.mean(), j.mean(), k.mean()]) * scene.grid.spacing_mm + scene.grid.origin_mm


@pytest.mark.parametrize("direction_x", [1.0, -1.0])
@pytest.mark.parametrize("seed", range(4))
def test_an_undeformed_case_lies_in_the_scene_as_in_the_patient_or_mirrored(seed: int, direction_x: float) -> None:
    """The knob of L1 lies 30 mm to the patient's left of the column whichever way the file stores its columns."""
    case = labelled_ct("case", *a_labelled_ct(direction_x=direction_x))
    np.testing.assert_allclose(case.spine.curve_mm[60], COLUMN_MM, atol=6.0)  # the knob pulls it to the left
    scene = scene_of_case(case, np.random.default_rng(seed), COARSE, STILL)
    x = scene.grid.origin_mm[0] + np.arange(scene.grid.size[0]) * 4.0
    y = scene.grid.origin_mm[1] + np.arange(scene.grid.size[1]) * 4.0
    everything = np.ones(scene.grid.shape, bool)
    column = place_of(scene, everything)
    aside = np.abs(x - column[0]) > 20
    knob = place_of(scene, everything & aside)
    assert abs(knob[0] - column[0]) == pytest.approx(30.0, abs=6.0)
    assert abs(column[1]) < 4
    assert knob[2] - column[2] == pytest.approx(1.5 * HEIGHT_MM, abs=5.0)  # L1 above the middle of L1 to L4
    bone = scene.hu.numpy()[scene.occupancy.numpy() > 250]
    np.testing.assert_allclose(np.median(bone), 700, atol=1)
    assert int(scene.hu[0, np.abs(y).argmin(), -1]) == -1000  # beyond the scan


def test_both_mirror_images_of_a_case_are_drawn() -> None:
    case = labelled_ct("case", *a_labelled_ct())
    scenes = [scene_of_case(case, np.random.default_rng(seed), COARSE, STILL) for seed in range(8)]
    x = scenes[0].grid.origin_mm[0] + np.arange(scenes[0].grid.size[0]) * 4.0
    sides = {float(np.sign(place_of(scene, np.abs(x)[None, None] > 20)[0])) for scene in scenes}
    assert sides == {-1.0, 1.0}


def test_a_stream_of_real_cts_alone_gives_samples(tmp_path: Path) -> None:
    written(tmp_path / "a.nii.gz", tmp_path / "a_seg.nii.gz")
    cohort, _ = find_cohort([tmp_path])
    config = StreamConfig(size=16, kept=1, scene=dataclasses.replace(COARSE, spacing_mm=8.0))
    sample = next(iter(SampleStream(Anatomy(cohort=cohort), config)))
    assert sample["target"].shape == (1, 16, 16, 16)
    assert float(sample["occupancy"].max()) > 0.3
    assert bool(torch.isfinite(sample["radiographs"]).all())
