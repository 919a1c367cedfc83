"""Finding a cohort's cases in the layouts in circulation. The files are empty: only names count."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images import cohort_finder as reasons
from TomoRayLib.images.cohort_finder import Cohort, find_cases, only_named, stem_of
from TomoRayLib.images.structure_masks import read_structures
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume


def made(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return folder


def pairs(cohort: Cohort) -> dict[str, tuple[str, str]]:
    return {case.name: (cohort.relative(case.ct), cohort.relative(case.segmentation)) for case in cohort.cases}


def why(cohort: Cohort) -> dict[str, str]:
    return {cohort.relative(item.path): item.reason for item in cohort.left_out}


def test_verse_subjects_with_and_without_direction_and_split(tmp_path: Path) -> None:
    names = ("sub-verse823_dir-iso", "sub-verse505", "sub-verse400_split-verse090", "sub-verse400_split-verse155")
    top = "dataset-01training"
    for name in names:
        subject = name.split("_")[0]
        made(tmp_path, f"{top}/rawdata/{subject}/{name}_ct.nii.gz")
        made(tmp_path, f"{top}/derivatives/{subject}/{name}_seg-vert_msk.nii.gz")
        made(tmp_path, f"{top}/derivatives/{subject}/{name}_seg-subreg_ctd.json")
        made(tmp_path, f"{top}/derivatives/{subject}/{name}_seg-vert_snp.png")
    cohort = find_cases(tmp_path)
    assert pairs(cohort)["sub-verse400_split-verse090"] == (
        f"{top}/rawdata/sub-verse400/sub-verse400_split-verse090_ct.nii.gz",
        f"{top}/derivatives/sub-verse400/sub-verse400_split-verse090_seg-vert_msk.nii.gz",
    )
    assert {case.name: case.subject for case in cohort.cases} == {name: name.split("_")[0] for name in names}
    assert [case.name for case in cohort.cases] == sorted(names)
    assert not cohort.left_out


def test_segmentations_of_spineps_name_the_modality_of_their_ct(tmp_path: Path) -> None:
    made(tmp_path, "rawdata/sub-a/sub-a_ct.nii.gz", "rawdata/sub-b/sub-b_ct.nii.gz")
    made(tmp_path, *(f"derivatives_seg/sub-a/sub-a_mod-ct_seg-{name}_msk.nii.gz" for name in ("vert", "spine")))
    cohort = find_cases(tmp_path)
    expected = ("rawdata/sub-a/sub-a_ct.nii.gz", "derivatives_seg/sub-a/sub-a_mod-ct_seg-vert_msk.nii.gz")
    assert pairs(cohort) == {"sub-a": expected}
    assert set(why(cohort).values()) == {reasons.NO_SEGMENTATION, reasons.NO_CT}


def test_verse_cases_are_left_out_for_their_reasons(tmp_path: Path) -> None:
    made(tmp_path, "rawdata/sub-verse001/sub-verse001_ct.nii.gz", "derivatives/sub-verse002/sub-verse002_seg.nii.gz")
    made(tmp_path, "rawdata/sub-gl017/sub-gl017_ct.nii.gz", "derivatives/sub-gl017/sub-gl017_seg-vert_msk.nii.gz")
    made(tmp_path, "rawdata/sub-verse009/", "rawdata/sub-verse003/sub-verse003_ct.nii.gz")
    made(tmp_path, "derivatives/sub-verse003/sub-verse003_seg-vert_msk.nii.gz")
    cohort = find_cases(tmp_path)
    assert [case.name for case in cohort.cases] == ["sub-verse003"]
    assert why(cohort) == {
        "rawdata/sub-verse001/sub-verse001_ct.nii.gz": reasons.NO_SEGMENTATION,
        "derivatives/sub-verse002/sub-verse002_seg.nii.gz": reasons.NO_CT,
        "rawdata/sub-gl017/sub-gl017_ct.nii.gz": reasons.NO_DERIVATIVES,
        "rawdata/sub-verse009": reasons.EMPTY_FOLDER,
    }
    assert [case.name for case in find_cases(tmp_path, include_gl=True).cases] == ["sub-gl017", "sub-verse003"]


def test_a_verse_case_of_both_years_counts_once_with_its_own_segmentation(tmp_path: Path) -> None:
    for top in ("dataset-01training", "dataset-verse19training"):
        made(tmp_path, f"{top}/rawdata/sub-verse004/sub-verse004_ct.nii.gz")
        made(tmp_path, f"{top}/derivatives/sub-verse004/sub-verse004_seg-vert_msk.nii.gz")
    cohort = find_cases(tmp_path)
    assert [path.split("/")[0] for path in pairs(cohort)["sub-verse004"]] == ["dataset-01training"] * 2
    assert Counter(why(cohort).values()) == {reasons.SECOND_COPY: 1}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("data/{source}", "label/{source}"),
        ("data/{source}", "test_public/gt"),
        ("rawdata/volumes/{source}", "rawdata/labels/{source}"),
        (".", "."),
    ],
)
def test_ctspine1k_in_every_layout_that_circulates(images: str, masks: str, tmp_path: Path) -> None:
    stems = {
        "1.3.6.1.4.1.9328.50.4.0001": "colon",
        "CTC-1018399231": "colon",
        "HN_P001": "HNSCC-3DCT-RT_neck",
        "liver_0": "liver",
        "volume-covid19-A-0003_ct": "COVID-19",
    }
    for stem, source in stems.items():
        made(tmp_path, f"{images.format(source=source)}/{stem}.nii.gz")
        made(tmp_path, f"{masks.format(source=source)}/{stem}_seg.nii.gz")
    cohort = find_cases(tmp_path)
    assert {case.name for case in cohort.cases} == set(stems)
    for name, (ct, segmentation) in pairs(cohort).items():
        assert ct.endswith(f"{name}.nii.gz")
        assert segmentation.endswith(f"{name}_seg.nii.gz")
    assert not cohort.left_out


def test_verse_images_inside_ctspine1k_are_left_out(tmp_path: Path) -> None:
    made(tmp_path, "data/verse/verse004.nii.gz", "label/verse/verse004_seg.nii.gz")
    made(tmp_path, "data/liver/liver_1.nii.gz", "label/liver/liver_1_seg.nii.gz")
    cohort = find_cases(tmp_path)
    assert list(pairs(cohort)) == ["liver_1"]
    assert why(cohort) == {"data/verse/verse004.nii.gz": reasons.VERSE_IN_CTSPINE1K}
    both = find_cases(tmp_path, include_verse_in_ctspine1k=True)
    assert list(pairs(both)) == ["liver_1", "verse004"]


def test_totalsegmentators_case_folders(tmp_path: Path) -> None:
    made(tmp_path, "set/s0308/ct.nii.gz", "set/s0308/labels.nii.gz")
    made(tmp_path, "set/s0011/ct.nii.gz", "set/s0011/segmentations/vertebrae_L1.nii.gz")
    made(tmp_path, "set/s0012/ct.nii.gz")
    cohort = find_cases(tmp_path)
    assert pairs(cohort) == {
        "set__s0011": ("set/s0011/ct.nii.gz", "set/s0011/segmentations"),
        "set__s0308": ("set/s0308/ct.nii.gz", "set/s0308/labels.nii.gz"),
    }
    assert list(why(cohort)) == ["set/s0012/ct.nii.gz"]
    one = find_cases(tmp_path / "set" / "s0308")
    assert list(pairs(one)) == ["s0308"]


def test_totalsegmentators_output_folders_of_any_name(tmp_path: Path) -> None:
    """``TotalSegmentator -i ct.nii.gz -o FOLDER`` writes every structure into a folder that the user names."""
    made(tmp_path, "a/ct.nii.gz", "a/totalseg/vertebrae_L1.nii.gz", "a/totalseg/liver.nii.gz", "a/totalseg/stats.json")
    made(tmp_path, "b/ct.nii.gz", "b/vertebrae_L1.nii.gz", "b/vertebrae_L2.nii.gz", "b/liver.nii.gz")
    made(tmp_path, "flat/anna.nii.gz", "flat/anna/vertebrae_L1.nii.gz")
    made(tmp_path, "flat/ben_ct.nii.gz", "flat/ben_seg/vertebrae_L1.nii.gz")
    cohort = find_cases(tmp_path)
    assert pairs(cohort) == {
        "a": ("a/ct.nii.gz", "a/totalseg"),
        "b": ("b/ct.nii.gz", "b"),
        "anna": ("flat/anna.nii.gz", "flat/anna"),
        "ben": ("flat/ben_ct.nii.gz", "flat/ben_seg"),
    }
    assert not cohort.left_out


def test_patients_named_like_vertebrae_are_patients(tmp_path: Path) -> None:
    made(tmp_path, "c1.nii.gz", "c1_seg.nii.gz", "L2_ct.nii.gz", "L2_seg.nii.gz")
    assert list(pairs(find_cases(tmp_path))) == ["L2", "c1"]


def test_cases_named_after_vertebrae_by_number_are_no_structures(tmp_path: Path) -> None:
    made(tmp_path, "vertebra_001.nii.gz", "vertebra_001_seg.nii.gz", "vertebrae-ct2.nii.gz", "vertebrae-ct2_seg.nii.gz")
    assert pairs(find_cases(tmp_path)) == {
        "vertebra_001": ("vertebra_001.nii.gz", "vertebra_001_seg.nii.gz"),
        "vertebrae-ct2": ("vertebrae-ct2.nii.gz", "vertebrae-ct2_seg.nii.gz"),
    }


def test_segmentations_as_3d_slicer_names_them(tmp_path: Path) -> None:
    made(tmp_path, "a/ct.nrrd", "a/Segmentation.seg.nrrd", "b/p1.nrrd", "b/p1.seg.nrrd", "b/p2.nrrd", "b/p2-label.nrrd")
    cohort = find_cases(tmp_path)
    assert pairs(cohort) == {
        "a": ("a/ct.nrrd", "a/Segmentation.seg.nrrd"),
        "p1": ("b/p1.nrrd", "b/p1.seg.nrrd"),
        "p2": ("b/p2.nrrd", "b/p2-label.nrrd"),
    }
    assert not cohort.left_out


def test_one_segmentation_for_two_cts_of_its_name_is_given_to_neither(tmp_path: Path) -> None:
    made(tmp_path, "first/anna.nii.gz", "second/anna.nii.gz", "masks/anna_seg.nii.gz", "b.nii.gz", "b_seg.nii.gz")
    made(tmp_path, "c.nii.gz", "c.nrrd", "c_seg.nii.gz")
    cohort = find_cases(tmp_path)
    assert list(pairs(cohort)) == ["b"]
    shared = ("first/anna.nii.gz", "second/anna.nii.gz", "c.nii.gz", "c.nrrd")
    assert why(cohort) == dict.fromkeys(shared, reasons.ONE_SEGMENTATION_FOR_SEVERAL)


def test_the_folder_of_a_segmentation_decides_between_cts_of_its_name(tmp_path: Path) -> None:
    made(tmp_path, "first/anna.nii.gz", "second/anna.nii.gz", "second/anna_seg.nii.gz")
    made(tmp_path, "data/liver/x.nii.gz", "data/colon/x.nii.gz", "label/liver/x_seg.nii.gz", "label/colon/x_seg.nii.gz")
    cohort = find_cases(tmp_path)
    assert set(pairs(cohort).values()) == {
        ("second/anna.nii.gz", "second/anna_seg.nii.gz"),
        ("data/liver/x.nii.gz", "label/liver/x_seg.nii.gz"),
        ("data/colon/x.nii.gz", "label/colon/x_seg.nii.gz"),
    }
    assert why(cohort) == {"first/anna.nii.gz": reasons.ONE_SEGMENTATION_FOR_SEVERAL}


def test_a_flat_folder_of_pairs_with_names_of_many_habits(tmp_path: Path) -> None:
    made(tmp_path, "a.nii.gz", "a_seg.nii.gz", "b_ct.nrrd", "b_labels.nrrd", "c-CT.mha", "c-mask.mha", "notes.txt")
    made(tmp_path, "verse506_CT-iso.nii.gz", "verse506_CT-iso_seg.nii.gz", ".hidden.nii.gz")
    cohort = find_cases(tmp_path)
    assert pairs(cohort) == {
        "a": ("a.nii.gz", "a_seg.nii.gz"),
        "b": ("b_ct.nrrd", "b_labels.nrrd"),
        "c": ("c-CT.mha", "c-mask.mha"),
        "verse506_CT-iso": ("verse506_CT-iso.nii.gz", "verse506_CT-iso_seg.nii.gz"),
    }
    assert not cohort.left_out


def test_the_folder_one_stands_in_is_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "here", "a.nii.gz", "a_seg.nii.gz", "ct.nii.gz", "labels.nii.gz")
    monkeypatch.chdir(tmp_path / "here")
    assert list(pairs(find_cases(Path(".")))) == ["a", "here"]


def test_equal_names_in_two_folders_are_two_cases(tmp_path: Path) -> None:
    made(tmp_path, "one/scan.nii.gz", "one/scan_seg.nii.gz", "two/scan.nii.gz", "two/scan_seg.nii.gz")
    assert pairs(find_cases(tmp_path)) == {
        "scan": ("one/scan.nii.gz", "one/scan_seg.nii.gz"),
        "two__scan": ("two/scan.nii.gz", "two/scan_seg.nii.gz"),
    }


def test_two_segmentations_of_one_ct_are_not_chosen_between(tmp_path: Path) -> None:
    made(tmp_path, "a.nii.gz", "a_seg.nii.gz", "a_mask.nii.gz", "b.nii.gz", "b_seg.nii.gz")
    cohort = find_cases(tmp_path)
    assert list(pairs(cohort)) == ["b"]
    assert why(cohort) == {"a.nii.gz": reasons.SEVERAL_SEGMENTATIONS}


def test_a_bare_segmentation_beside_several_cts_belongs_to_none(tmp_path: Path) -> None:
    made(tmp_path, "a.nii.gz", "b.nii.gz", "labels.nii.gz", "c.nii.gz", "c_seg.nii.gz")
    assert list(pairs(find_cases(tmp_path))) == ["c"]


def test_a_label_map_is_preferred_to_the_single_structures_in_its_folder(tmp_path: Path) -> None:
    made(tmp_path, "s0308/ct.nii.gz", "s0308/labels.nii.gz", "s0308/segmentations/vertebrae_L1.nii.gz")
    assert pairs(find_cases(tmp_path)) == {"s0308": ("s0308/ct.nii.gz", "s0308/labels.nii.gz")}


def test_results_of_an_earlier_run_are_no_cohort(tmp_path: Path) -> None:
    """A synthetic CT beside its own mask would score 1."""
    made(tmp_path, "results/synthetic_ct.nrrd", "results/synthetic_vertebrae.nrrd", "results/.tomoray-files.json")
    made(tmp_path, "a.nii.gz", "a_seg.nii.gz")
    cohort = find_cases(tmp_path)
    assert list(pairs(cohort)) == ["a"]
    assert why(cohort) == {"results": reasons.OWN_RESULTS}


def test_linked_folders_are_followed_but_never_round_in_circles(tmp_path: Path) -> None:
    made(tmp_path, "store/a.nii.gz", "store/a_seg.nii.gz", "cohort/")
    (tmp_path / "cohort" / "data").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "again").symlink_to(tmp_path / "cohort")
    assert list(pairs(find_cases(tmp_path / "cohort"))) == ["a"]


def test_a_folder_without_cases_is_refused_with_counted_reasons(tmp_path: Path) -> None:
    made(tmp_path, *(f"labelmaps/v{n}_seg.nii.gz" for n in range(5)), "bodies/a.nii.gz")
    with pytest.raises(InputError) as caught:
        find_cases(tmp_path)
    text = str(caught.value)
    assert f"5 x {reasons.NO_CT} (labelmaps/v0_seg.nii.gz, " in text
    assert "labelmaps/v2_seg.nii.gz, ...)" in text
    assert f"1 x {reasons.NO_SEGMENTATION} (bodies/a.nii.gz)" in text
    assert "docs/evaluation.md" in text


def test_no_folder_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no volume at all"):
        find_cases(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        find_cases(tmp_path / "absent")


def test_only_the_named_cases_are_kept(tmp_path: Path) -> None:
    cohort = find_cases(made(tmp_path, *(f"{n}{end}.nii.gz" for n in "abc" for end in ("", "_seg"))))
    assert list(pairs(only_named(cohort, ["c", "a"]))) == ["a", "c"]
    with pytest.raises(InputError, match="1 not among its 3: d; its names look like a, b, c"):
        only_named(cohort, ["a", "d"])
    with pytest.raises(InputError, match="got no name"):
        only_named(cohort, [])


def test_a_stem_is_a_name_without_the_ending_of_a_volume() -> None:
    assert stem_of(Path("1.3.6.1.nii.gz")) == "1.3.6.1"
    assert stem_of(Path("A.NRRD")) == "A"
    assert stem_of(Path("a.png")) is None


GRID = Grid((7, 5, 3), (2.0, 1.0, 0.5), (10.0, -20.0, 30.0))


def written_mask(path: Path, place: tuple[int, int, int], grid: Grid = GRID) -> None:
    voxels = np.zeros(grid.shape, dtype=np.uint8)
    voxels[place] = 1
    path.parent.mkdir(exist_ok=True)
    write_volume(path, Volume(voxels, grid))


def test_a_folder_of_structures_becomes_one_label_map(tmp_path: Path) -> None:
    written_mask(tmp_path / "vertebrae_L3.nii.gz", (0, 1, 2))
    written_mask(tmp_path / "vertebrae_C7.nii.gz", (2, 4, 6))
    written_mask(tmp_path / "rib_left_3.nii.gz", (1, 1, 1))
    labels = read_structures(tmp_path)
    assert labels.grid.same_as(GRID)
    assert (labels.voxels[0, 1, 2], labels.voxels[2, 4, 6], np.count_nonzero(labels.voxels)) == (22, 7, 2)


def test_structures_without_a_vertebra_or_of_two_grids_are_refused(tmp_path: Path) -> None:
    written_mask(tmp_path / "a" / "rib_left_3.nii.gz", (1, 1, 1))
    with pytest.raises(InputError, match="named after vertebrae"):
        read_structures(tmp_path / "a")
    written_mask(tmp_path / "b" / "vertebrae_L3.nii.gz", (0, 0, 0))
    other = Grid((7, 5, 3), (2.0, 1.0, 0.7), (10.0, -20.0, 30.0))
    written_mask(tmp_path / "b" / "vertebrae_L4.nii.gz", (0, 0, 0), other)
    with pytest.raises(InputError, match="expected the grid of the other masks"):
        read_structures(tmp_path / "b")


def test_cts_without_a_segmentation_are_cases_if_asked_for(tmp_path: Path) -> None:
    for name in (
        "sub-verse001_ct.nii.gz",
        "sub-verse001_seg.nii.gz",
        "sub-verse002_ct.nii.gz",
        "sub-gl003_ct.nii.gz",
        "s0308/ct.nii.gz",
        "lonely_seg.nii.gz",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    cohort = find_cases(tmp_path, include_unlabelled=True)
    assert [case.name for case in cohort.cases] == ["sub-verse001"]
    assert [(case.name, case.subject) for case in cohort.unlabelled] == [
        ("s0308", "s0308"),
        ("sub-verse002", "sub-verse002"),
    ]
    assert set(why(cohort).values()) == {reasons.NO_DERIVATIVES, reasons.NO_CT}
    assert [case.name for case in only_named(cohort, ["s0308"]).unlabelled] == ["s0308"]
    assert find_cases(tmp_path).unlabelled == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipes_and_devices_among_the_files_are_left_out_without_waiting_for_them(tmp_path: Path) -> None:
    made(tmp_path, "a_ct.nii.gz", "a_seg.nii.gz")
    os.mkfifo(tmp_path / "b_ct.nii.gz")
    (tmp_path / "c_ct.nii.gz").symlink_to("/dev/zero")
    (tmp_path / "d_ct.nii.gz").symlink_to(tmp_path / "a_ct.nii.gz")
    cohort = find_cases(tmp_path, include_unlabelled=True)
    assert [case.name for case in (*cohort.cases, *cohort.unlabelled)] == ["a", "d"]
    assert why(cohort) == {"b_ct.nii.gz": reasons.NO_FILE, "c_ct.nii.gz": reasons.NO_FILE}
