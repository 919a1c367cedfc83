"""Spines and bodies for phantoms; and the small hand-made ones that the other training tests are built from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from support.anatomies import (
    a_body,
    a_coarse_anatomy,
    a_spine,
    labels_of_a_column,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.training.data.anatomy import Anatomy, load_anatomy
from TomoRayLib.training.data.training_cases import TrainingCases
from TomoRayLib.training.phantoms.bodies import BODY_SPACING_MM, Body, body_region, body_without_spine
from TomoRayLib.training.phantoms.scene import body_fits
from TomoRayLib.training.phantoms.spine_removal import (
    column_zone,
    contrast_vessels,
    refined_course,
    remove_spine,
    spine_course,
    spine_window,
)
from TomoRayLib.training.phantoms.spines import Spine, load_spine, spine_from_labels


def test_a_spines_levels_and_course_are_in_patient_millimetres() -> None:
    labels, grid = labels_of_a_column()
    spine = spine_from_labels("column", labels, grid)
    np.testing.assert_allclose(spine.level_z_mm, [(20.5, -400 + 30.5 * 3), (21.5, -400 + 19.5 * 3)])
    np.testing.assert_allclose(spine.curve_mm[-1, 0], -20 + 19.5 * 2, atol=1.0)  # the middle of L1, smoothed
    np.testing.assert_allclose(spine.curve_mm[0, 0], -20 + 23.5 * 2, atol=1.0)  # goes on straight below L2
    np.testing.assert_allclose(spine.curve_mm[:, 1], 35 + 29.5 * 1.5)
    assert spine.z_range_mm == (-400.0, -400.0 + 39 * 3)


def test_the_sacrum_is_no_part_of_a_spine() -> None:
    labels, grid = labels_of_a_column()
    occupancy = spine_from_labels("column", labels, grid).occupancy
    assert int(occupancy[:12].max()) == 0
    assert int(occupancy[20, 30, 24]) == 255


def test_a_label_map_without_vertebrae_is_refused() -> None:
    labels, grid = labels_of_a_column()
    with pytest.raises(ValueError, match="no vertebra label"):
        spine_from_labels("sacrum", np.where(labels == 26, labels, 0), grid)


def test_a_mask_that_hardly_shows_a_vertebra_is_refused_and_not_interpolated() -> None:
    grid = Grid((9, 8, 7), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0))
    labels = np.zeros(grid.shape, np.uint8)
    labels[2:5, 3:6, 4:7] = 20
    with pytest.raises(InputError, match="a slice of thin with 30 voxels of vertebrae at 3 mm, got 9 at most"):
        spine_from_labels("thin", labels, grid)


def test_a_label_map_in_a_file_stored_upside_down_gives_the_same_spine(tmp_path: Path) -> None:
    """Direction cosines, not the order of storage, say where a voxel is.

    Up to 1.1 mm apart: the 1 mm samples that fall on a face between two voxels take the next one in storage.
    """
    labels, grid = labels_of_a_column()
    flipped = Grid(grid.size, grid.spacing_mm, (78.0, 35.0, -283.0), (-1, 0, 0, 0, 1, 0, 0, 0, -1))
    spines = []
    for name, volume in (("a", Volume(labels, grid)), ("b", Volume(labels[::-1, :, ::-1].copy(), flipped))):
        write_volume(tmp_path / f"{name}_seg.nii.gz", volume)
        spines.append(load_spine(tmp_path / f"{name}_seg.nii.gz"))
    assert [spine.name for spine in spines] == ["a", "b"]
    assert spines[0].grid.spacing_mm == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(spines[0].curve_mm, spines[1].curve_mm, atol=1.1)
    np.testing.assert_allclose(spines[0].level_z_mm, spines[1].level_z_mm, atol=1.1)
    np.testing.assert_allclose(spines[0].level_z_mm[:, 1], (-308.5, -341.5), atol=1.1)


def test_a_bodys_level_lies_between_its_anchors_by_vertebral_heights() -> None:
    body = a_body()
    assert body.levels is not None
    (upper, upper_mm), (lower, lower_mm) = body.levels
    np.testing.assert_allclose(body.z_of_level(np.array([upper, lower])), (upper_mm, lower_mm))
    # lumbar vertebrae with their disc are 36 mm high
    np.testing.assert_allclose(np.diff(body.z_of_level(np.array([20.0, 21.0, 22.0]))), -36.0)
    top, bottom = body.level_range()
    assert top < upper
    assert lower < bottom + 1


def test_a_body_that_nobody_has_read_says_so() -> None:
    body = a_body()
    unread = Body(body.name, body.hu, body.grid, body.curve_mm, None)
    with pytest.raises(ValueError, match="LEVELS_OF_BODY"):
        unread.z_of_level(np.array([20.0]))
    assert body_fits(a_spine(4.0), unread)


def test_a_lumbar_spine_does_not_fit_a_cervical_body() -> None:
    body = a_body()
    neck = Body(body.name, body.hu, body.grid, body.curve_mm, ((1.0, -50.0), (7.0, -152.0)))
    spine = a_spine(4.0)
    assert body_fits(spine, body)
    assert not body_fits(Spine("L", spine.occupancy, spine.grid, spine.curve_mm, spine.level_z_mm[5:]), neck)


def a_chest() -> tuple[np.ndarray, Grid]:
    """HU (z, y, x) of 30 slices: an elliptic chest with lungs, a table behind it, and off its middle a column of 400 HU
    with a dark marrow, spinous processes in every other third of the height, ribs, and an aorta full of contrast."""
    grid = Grid((120, 90, 30), (BODY_SPACING_MM,) * 3, (-77.0, 31.0, 500.0))
    k, j, i = np.indices(grid.shape)
    hu = np.full(grid.shape, -1000.0, np.float32)
    hu[((i - 60) / 50) ** 2 + ((j - 40) / 34) ** 2 < 1] = 40.0
    for side in (-1, 1):
        hu[((i - 64 - side * 24) / 14) ** 2 + ((j - 40) / 18) ** 2 < 1] = -850.0
        hu[(np.abs(j - 62) < 2) & (side * (i - 64) > 14) & (side * (i - 64) < 30)] = 500.0
    hu[:, 80:84, 10:110] = 100.0
    hu[(i - 64) ** 2 + (j - 58) ** 2 < 8**2] = 400.0
    hu[(i - 64) ** 2 + (j - 58) ** 2 < 6**2] = 60.0
    hu[(np.abs(i - 64) < 3) & (j > 60) & (j < 70) & (k % 10 < 5)] = 400.0
    hu[(i - 78) ** 2 + (j - 42) ** 2 < 6**2] = 350.0
    return hu, grid


def test_a_bodys_spine_is_found_where_it_is_although_an_aorta_and_ribs_are_as_bright() -> None:
    hu, grid = a_chest()
    body = body_region(hu)
    assert not body[:, 80:84].any()
    first = spine_course(spine_window(body, BODY_SPACING_MM) & (hu > 140), grid)
    course = refined_course(body & (hu > 140), first, grid)
    course = refined_course(body & (hu > 140) & ~contrast_vessels(hu, course, grid), course, grid)
    middle = np.array((-77 + 2 * 64, 31 + 2 * 58))
    assert np.abs(first - middle).max() > 5
    np.testing.assert_allclose(course[4:-4, 0], middle[0], atol=1.5)
    assert (course[4:-4, 1] - middle[1]).max() < 5  # spinous processes belong to the course
    assert (course[4:-4, 1] - middle[1]).min() > -1


def test_a_spine_is_taken_out_whole_and_ribs_and_aorta_stay() -> None:
    hu, grid = a_chest()
    body = body_region(hu)
    course = np.tile((-77.0 + 2 * 64, 31.0 + 2 * 58), (30, 1))
    without = remove_spine(hu, column_zone(hu, course, grid), body, BODY_SPACING_MM, seed=3)
    _, j, i = np.indices(hu.shape)
    column = (i - 64) ** 2 + (j - 58) ** 2 < 8**2
    spinous = (np.abs(i - 64) < 3) & (j > 60) & (j < 70)
    assert float(without[column | spinous].max()) < 140
    assert np.abs(without[column] - 50).mean() < 40
    assert len(np.unique(without[(i == 64) & (j == 58)])) > 20  # muscle with noise, the marrow's 60 HU are gone
    ribs, aorta = hu == 500, hu == 350
    assert (without[ribs] == 500).mean() > 0.75  # all but their heads
    np.testing.assert_array_equal(without[aorta], 350)
    changed = without != hu
    off = np.hypot(2.0 * (i - 64), np.maximum(0, np.abs(2.0 * (j - 60)) - 20))
    assert off[changed].max() < 40


def test_lung_reaches_the_place_of_a_spine_that_was_taken_out() -> None:
    """A column that stands in lung: its outermost millimetres become lung, its middle becomes muscle."""
    grid = Grid((60, 60, 12), (BODY_SPACING_MM,) * 3, (0.0, 0.0, 0.0))
    _, j, i = np.indices(grid.shape)
    distance_mm = 2.0 * np.hypot(i - 30, j - 30)
    hu = np.where(distance_mm < 20, 300.0, -850.0).astype(np.float32)
    zone = column_zone(hu, np.full((12, 2), 60.0), grid)
    without = remove_spine(hu, zone, np.ones_like(zone), BODY_SPACING_MM, seed=0)
    assert float(without[(distance_mm > 16) & (distance_mm < 20)].max()) == -850.0
    assert float(without[distance_mm < 8].min()) > -50.0


def test_the_sacrum_stays() -> None:
    hu, grid = a_chest()
    body = body_region(hu)
    bottom_mm = 530.0
    levels = ((20.0, bottom_mm + 200.0), (25.0, bottom_mm))
    whole = body_without_spine("chest", hu, body, grid, levels)
    z_mm = grid.origin_mm[2] + np.arange(grid.size[2]) * grid.spacing_mm[2]
    column = whole.hu.numpy()[:, 58, 57]  # in the shell of the column
    np.testing.assert_array_equal(column[z_mm < bottom_mm - 8], 400)
    assert column[z_mm > bottom_mm + 8].max() < 140  # its endplate rises towards the canal


def test_the_skull_stays_and_draws_the_course_nowhere() -> None:
    hu, grid = a_chest()
    top_mm = 536.0
    z_mm = grid.origin_mm[2] + np.arange(grid.size[2]) * grid.spacing_mm[2]
    _, j, i = np.indices(hu.shape)
    hu[(z_mm > top_mm + 6)[:, None, None] & ((i - 40) ** 2 + (j - 40) ** 2 < 12**2)] = 900.0
    whole = body_without_spine("neck", hu, body_region(hu), grid, ((1.0, top_mm), (3.0, top_mm - 34.0)))
    np.testing.assert_array_equal(whole.hu.numpy()[z_mm > top_mm + 6][:, 40, 40], 900)
    assert np.abs(whole.curve_mm[-4:, 0] - (-77.0 + 2 * 64)).max() < 2
    assert whole.hu.numpy()[(z_mm > 505) & (z_mm < top_mm - 2)][:, 58, 57].max() < 140


def test_osteophytes_in_front_of_a_vertebra_go_with_it_and_a_calcified_vessel_stays() -> None:
    hu, grid = a_chest()
    k, j, i = np.indices(hu.shape)
    osteophyte = (np.abs(i - 64) < 4) & (j > 34) & (j < 52) & (k % 10 < 5)  # to 50 mm in front of the column's middle
    vessel = (np.abs(i - 64) < 3) & (j > 29) & (j < 32)
    hu[osteophyte], hu[vessel] = 500.0, 500.0
    course = np.tile((-77.0 + 2 * 64, 31.0 + 2 * 60), (30, 1))
    zone = column_zone(hu, course, grid)
    without = remove_spine(hu, zone, body_region(hu), BODY_SPACING_MM, seed=3)
    assert float(without[osteophyte].max()) < 140
    np.testing.assert_array_equal(without[vessel], 500)


def test_a_raised_arm_belongs_to_the_body_and_a_table_does_not() -> None:
    hu = np.full((4, 120, 160), -1000.0, np.float32)
    _, j, i = np.indices(hu.shape)
    for middle_x, radius, bone in ((60, 30, 8), (120, 20, 5)):  # a head, and an arm of 50 cm2 to its left
        away = (i - middle_x) ** 2 + (j - 50) ** 2
        hu[away < radius**2] = 40.0
        hu[away < bone**2] = 700.0
    hu[:, 95:110, 20:140] = 60.0  # a thick table without bone
    region = body_region(hu)
    assert region[:, 50, 60].all()
    assert region[:, 50, 135].all()
    assert not region[:, 100].any()


def test_training_data_that_are_not_there_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="folder of data that holds both"):
        load_anatomy(tmp_path)


def test_held_out_spines_are_not_trained_on() -> None:
    spine, body = a_spine(4.0), a_body(8.0)
    other = Spine("kept back", spine.occupancy, spine.grid, spine.curve_mm, spine.level_z_mm)
    training, held_out = Anatomy((spine, other), (body,)).split(("kept back",))
    assert [s.name for s in training.spines] == ["column"]
    assert [s.name for s in held_out.spines] == ["kept back"]
    assert held_out.draw(np.random.default_rng(0)) == (other, body)


def test_a_spine_whose_subject_is_held_out_under_another_name_is_not_trained_on() -> None:
    spine, body = a_spine(4.0), a_body(8.0)
    anatomy = Anatomy((spine, dataclasses.replace(spine, name="verse041")), (body,))
    training, validation = anatomy.split(("sub-verse041_dir-iso",))
    assert [s.name for s in training.spines] == ["column"]
    assert [s.name for s in validation.spines] == ["verse041"]
    assert not validation.spines_trained_on


def test_a_body_of_a_person_held_out_is_in_no_phantom() -> None:
    neck = dataclasses.replace(a_body(8.0), name="acrin_flt_001_head_neck")
    anatomy = Anatomy((a_spine(4.0),), (neck, a_body(8.0)))
    training, validation = anatomy.split(("acrin_flt_001_abdomen_pelvis",))
    assert [body.name for body in training.bodies] == [body.name for body in validation.bodies] == ["block"]
    nobody, _ = Anatomy((a_spine(4.0),), (neck,)).split(("acrin_flt_001",))
    with pytest.raises(ValueError, match="Expected at least one spine"):
        nobody.draw(np.random.default_rng(0))


def test_bodies_held_out_are_not_even_read(tmp_path: Path) -> None:
    """They are not CTs at all here: reading them would fail."""
    names = ("lidc_idri_0001_chest", "totalsegmentator_example_abdomen_pelvis")
    for folder, name in (("labelmaps", "mine_seg"), *(("bodies", name) for name in names)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.nii.gz").write_text("no volume")
    with pytest.raises(ValueError, match=r"got 1 and 0\."):
        load_anatomy(tmp_path)


def test_a_validation_on_the_spines_of_the_training_says_so() -> None:
    training, validation = a_coarse_anatomy().split()
    assert training.spines == validation.spines
    assert (training.spines_trained_on, validation.spines_trained_on) == (False, True)


def test_an_anatomy_whose_spines_are_all_held_out_is_told_so() -> None:
    training, validation = a_coarse_anatomy().split(("column",))
    validation.check_trainable()
    for ask in (training.check_trainable, lambda: training.draw(np.random.default_rng(0))):
        with pytest.raises(
            ValueError, match=r"Expected at least one spine .* got none that is not held out\. Add label"
        ):
            ask()
    dataclasses.replace(training, cohort=TrainingCases([])).check_trainable()  # real CTs alone
