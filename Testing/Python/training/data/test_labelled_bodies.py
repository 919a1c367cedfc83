"""Bodies with labels of their own spine: named by their levels, whole and plausible vertebrae alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.labelled_cts import HEIGHT_MM, Z_OF_L1_MM, a_labelled_ct
from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_labels
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.job import SegmentationJob
from TomoRayLib.jobs.segmentation import run_segmentation
from TomoRayLib.training.data import labelled_bodies
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.labelled_bodies import find_labelled_bodies, load_labelled_body, named_by_levels
from TomoRayLib.training.data.licences import LABELLED_BODIES
from TomoRayLib.training.data.training_cases import TrainingCases
from TomoRayLib.training.phantoms.body_levels import LEVELS_OF_BODY

# T9 to L2 stacked downwards, 30 mm each: the top of T9 is at 70 mm, off the grid's middle.
TOP_MM, PITCH_MM, TOP_NUMBER = 70.0, 30.0, 16
ANCHORS = tuple((TOP_NUMBER + n, TOP_MM - PITCH_MM * n) for n in range(7))
GRID = Grid((40, 45, 100), (2.0, 1.5, 2.5), (-31.0, 12.0, -140.0))


def a_stack(first: int = 16, last: int = 21, top_mm: float = TOP_MM) -> np.ndarray:
    """Labels (z, y, x): blocks of 24 mm with a spinous process that hangs 18 mm lower, called two less than it is."""
    labels = np.zeros(GRID.shape, np.uint8)
    z = GRID.origin_mm[2] + np.arange(GRID.size[2]) * GRID.spacing_mm[2]
    for number in range(first, last + 1):
        top = top_mm - PITCH_MM * (number - TOP_NUMBER)
        body = (z < top - 3) & (z > top - 27)
        process = (z < top - 12) & (z > top - 45)
        labels[body, 5:25, 10:28] = number - 2
        labels[process, 25:40, 16:22] = number - 2
    return labels


def test_vertebrae_are_named_by_where_their_bodies_are_not_by_the_labels_numbers() -> None:
    given = a_stack()
    named, kept = named_by_levels(Volume(given, GRID), ANCHORS)
    np.testing.assert_array_equal(named.voxels, np.where(given > 0, given + 2, 0))
    assert kept == slice(0, GRID.size[2])


def test_a_whole_level_of_error_is_no_name() -> None:
    """Where the anchors lie half a vertebra off, nothing is guessed."""
    with pytest.raises(InputError, match="at least 3 whole vertebrae"):
        named_by_levels(Volume(a_stack(top_mm=TOP_MM - 15.0), GRID), ANCHORS)


def test_a_cut_vertebra_is_left_out_and_its_bone_stays_in_the_ct() -> None:
    given = a_stack()
    given[:10] = 0
    given[0:11, 5:25, 10:28] = 22 - 2  # reaches the lowest slice
    named, kept = named_by_levels(Volume(given, GRID), ANCHORS)
    assert sorted(set(np.unique(named.voxels)) - {0}) == [16, 17, 18, 19, 20, 21]
    assert kept.start == 0


def test_an_implausible_vertebra_and_what_lies_beyond_it_are_cut_off() -> None:
    given = a_stack()
    given[given == 20 - 2] = 0
    z = GRID.origin_mm[2] + np.arange(GRID.size[2]) * GRID.spacing_mm[2]
    top = TOP_MM - PITCH_MM * 4
    given[(z < top - 3) & (z > top - 27), 5:25, 10:14] = 20 - 2  # a fifth of L1
    named, kept = named_by_levels(Volume(given, GRID), ANCHORS)
    assert sorted(set(np.unique(named.voxels)) - {0}) == [16, 17, 18, 19]
    lowest = TOP_MM - PITCH_MM * 4 - 12.0  # T12's process, as far as L1's begins
    assert GRID.origin_mm[2] + kept.start * GRID.spacing_mm[2] == pytest.approx(lowest, abs=2.6)
    assert kept.stop == GRID.size[2]


def test_two_pieces_at_one_place_are_both_left_out() -> None:
    given = a_stack()
    z = GRID.origin_mm[2] + np.arange(GRID.size[2]) * GRID.spacing_mm[2]
    top = TOP_MM - PITCH_MM  # T10, beside which another block of its size lies
    given[(z < top - 3) & (z > top - 27), 5:25, 30:39] = 4
    named, _ = named_by_levels(Volume(given, GRID), ANCHORS)
    assert sorted(set(np.unique(named.voxels)) - {0}) == [18, 19, 20, 21]


def test_a_turned_grid_is_refused() -> None:
    turned = Grid(GRID.size, GRID.spacing_mm, GRID.origin_mm, (0, -1, 0, 1, 0, 0, 0, 0, 1))
    with pytest.raises(InputError, match="axis-aligned"):
        named_by_levels(Volume(a_stack(), turned), ANCHORS)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """(labels, bodies) of four bodies of one stack: two known ones, a stranger, and a person of the validation."""
    names = ("nlst_chest", "cptac_c3l00189_lower_chest", "stranger", "totalsegmentator_example_abdomen_pelvis")
    monkeypatch.setattr(labelled_bodies, "LEVELS_OF_BODY", {name: ANCHORS for name in names if name != "stranger"})
    labels, bodies = tmp_path / "labels", tmp_path / "bodies"
    labels.mkdir()
    bodies.mkdir()
    given = a_stack()
    hu = np.full(GRID.shape, AIR_HU, np.int16)
    hu[:, 2:44, 2:38] = 40
    hu[given > 0] = 400
    given = np.where(given > 0, 24 - given, 0).astype(given.dtype)  # upwards, as no numbering is
    for name in names:
        write_volume(bodies / f"{name}.nii.gz", Volume(hu, GRID))
        write_volume(labels / f"{name}_labels.nii.gz", Volume(given, GRID))
    return labels, bodies


def test_only_known_people_who_are_not_held_out_are_found(folders: tuple[Path, Path]) -> None:
    found, left_out = find_labelled_bodies(*folders)
    assert [one.name for one in found] == ["cptac_c3l00189_lower_chest", "nlst_chest"]
    assert {name: reason.split(" (")[0] for name, reason in left_out} == {
        "stranger": "its levels were never read",
        "totalsegmentator_example_abdomen_pelvis": "this person is held out",
    }
    assert [one.name for one in find_labelled_bodies(*folders, ("nlst_chest",))[0]] == ["cptac_c3l00189_lower_chest"]


@pytest.mark.parametrize(
    ("said", "is_found"),
    [
        (None, False),
        ("{}", False),
        ("no JSON", False),
        ('{"segmenter": {"licence": "CC-BY-NC-SA-4.0"}}', False),
        ('{"segmenter": {"licence": "CC-BY-SA-4.0"}}', True),
    ],
)
def test_for_commercial_use_both_the_ct_and_the_labelling_network_must_allow_it(
    folders: tuple[Path, Path], said: str | None, is_found: bool
) -> None:
    for name in ("nlst_chest", "cptac_c3l00189_lower_chest"):
        (folders[0] / name).mkdir()
        if said is not None:
            (folders[0] / name / "provenance.json").write_text(said)
    found, left_out = find_labelled_bodies(*folders, permissive=True)
    assert [one.name for one in found] == (["nlst_chest"] if is_found else [])
    assert dict(left_out)["cptac_c3l00189_lower_chest"].startswith("not known to allow commercial use")
    assert is_found or dict(left_out)["nlst_chest"].startswith("labels by a network not known to allow")


def test_a_labelled_body_is_trained_on_as_a_labelled_ct_is_and_says_whose_labels_they_are(
    folders: tuple[Path, Path],
) -> None:
    found, _ = find_labelled_bodies(*folders)
    case = load_labelled_body(found[1])
    np.testing.assert_allclose(case.spine.level_z_mm[:, 0], [16.5, 17.5, 18.5, 19.5, 20.5, 21.5])
    cohort = TrainingCases(list(found))
    assert cohort.draw(np.random.default_rng(0)).name in {"nlst_chest", "cptac_c3l00189_lower_chest"}
    uses = Anatomy(cohort=cohort).sources()
    assert {(use.name, use.use, use.items) for use in uses} == {
        ("CPTAC", LABELLED_BODIES, ("cptac_c3l00189_lower_chest",)),
        ("TCIA torso CTs", LABELLED_BODIES, ("nlst_chest",)),
    }


def test_what_tomoray_segment_writes_is_trained_on_as_it_is(
    tiny_segmenter: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network calls them L1 to L4; by the body's levels they are T11 to L2."""
    anchors = tuple((18.0 + n, Z_OF_L1_MM + HEIGHT_MM / 2 - HEIGHT_MM * n) for n in range(5))
    monkeypatch.setattr(labelled_bodies, "LEVELS_OF_BODY", {"nlst_chest": anchors})
    ct, truth = a_labelled_ct()
    body = tmp_path / "bodies" / "nlst_chest.nii.gz"
    body.parent.mkdir()
    write_volume(body, ct)
    run_segmentation(SegmentationJob(str(tmp_path / "labels" / "nlst_chest"), str(body)), lambda _: None)
    found, left_out = find_labelled_bodies(tmp_path / "labels", tmp_path / "bodies")
    assert ([one.name for one in found], left_out) == (["nlst_chest"], [])
    case = load_labelled_body(found[0])
    assert found[0].segmentation.name == "vertebrae.nrrd"
    np.testing.assert_allclose(case.spine.level_z_mm[:, 0], [18.5, 19.5, 20.5, 21.5])
    corrected = tmp_path / "labels" / "nlst_chest_labels.nii.gz"
    write_volume(corrected, Volume(np.where(truth.voxels == 23, 0, truth.voxels), truth.grid))
    found, _ = find_labelled_bodies(tmp_path / "labels", tmp_path / "bodies")
    assert [one.segmentation for one in found] == [corrected]
    np.testing.assert_allclose(load_labelled_body(found[0]).spine.level_z_mm[:, 0], [18.5, 19.5, 20.5])


