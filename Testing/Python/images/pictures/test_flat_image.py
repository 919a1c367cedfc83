"""Radiographs in NRRD, MetaImage and NIfTI: which way is up, how large a pixel is, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.pictures import a_lopsided_picture, write_meta_image, write_nifti, write_nrrd
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_radiograph
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_image_2d, write_volume

SHOWN = a_lopsided_picture(9, 6).astype(np.int16)
ROW_MM, COLUMN_MM = 0.5, 0.25

# Directions of the stored columns' axis and of the stored rows' axis in the picture (right, down) -> stored pixels.
_PLANES = {
    "as shown": (((1, 0), (0, 1)), SHOWN),
    "upward": (((1, 0), (0, -1)), SHOWN[::-1]),
    "leftward": (((-1, 0), (0, 1)), SHOWN[:, ::-1]),
    "half a turn": (((-1, 0), (0, -1)), SHOWN[::-1, ::-1]),
    "exchanged": (((0, 1), (1, 0)), SHOWN.T),
    "a quarter turn": (((0, 1), (-1, 0)), SHOWN.T[::-1]),
    "a quarter turn back": (((0, -1), (1, 0)), SHOWN.T[:, ::-1]),
    "exchanged, half a turn": (((0, -1), (-1, 0)), SHOWN.T[::-1, ::-1]),
}


def _lengths(first: tuple[int, int]) -> tuple[float, float]:
    """Spacing of the stored fast and slow axis."""
    return (COLUMN_MM, ROW_MM) if first[0] else (ROW_MM, COLUMN_MM)


@pytest.mark.parametrize("plane", _PLANES)
@pytest.mark.parametrize("kind", ["nrrd", "mha"])
def test_directions_of_a_plane_are_followed_with_a_note(tmp_path: Path, plane: str, kind: str) -> None:
    (first, second), stored = _PLANES[plane]
    fast, slow = _lengths(first)
    path = tmp_path / f"ap.{kind}"
    if kind == "nrrd":
        steps = f"({first[0] * fast},{first[1] * fast}) ({second[0] * slow},{second[1] * slow})"
        write_nrrd(path, stored, f"space dimension: 2\nspace directions: {steps}\n")
    else:
        matrix = " ".join(str(value) for value in (*first, *second))
        write_meta_image(path, stored, f"TransformMatrix = {matrix}\nElementSpacing = {fast} {slow}\n")
    back = read_radiograph(path)
    np.testing.assert_array_equal(back.pixels, SHOWN)
    assert back.pixel_spacing_mm == (ROW_MM, COLUMN_MM)
    assert any("Directions in its header" in note for note in back.header.notes) == (plane != "as shown")
    assert back.header.warnings == ()
    assert back.header.patient_orientation is None


@pytest.mark.parametrize("kind", ["nrrd", "mha", "nii"])
@pytest.mark.parametrize("plane", _PLANES)
def test_what_simpleitk_writes_is_shown_as_simpleitk_places_it(tmp_path: Path, plane: str, kind: str) -> None:
    (first, second), stored = _PLANES[plane]
    image = sitk.GetImageFromArray(stored)
    image.SetDirection((first[0], second[0], first[1], second[1]))
    image.SetSpacing(_lengths(first))
    sitk.WriteImage(image, str(tmp_path / f"ap.{kind}"))
    back = read_radiograph(tmp_path / f"ap.{kind}")
    np.testing.assert_array_equal(back.pixels, SHOWN)
    assert back.pixel_spacing_mm == pytest.approx((ROW_MM, COLUMN_MM))


# Directions (LPS) of the columns' and of the rows' axis, and where columns and rows run to.
_FRONTAL_AND_LATERAL = {
    "frontal": ((1, 0, 0), (0, 0, -1), ("L", "F"), SHOWN),
    "frontal, from below": ((1, 0, 0), (0, 0, 1), ("L", "F"), SHOWN[::-1]),
    "frontal, mirrored": ((-1, 0, 0), (0, 0, -1), ("L", "F"), SHOWN[:, ::-1]),
    "lateral": ((0, 1, 0), (0, 0, -1), ("P", "F"), SHOWN),
    "lateral, mirrored, from below": ((0, -1, 0), (0, 0, 1), ("P", "F"), SHOWN[::-1, ::-1]),
    "lateral, lying": ((0, 0, -1), (0, 1, 0), ("P", "F"), SHOWN.T),
    "tilted by 20 degrees": ((1, 0, 0), (0, 0.342020, -0.939693), ("L", "F"), SHOWN),
}


@pytest.mark.parametrize("plane", _FRONTAL_AND_LATERAL)
@pytest.mark.parametrize("kind", ["nrrd", "mha", "nii"])
def test_slice_whose_directions_say_it_is_read_head_up(tmp_path: Path, plane: str, kind: str) -> None:
    first, second, orientation, stored = _FRONTAL_AND_LATERAL[plane]
    direction = np.column_stack([first, second, np.cross(first, second)])
    spacing = (ROW_MM, COLUMN_MM, 3.0) if first[2] else (COLUMN_MM, ROW_MM, 3.0)
    grid = Grid((*stored.shape[::-1], 1), spacing, (5.0, 6.0, 7.0), tuple(direction.ravel().tolist()))
    path = tmp_path / f"ap.{kind}"
    write_volume(path, Volume(np.ascontiguousarray(stored)[None], grid))
    back = read_radiograph(path)
    np.testing.assert_array_equal(back.pixels, SHOWN)
    assert back.pixel_spacing_mm == pytest.approx((ROW_MM, COLUMN_MM))
    assert back.header.patient_orientation == orientation
    assert any("Directions in its header" in note for note in back.header.notes) == (stored is not SHOWN)
    assert any("oblique by 20 degrees" in warning for warning in back.header.warnings) == ("20" in plane)


def test_slice_that_is_oblique_beyond_telling_is_refused(tmp_path: Path) -> None:
    half = 0.5**0.5
    for first, second in (((half, 0, -half), (half, 0, half)), ((1, 0, 0), (0, half, -half))):
        direction = np.column_stack([first, second, np.cross(first, second)])
        grid = Grid((6, 9, 1), (0.25, 0.5, 1.0), (0.0, 0.0, 0.0), tuple(direction.ravel().tolist()))
        write_volume(tmp_path / "ap.nrrd", Volume(SHOWN[None], grid))
        with pytest.raises(InputError, match="oblique by 45 degrees"):
            read_radiograph(tmp_path / "ap.nrrd")
    write_nrrd(tmp_path / "plane.nrrd", SHOWN, "space dimension: 2\nspace directions: (1,1) (-1,1)\n")
    with pytest.raises(InputError, match="oblique by 45 degrees"):
        read_radiograph(tmp_path / "plane.nrrd")


# --- NIfTI radiographs. Converters from DICOM store rows from below: i to the patient's left, j upward. ---

_LEFT_UP = np.array([[-COLUMN_MM, 0, 0, 40.0], [0, ROW_MM, 0, -60.0], [0, 0, 1.0, 0]])


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("sform_code", "qform_code"), [(0, 0), (1, 0), (2, 0), (0, 1), (2, 2)])
def test_nifti_radiograph_is_head_up_with_a_warning(
    tmp_path: Path, dimensions: int, sform_code: int, qform_code: int
) -> None:
    stored = SHOWN[::-1] if dimensions == 2 else SHOWN[::-1][None]
    write_nifti(
        tmp_path / "ap.nii",
        stored,
        spacing=(COLUMN_MM, ROW_MM, 1.0)[:dimensions],
        rows_to_ras=_LEFT_UP,
        sform_code=sform_code,
        qform_code=qform_code,
        quaternion=(0.0, 1.0, 0.0),  # half a turn about y: i to the left, j to the front, k (by qfac -1) to the head
        qfac=-1.0,
    )
    back = read_radiograph(tmp_path / "ap.nii")
    np.testing.assert_array_equal(back.pixels, SHOWN)
    assert back.pixel_spacing_mm == (ROW_MM, COLUMN_MM)
    assert back.header.patient_orientation is None
    words = "does not say which way is up" if sform_code == qform_code == 0 else "those of an axial slice"
    assert [warning for warning in back.header.warnings if words in warning]


def test_nifti_with_an_identity_matrix_is_shown_as_its_axes_say_with_a_warning(tmp_path: Path) -> None:
    rows = np.array([[COLUMN_MM, 0, 0, 0], [0, ROW_MM, 0, 0], [0, 0, 1.0, 0]])  # i to the right, j to the front
    write_nifti(
        tmp_path / "ap.nii", SHOWN[::-1, ::-1][None], spacing=(COLUMN_MM, ROW_MM, 1.0), rows_to_ras=rows, sform_code=2
    )
    back = read_radiograph(tmp_path / "ap.nii")
    np.testing.assert_array_equal(back.pixels, SHOWN)
    assert "rows to the right, columns to the front" in back.header.warnings[0]


def test_nifti_that_places_one_slice_in_two_ways_is_refused(tmp_path: Path) -> None:
    write_nifti(
        tmp_path / "ap.nii",
        SHOWN[None],
        spacing=(COLUMN_MM, ROW_MM, 1.0),
        rows_to_ras=_LEFT_UP,
        sform_code=1,
        qform_code=1,
        quaternion=(0.0, 0.0, 0.0),  # i to the right
    )
    with pytest.raises(InputError, match="expected one orientation, got two"):
        read_radiograph(tmp_path / "ap.nii")


def test_upright_nifti_slice_without_an_orientation_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ap.nii", SHOWN[:, None], spacing=(COLUMN_MM, 1.0, ROW_MM))
    with pytest.raises(InputError, match="expected a stated orientation"):
        read_radiograph(tmp_path / "ap.nii")


# --- Spacing ---

_SPACINGS = {
    "nothing": ("", "", None),
    "spacings": ("spacings: 0.25 0.5\n", "ElementSpacing = 0.25 0.5\n", (0.5, 0.25)),
    "centimetres": (
        'spacings: 0.025 0.05\nunits: "cm" "cm"\n',
        "ElementSpacing = 0.025 0.05\nDistanceUnits = cm\n",
        (0.5, 0.25),
    ),
    "size of an element": ("spacings: 0.25 0.5\n", "ElementSize = 0.25 0.5\n", (0.5, 0.25)),
}


@pytest.mark.parametrize("case", _SPACINGS)
@pytest.mark.parametrize("slices", [False, True], ids=["plane", "one slice"])
def test_spacing_is_what_the_header_states_in_mm_and_none_if_it_states_none(
    tmp_path: Path, case: str, slices: bool
) -> None:
    nrrd, meta, expected = _SPACINGS[case]
    stored = SHOWN[None] if slices else SHOWN
    if slices:
        nrrd = nrrd.replace("5\n", "5 nan\n").replace('"cm"\n', '"cm" "cm"\n')
        meta = meta.replace("5\n", "5 1\n")
    write_nrrd(tmp_path / "ap.nrrd", stored, nrrd)
    write_meta_image(tmp_path / "ap.mha", stored, meta)
    for name in ("ap.nrrd", "ap.mha"):
        back = read_radiograph(tmp_path / name)
        np.testing.assert_array_equal(back.pixels, SHOWN)
        assert back.pixel_spacing_mm == (None if expected is None else pytest.approx(expected))
        assert ("radiograph.pixel_spacing_mm" in back.header.origins) == (expected is not None)
        assert any("cm" in note for note in back.header.notes) == (case == "centimetres")


def test_axis_bounds_of_a_plane_give_its_spacing(tmp_path: Path) -> None:
    bounds = "axis mins: 0 0\naxis maxs: 1.5 4.5\ncenters: cell cell\n"
    write_nrrd(tmp_path / "ap.nrrd", SHOWN, bounds)
    assert read_radiograph(tmp_path / "ap.nrrd").pixel_spacing_mm == (0.5, 0.25)


@pytest.mark.parametrize(
    ("unit", "spacing", "expected"), [(0, 1.0, None), (2, 1.0, None), (0, 0.5, 0.5), (3, 500.0, 0.5)]
)
def test_nifti_pixels_of_one_millimetre_state_no_spacing(
    tmp_path: Path, unit: int, spacing: float, expected: float | None
) -> None:
    write_nifti(tmp_path / "ap.nii", SHOWN[::-1][None], spacing=(spacing, spacing, spacing), unit=unit)
    back = read_radiograph(tmp_path / "ap.nii")
    assert back.pixel_spacing_mm == (None if expected is None else pytest.approx((expected, expected)))
    assert any("that know no spacing" in note for note in back.header.notes) == (expected is None)


def test_two_axes_in_space_are_refused_with_what_to_do(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "ap.nrrd", SHOWN, "space: left-posterior-superior\nspace directions: (1,0,0) (0,0,-1)\n")
    with pytest.raises(InputError, match="save it as a volume of one slice"):
        read_radiograph(tmp_path / "ap.nrrd")


def test_grey_nrrd_in_colour_is_grey_and_true_colour_is_refused(tmp_path: Path) -> None:
    fields = "kinds: RGB-color domain domain\nspacings: nan 0.25 0.5\n"
    write_nrrd(tmp_path / "grey.nrrd", np.repeat(SHOWN[..., None], 3, axis=-1), fields)
    back = read_radiograph(tmp_path / "grey.nrrd")
    np.testing.assert_array_equal(back.pixels, SHOWN)
    assert back.pixel_spacing_mm == (0.5, 0.25)
    assert "read as grey" in back.header.notes[0]
    write_nrrd(tmp_path / "colour.nrrd", np.stack([SHOWN, SHOWN, SHOWN[::-1]], axis=-1), fields)
    with pytest.raises(InputError, match="expected a greyscale radiograph"):
        read_radiograph(tmp_path / "colour.nrrd")


def test_function_from_element_to_intensity_is_applied_with_a_warning(tmp_path: Path) -> None:
    tags = "ElementSpacing = 0.25 0.5\nElementToIntensityFunctionSlope = -1\nElementToIntensityFunctionOffset = 4095\n"
    write_meta_image(tmp_path / "ap.mha", SHOWN, tags)
    back = read_radiograph(tmp_path / "ap.mha")
    np.testing.assert_array_equal(back.pixels, 4095 - SHOWN)
    assert "ElementToIntensityFunction" in back.header.warnings[0]


def test_own_radiographs_come_back_without_notes(tmp_path: Path) -> None:
    write_image_2d(tmp_path / "ap.nrrd", SHOWN.astype(np.float32), (ROW_MM, COLUMN_MM), {"TomoRay.view": "ap"})
    back = read_radiograph(tmp_path / "ap.nrrd")
    np.testing.assert_array_equal(back.pixels, SHOWN)
    assert (back.pixel_spacing_mm, back.header.notes, back.header.warnings) == ((ROW_MM, COLUMN_MM), (), ())


def test_one_millimetre_that_nobody_may_have_stated_is_warned_about(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(SHOWN), str(tmp_path / "picture.nrrd"))
    write_image_2d(tmp_path / "own.nrrd", SHOWN.astype(np.float32), (1.0, 1.0), {"TomoRay.view": "ap"})
    for name, warned in (("picture.nrrd", True), ("own.nrrd", False)):
        back = read_radiograph(tmp_path / name)
        assert back.pixel_spacing_mm == (1.0, 1.0)
        assert any("1 x 1 mm" in warning for warning in back.header.warnings) == warned
