"""Pictures of the report: orientation letters, scale bars, levels, difference and outline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.report_cases import GRID, PAIR, a_case, spine_labels
from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine, DecodedVertebra
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume
from TomoRayLib.report.content import shown_volumes
from TomoRayLib.report.drawing import outline, picture_size, scale_bar_px, scaled
from TomoRayLib.report.figures import BEFORE_MM, name_place, pixel_size_at_isocenter_mm, slice_row
from TomoRayLib.report.slices import (
    EDGES_OF_PLANE,
    Edges,
    Plane,
    choose_slices,
    cut,
    edges_of_view,
    pixel_size_mm,
    slice_image,
)


def marker(x: int, y: int, z: int) -> np.ndarray:
    """One bright voxel at that place of an array (z, y, x) of 4 x 5 x 6."""
    voxels = np.zeros((4, 5, 6))
    voxels[z, y, x] = 1
    return voxels


def test_axial_slice_has_patient_left_at_image_right_and_anterior_at_the_top() -> None:
    picture = slice_image(marker(x=5, y=0, z=2), Plane.AXIAL, 2)
    assert picture.shape == (5, 6)
    assert picture[0, 5] == 1
    assert EDGES_OF_PLANE[Plane.AXIAL] == Edges(left="R", right="L", top="A", bottom="P")


def test_coronal_slice_has_patient_left_at_image_right_and_superior_at_the_top() -> None:
    picture = slice_image(marker(x=5, y=3, z=3), Plane.CORONAL, 3)
    assert picture.shape == (4, 6)
    assert picture[0, 5] == 1
    assert EDGES_OF_PLANE[Plane.CORONAL] == Edges(left="R", right="L", top="S", bottom="I")


def test_sagittal_slice_has_anterior_at_image_left_and_superior_at_the_top() -> None:
    picture = slice_image(marker(x=1, y=0, z=3), Plane.SAGITTAL, 1)
    assert picture.shape == (4, 5)
    assert picture[0, 0] == 1
    assert EDGES_OF_PLANE[Plane.SAGITTAL] == Edges(left="A", right="P", top="S", bottom="I")


def test_radiograph_letters_follow_the_geometry() -> None:
    assert edges_of_view(PAIR.ap) == Edges("R", "L", "S", "I")
    assert edges_of_view(PAIR.lateral) == Edges("A", "P", "S", "I")
    assert edges_of_view(replace(PAIR.ap, gantry_angle_deg=180.0)) == Edges("L", "R", "S", "I")
    assert edges_of_view(replace(PAIR.ap, gantry_angle_deg=40.0)) == Edges("RA", "LP", "S", "I")


def test_an_oblique_or_mirrored_volume_is_shown_at_its_place_in_lps() -> None:
    mirrored = Grid((56, 60, 64), (2.0, 2.5, 3.0), (50.0, -70.0, -100.0), (-1, 0, 0, 0, 1, 0, 0, 0, 1))
    labels = np.ascontiguousarray(spine_labels()[:, :, ::-1])  # the same patient, stored from left to right
    shown = shown_volumes(
        a_case(synthetic=Volume(np.zeros(GRID.shape), mirrored), truth_labels=Volume(labels, mirrored))
    )
    assert shown.grid.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    x = np.argwhere(shown.truth_labels > 0)[:, 2] * shown.grid.spacing_mm[0] + shown.grid.origin_mm[0]
    assert x.mean() == pytest.approx(-60.0 + 36.5 * 2.0, abs=1.1)


def test_scaled_picture_has_square_pixels_and_the_scale_bar_its_length_in_mm() -> None:
    pixels_per_mm = 3.2
    rows, columns = scaled(np.zeros((40, 30)), (3.0, 2.0), pixels_per_mm).shape
    assert (rows, columns) == picture_size((40, 30), (3.0, 2.0), pixels_per_mm) == (384, 192)
    assert scale_bar_px(50.0, pixels_per_mm) == 160


def test_scale_bar_drawn_on_a_slice_is_50_mm_long() -> None:
    shown = shown_volumes(a_case())
    choice = choose_slices(shown)[2]
    picture = slice_row(shown, choice, pixels_per_mm=4.0).truth
    white = (np.asarray(picture) == 255).all(axis=2)
    longest = max(len(run) for row in white[-40:] for run in "".join("x" if w else " " for w in row).split())
    assert longest == 200
    row_mm, column_mm = pixel_size_mm(shown.grid, Plane.AXIAL)
    assert picture.size == (round(cut(shown.truth_hu, choice).shape[1] * column_mm * 4), round(48 * row_mm * 4))


def test_radiograph_scale_is_that_of_the_isocentre() -> None:
    assert pixel_size_at_isocenter_mm(PAIR.ap) == pytest.approx((3.0, 4.0))


def test_slices_pass_through_the_spine_and_axial_levels_name_vertebrae() -> None:
    choices = choose_slices(shown_volumes(a_case()))
    assert [choice.plane for choice in choices] == [
        Plane.SAGITTAL,
        Plane.CORONAL,
        Plane.AXIAL,
        Plane.AXIAL,
        Plane.AXIAL,
    ]
    assert choices[0].index == pytest.approx(36.5, abs=1)
    assert choices[1].index == pytest.approx(33.5, abs=1)
    names = [choice.caption.split(",")[1].strip() for choice in choices[2:]]
    assert names == ["T12", "L1", "L2"]  # from above
    assert all(cut(spine_labels(), choice).any() for choice in choices)


def test_difference_is_red_where_the_synthetic_ct_has_too_much() -> None:
    shown = shown_volumes(a_case())  # the synthetic spine lies 4 mm too far to the patient's left, image right
    choice = choose_slices(shown)[2]
    gap = cut(shown.synthetic_hu, choice) - cut(shown.truth_hu, choice)
    picture = np.asarray(slice_row(shown, choice).difference).astype(int)
    row = picture[picture.shape[0] // 2]
    redness = row[:, 0] - row[:, 2]
    inner = slice(60, -60)  # without the letters
    assert np.argmax(redness[inner]) > np.argmin(redness[inner])
    assert np.argmax(gap[gap.shape[0] // 2]) > np.argmin(gap[gap.shape[0] // 2])


def test_outline_runs_just_inside_the_mask() -> None:
    mask = np.zeros((20, 20), np.float32)
    mask[5:15, 5:15] = 1
    border = outline(mask, width_px=2)
    assert border[5:15, 5:7].all()
    assert not border[7:13, 7:13].any()
    assert not border[:5].any()


def test_names_stand_before_vertebrae_at_their_height() -> None:
    """A bright voxel at a vertebra's centroid lies BEFORE_MM behind where its name ends, on the same row."""
    shown = shown_volumes(a_case())
    choice = choose_slices(shown)[0]
    assert choice.plane is Plane.SAGITTAL
    center_mm = tuple(float(value) for value in (shown.grid.index_to_world @ (20.0, 31.0, 17.0, 1.0))[:3])
    voxels = np.zeros(shown.grid.shape, np.float32)
    voxels[17, 31, choice.index] = 1.0
    pixels_per_mm = 4.0
    picture = scaled(cut(voxels, choice), pixel_size_mm(shown.grid, Plane.SAGITTAL), pixels_per_mm, smooth=False)
    row, column = np.argwhere(picture > 0.5).mean(axis=0) + 0.5
    x, y = name_place(shown.grid, choice, center_mm, pixels_per_mm)
    assert x == pytest.approx(column - BEFORE_MM * pixels_per_mm, abs=1.0)
    assert y == pytest.approx(row, abs=1.0)