def test_labels_without_their_ct_and_a_folder_without_labels_are_named(folders: tuple[Path, Path]) -> None:
    labels, bodies = folders
    (bodies / "nlst_chest.nii.gz").unlink()
    with pytest.raises(InputError, match=r"nlst_chest\.nii\.gz, which does not exist"):
        find_labelled_bodies(labels, bodies)
    with pytest.raises(InputError, match="found none; make them with tomoray segment"):
        find_labelled_bodies(bodies, bodies)


def test_real_vertebrae_are_named_as_they_were_although_their_numbers_are_shifted() -> None:
    """TotalSegmentator's example, by its levels read by eye; T12 is cut."""
    places = [parent / "shared" / "data" / "totalsegmentator" / "example" for parent in Path(__file__).parents]
    file = next((place / "labels.nii.gz" for place in places if place.is_dir()), None)
    if file is None:
        pytest.skip("shared/data/totalsegmentator is not here")
    truth = read_labels(file)
    numbers = np.asarray(truth.voxels)
    shifted = np.where((numbers > 0) & (numbers < 26), numbers - 3, 0).astype(np.uint8)
    named, _ = named_by_levels(Volume(shifted, truth.grid), LEVELS_OF_BODY["totalsegmentator_example_abdomen_pelvis"])
    found = named.voxels > 0
    assert sorted(np.unique(named.voxels[found])) == [20, 21, 22, 23, 24]
    np.testing.assert_array_equal(named.voxels[found], numbers[found])
    assert found[(numbers >= 20) & (numbers <= 24)].mean() > 0.99