def test_an_unsure_count_shows_as_question_marks_and_cut_vertebrae_have_no_names() -> None:
    grid = Grid((8, 8, 9), (2.0, 3.0, 4.0), (-5.0, 7.0, 11.0))
    labels = np.zeros(grid.shape, np.uint8)
    labels[0:2, 3:5, 3:5], labels[3:5, 3:5, 3:5], labels[6:9, 3:5, 3:5] = 21, 20, 19
    spine = DecodedSpine(labels, (vertebra(20, True), vertebra(19, False)), 0.4)
    grey = Volume(labels.astype(np.float32), grid)
    case = a_case(
        truth=grey,
        truth_labels=Volume(labels, grid),
        synthetic=grey,
        synthetic_mask=Volume(labels > 0, grid),
        metrics=None,
        spine=spine,
    )
    shown = shown_volumes(case)
    assert [name for name, _ in shown.synthetic_names] == ["L1?"]
    assert [name for name, _ in shown.truth_names] == ["L1"]
    assert [name for name, _ in shown_volumes(replace(case, labels_unsure=True)).truth_names] == ["L1?"]
    np.testing.assert_allclose(shown.truth_names[0][1], (2.0, 17.5, 25.0))


def vertebra(number: int, whole: bool) -> DecodedVertebra:
    return DecodedVertebra(number, (0.0, 0.0, 0.0), 1.0, whole, 1.0)
