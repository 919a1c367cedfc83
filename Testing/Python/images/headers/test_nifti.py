"""Where NIfTI and ANALYZE volumes lie: derived from the header by definition, nibabel as the independent reader."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.header_files import (
    LPS_OF_RAS,
    SIZE,
    SPACING_MM,
    VOXELS,
    an_oblique_affine,
    patch,
    write_nifti,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_labels, read_radiograph, read_volume
from TomoRayLib.images.headers.nifti import nifti_orientation
from TomoRayLib.images.masks.checks import prepared_mask

QFORM_CODE, SFORM_CODE, PIXDIM, SLOPE, SROW, UNITS, VOX_OFFSET = 252, 254, 76, 112, 280, 123, 108


def moved(affine: np.ndarray, *shift_mm: float) -> np.ndarray:
    """The same matrix with its first voxel elsewhere (RAS mm)."""
    result = affine.copy()
    result[:3, 3] += shift_mm
    return result


@pytest.mark.parametrize("forms", ["sform", "qform", "both"])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_nifti_lies_where_nibabel_puts_it(tmp_path: Path, forms: str, ending: str) -> None:
    affine = an_oblique_affine()
    sform, qform = (affine if forms != "qform" else None), (affine if forms != "sform" else None)
    path = write_nifti(tmp_path / f"ct.{ending}", sform=sform, qform=qform)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ nibabel.load(path).affine, atol=1e-5)
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ affine, atol=1e-5)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert (volume.notes, volume.warnings, volume.other_grid) == ((), (), None)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.hdr"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_2_is_read_as_nibabel_reads_it(tmp_path: Path, name: str, order: str) -> None:
    kind = nibabel.Nifti2Pair if name.endswith(".hdr") else nibabel.Nifti2Image
    header = kind.header_class(endianness=order)
    header.set_data_dtype(f"{order}i2")
    nibabel.save(kind(VOXELS.T.astype(f"{order}i2"), an_oblique_affine(), header), tmp_path / name)
    volume = read_volume(tmp_path / name)
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ an_oblique_affine(), atol=1e-9)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert volume.voxels.dtype == np.int16


def test_values_of_nifti_2_are_scaled(tmp_path: Path) -> None:
    """scl_slope and scl_inter are doubles from byte 176 on (nifti2.h)."""
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), kind=nibabel.Nifti2Image)
    patch(path, 176, "2d", 0.5, -1024.0)
    np.testing.assert_array_equal(read_volume(path).voxels, VOXELS * 0.5 - 1024)


def test_nifti_2_is_checked_as_nifti_1(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), codes=(0, 0), kind=nibabel.Nifti2Image)
    with pytest.raises(InputError, match="expected a stated orientation"):
        read_volume(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="truncated"):
        read_volume(path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("offset", "words"), [(176, "NaN or infinite"), (400, "spacing above 0 mm")])
def test_numbers_beyond_all_measure_are_refused(tmp_path: Path, offset: int, words: str) -> None:
    """1e308 as a slope, and as a step in metres."""
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), kind=nibabel.Nifti2Image, unit="meter")
    patch(path, 104 + 8, "3d", 0.001, 0.0005, 0.00025)
    patch(path, 400, "12d", *(an_oblique_affine()[:3] * 0.0005).ravel())
    patch(path, offset, "d", 1e308)
    with pytest.raises(InputError, match=words):
        read_volume(path)


def test_sequence_in_nifti_2_is_refused(tmp_path: Path) -> None:
    voxels = np.broadcast_to(VOXELS, (2, *VOXELS.shape)).copy()
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), voxels=voxels, kind=nibabel.Nifti2Image)
    with pytest.raises(InputError, match=r"one 3D volume, got a sequence of 2 \(4D, size \(7, 5, 3, 2\)\)"):
        read_volume(path)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_radiograph_is_read_as_it_is_stored(tmp_path: Path, kind: type[nibabel.Nifti1Image], dtype: str) -> None:
    """A coronal slice from the patient's left and feet: SimpleITK refuses its axes, or all of NIfTI-2."""
    pixels = np.arange(35).reshape(5, 7).astype(dtype)
    affine = np.array([[2.0, 6e-4, 0, 0], [0, 0, 1.0, 0], [6e-4, 1.0, 0, 0], [0, 0, 0, 1.0]])
    nibabel.save(kind(pixels.T[:, :, None], affine), tmp_path / "ap.nii.gz")
    radiograph = read_radiograph(tmp_path / "ap.nii.gz")
    np.testing.assert_array_equal(radiograph.pixels, pixels[::-1, ::-1])
    np.testing.assert_allclose(radiograph.pixel_spacing_mm, (1.0, 2.0), rtol=1e-5)


def test_radiograph_with_nan_is_refused(tmp_path: Path) -> None:
    pixels = np.full((1, 5, 7), 3.0, np.float32)
    pixels[0, 0, 0] = np.nan
    path = write_nifti(tmp_path / "ap.nii", sform=an_oblique_affine(), voxels=pixels)
    with pytest.raises(InputError, match="expected finite values, got 1 NaN"):
        read_radiograph(path)


@pytest.mark.parametrize("given", ["ct.hdr", "ct.img"])
def test_pair_of_files_is_read_from_either(tmp_path: Path, given: str) -> None:
    write_nifti(tmp_path / "ct.hdr", sform=an_oblique_affine(), kind=nibabel.Nifti1Pair)
    np.testing.assert_allclose(
        read_volume(tmp_path / given).grid.index_to_world, LPS_OF_RAS @ an_oblique_affine(), atol=1e-5
    )


def test_pair_without_its_voxels_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.hdr", sform=an_oblique_affine(), kind=nibabel.Nifti1Pair)
    (tmp_path / "ct.img").unlink()
    with pytest.raises(InputError, match=r"voxels of this header in an \.img file .* got none"):
        read_volume(tmp_path / "ct.hdr")


def test_pair_with_too_few_voxels_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.hdr", sform=an_oblique_affine(), kind=nibabel.Nifti1Pair)
    (tmp_path / "ct.img").write_bytes((tmp_path / "ct.img").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"expected 210 bytes .* truncated"):
        read_volume(tmp_path / "ct.img")


def test_left_handed_qform_is_read_by_its_qfac(tmp_path: Path) -> None:
    affine = an_oblique_affine() @ np.diag([1.0, 1.0, -1.0, 1.0])
    path = write_nifti(tmp_path / "ct.nii", qform=affine)
    np.testing.assert_allclose(read_volume(path).grid.index_to_world, LPS_OF_RAS @ affine, atol=1e-5)


def test_qfac_of_0_stands_for_1(tmp_path: Path) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", qform=an_oblique_affine()), PIXDIM, "f", 0.0)
    np.testing.assert_allclose(read_volume(path).grid.index_to_world, LPS_OF_RAS @ an_oblique_affine(), atol=1e-5)


def test_big_endian_nifti_is_read(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(VOXELS.T.astype(">i2"), an_oblique_affine(), header), tmp_path / "ct.nii")
    assert (tmp_path / "ct.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    volume = read_volume(tmp_path / "ct.nii")
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ an_oblique_affine(), atol=1e-5)
    np.testing.assert_array_equal(volume.voxels, VOXELS)


@pytest.mark.parametrize("read", [read_volume, read_labels])
def test_nifti_without_orientation_is_refused_as_ct_and_as_mask(tmp_path: Path, read: object) -> None:
    path = write_nifti(tmp_path / "ct.nii.gz", sform=an_oblique_affine(), codes=(0, 0))
    with pytest.raises(InputError, match=r"stated orientation, got qform_code 0 and sform_code 0\..*ITK.*nibabel"):
        read(path)  # type: ignore[operator]


def test_analyze_is_refused_for_its_orientation(tmp_path: Path) -> None:
    nibabel.save(nibabel.AnalyzeImage(VOXELS.T, np.eye(4)), tmp_path / "ct.hdr")
    for name in ("ct.hdr", "ct.img"):
        with pytest.raises(InputError, match="got an ANALYZE header, which cannot state one"):
            read_volume(tmp_path / name)


def test_sform_counts_where_the_qform_is_elsewhere(tmp_path: Path) -> None:
    """60 mm apart along the body: nibabel's place is taken, with a warning and ITK's place kept."""
    affine = an_oblique_affine()
    path = write_nifti(tmp_path / "ct.nii", sform=moved(affine, 0, 0, 60), qform=affine)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ nibabel.load(path).affine, atol=1e-5)
    assert volume.other_grid is not None
    np.testing.assert_allclose(volume.other_grid.index_to_world, LPS_OF_RAS @ affine, atol=1e-5)
    assert "up to 60.0 mm apart: the sform (code 1) was taken" in volume.warnings[0]


def test_matrices_apart_by_a_rounding_are_no_contradiction(tmp_path: Path) -> None:
    """0.2 mm is less than half of the 0.5 mm voxel."""
    affine = an_oblique_affine()
    volume = read_volume(write_nifti(tmp_path / "ct.nii", sform=moved(affine, 0.2, 0, 0), qform=affine))
    assert (volume.warnings, volume.other_grid) == ((), None)


@pytest.mark.parametrize("flip", [(-1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_matrices_of_other_patient_axes_are_refused_with_both(tmp_path: Path, flip: tuple[int, int, int]) -> None:
    affine = an_oblique_affine()
    path = write_nifti(tmp_path / "ct.nii", sform=np.diag([*flip, 1.0]) @ affine, qform=affine)
    with pytest.raises(InputError, match=r"one orientation, got two: voxel axes run to \w+ by the sform .* and to LPS"):
        read_volume(path)


@pytest.mark.parametrize("by", ["sform", "qform"])
def test_mask_made_by_either_kind_of_tool_lies_on_its_ct(tmp_path: Path, by: str) -> None:
    affine = an_oblique_affine()
    path = write_nifti(tmp_path / "ct.nii", sform=moved(affine, 0, 0, 60), qform=affine, codes=(1, 2))
    ct = read_volume(path)
    labels = np.where(VOXELS > 50, 20, 0).astype(np.int16)
    if by == "sform":  # nibabel's habit
        nibabel.save(nibabel.Nifti1Image(labels.T, nibabel.load(tmp_path / "ct.nii").affine), tmp_path / "mask.nii")
    else:
        image = sitk.GetImageFromArray(labels)
        image.CopyInformation(sitk.ReadImage(str(tmp_path / "ct.nii")))
        sitk.WriteImage(image, str(tmp_path / "mask.nii"))
    mask, notes = prepared_mask(read_labels(tmp_path / "mask.nii"), ct)
    assert mask.grid.same_as(ct.grid)
    np.testing.assert_array_equal(mask.voxels, labels)
    assert bool(notes) == (by == "qform")


def test_mask_with_two_places_is_put_onto_the_ct_at_its_second_one(tmp_path: Path) -> None:
    affine = an_oblique_affine()
    ct = read_volume(write_nifti(tmp_path / "ct.nii", qform=affine))
    labels = np.where(VOXELS > 50, 20, 0).astype(np.int16)
    path = write_nifti(tmp_path / "mask.nii", sform=moved(affine, 0, 0, 60), qform=affine, voxels=labels)
    mask, notes = prepared_mask(read_labels(path), ct)
    assert mask.grid == ct.grid
    assert "states two places" in notes[0]


@pytest.mark.parametrize("with_qform", [False, True])
def test_shear_is_refused_whatever_the_qform_says(tmp_path: Path, with_qform: bool) -> None:
    sheared = an_oblique_affine()
    sheared[:3, 2] += 0.5 * sheared[:3, 1]  # j grows by half a voxel a slice: 1 mm over the 3 slices
    path = write_nifti(tmp_path / "ct.nii", sform=sheared, qform=an_oblique_affine() if with_qform else None)
    with pytest.raises(InputError, match="expected perpendicular axes, got sheared ones in the sform"):
        read_volume(path)


def test_rounded_directions_are_no_shear(tmp_path: Path) -> None:
    rounded = an_oblique_affine()
    rounded[:3, :3] = np.round(rounded[:3, :3] / SPACING_MM, 3) * SPACING_MM
    grid = read_volume(write_nifti(tmp_path / "ct.nii", sform=rounded, qform=an_oblique_affine())).grid
    np.testing.assert_allclose(grid.corners_mm(), corners(LPS_OF_RAS @ rounded), atol=0.02)


def corners(matrix: np.ndarray) -> np.ndarray:
    ends = [(-0.5, count - 0.5) for count in SIZE]
    return np.array([(matrix @ (i, j, k, 1.0))[:3] for i in ends[0] for j in ends[1] for k in ends[2]])


@pytest.mark.parametrize("with_qform", [False, True])
def test_pixdim_that_is_not_the_size_in_the_sform_is_refused_with_both(tmp_path: Path, with_qform: bool) -> None:
    affine = an_oblique_affine()
    path = write_nifti(tmp_path / "ct.nii", sform=affine, qform=affine if with_qform else None)
    patch(path, PIXDIM + 4, "3f", 1.0, 1.0, 1.0)
    with pytest.raises(InputError, match=r"got two: 2 x 1 x 0\.5 mm in the sform and 1 x 1 x 1 mm in pixdim"):
        read_volume(path)


def test_sizes_apart_by_a_rounding_are_the_sforms(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """0.525 against 0.5 mm: 0.05 mm over 3 slices. ITK's warning of "unexpected scales" stays off the terminal."""
    affine = an_oblique_affine()
    affine[:3, 2] *= 1.05
    grid = read_volume(write_nifti(tmp_path / "ct.nii", sform=affine, qform=an_oblique_affine())).grid
    np.testing.assert_allclose(grid.spacing_mm, (2, 1, 0.525), rtol=1e-6)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [0.0, -2.0, float("nan")])
def test_pixdim_that_is_no_size_is_refused(tmp_path: Path, value: float) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()), PIXDIM + 4, "f", value)
    with pytest.raises(InputError, match=r"spacing above 0 mm along each axis, got .*pixdim"):
        read_volume(path)


@pytest.mark.parametrize(("unit", "code", "factor"), [("meter", 1, 1e-3), ("micron", 3, 1e3)])
def test_lengths_in_other_units_are_turned_into_mm(tmp_path: Path, unit: str, code: int, factor: float) -> None:
    affine = an_oblique_affine()
    path = write_nifti(tmp_path / "ct.nii", sform=np.diag([factor] * 3 + [1.0]) @ affine, unit=unit)
    patch(path, PIXDIM + 4, "3f", *(factor * np.array(SPACING_MM)))
    assert path.read_bytes()[UNITS] & 7 == code
    volume = read_volume(path)
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ affine, rtol=1e-5, atol=1e-5)
    assert "turned into mm" in volume.notes[0]


def test_unknown_unit_is_mm(tmp_path: Path) -> None:
    volume = read_volume(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), unit="unknown"))
    np.testing.assert_allclose(volume.grid.spacing_mm, SPACING_MM, rtol=1e-6)


@pytest.mark.parametrize(("unit", "size"), [("meter", "2000 x 1000 x 500"), ("micron", r"0\.002 x 0\.001 x 0\.0005")])
def test_unit_that_makes_no_ct_is_refused(tmp_path: Path, unit: str, size: str) -> None:
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), unit=unit)
    with pytest.raises(InputError, match=rf"voxels of 0\.05 to 20 mm, got {size} mm \(the sform and pixdim, m"):
        read_volume(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_sform_that_is_no_number_is_refused(tmp_path: Path, value: float) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()), SROW + 4, "f", value)
    with pytest.raises(InputError, match=r"spacing above 0 mm along each axis, got .* in the sform"):
        read_volume(path)


def test_sform_of_zeros_leaves_the_qform_with_a_warning(tmp_path: Path) -> None:
    affine = an_oblique_affine()
    volume = read_volume(write_nifti(tmp_path / "ct.nii", sform=np.diag([0.0, 0, 0, 1]), qform=affine))
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ affine, atol=1e-5)
    assert "sform holds zeros alone" in volume.warnings[0]


def test_sform_with_two_equal_axes_is_refused(tmp_path: Path) -> None:
    flat = an_oblique_affine()
    flat[:3, 1] = flat[:3, 0] / 2
    with pytest.raises(InputError, match="expected perpendicular axes"):
        read_volume(write_nifti(tmp_path / "ct.nii", sform=flat))


def test_quaternion_longer_than_1_is_refused(tmp_path: Path) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", qform=an_oblique_affine()), 256, "3f", 0.9, 0.9, 0.9)
    with pytest.raises(InputError, match=r"expected a rotation in the qform .* got \(0\.9, 0\.9, 0\.9\)"):
        read_volume(path)


@pytest.mark.parametrize(
    ("slope", "intercept", "factor", "offset"),
    [(0.0, 0.0, 1, 0), (float("nan"), float("nan"), 1, 0), (0.5, -1024.0, 0.5, -1024), (1.0, -1024.0, 1, -1024)],
)
def test_values_are_scaled_as_the_header_says(
    tmp_path: Path, slope: float, intercept: float, factor: float, offset: float
) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()), SLOPE, "2f", slope, intercept)
    np.testing.assert_array_equal(read_volume(path).voxels, VOXELS * factor + offset)
    np.testing.assert_array_equal(nibabel.load(path).get_fdata().T, VOXELS * factor + offset)


@pytest.mark.parametrize(
    ("slope", "intercept"), [(0.0, -1024.0), (float("nan"), 5.0), (float("inf"), 0.0), (1.0, float("nan"))]
)
def test_scaling_that_is_half_stated_is_refused(tmp_path: Path, slope: float, intercept: float) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()), SLOPE, "2f", slope, intercept)
    with pytest.raises(InputError, match=r"got scl_slope .* scl_inter"):
        read_volume(path)


def test_labels_that_nibabel_stretched_are_rounded_with_a_note(tmp_path: Path) -> None:
    """uint8 over 0..24 in steps of 24 / 255: 20 is stored as 212 steps, which are 19.953."""
    labels = np.where(VOXELS > 80, 24, np.where(VOXELS > 50, 20, 0))
    image = nibabel.Nifti1Image(labels.T.astype(np.float32), an_oblique_affine())
    image.set_data_dtype(np.uint8)
    nibabel.save(image, tmp_path / "mask.nii.gz")
    mask = read_labels(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(mask.voxels, labels)
    assert mask.notes == ("Its labels are stored in steps of 0.0941 (scl_slope): rounded, by up to 0.047.",)


def test_probabilities_that_nibabel_stretched_are_no_labels(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image((VOXELS.T / 104).astype(np.float32), an_oblique_affine())
    image.set_data_dtype(np.uint8)
    nibabel.save(image, tmp_path / "mask.nii.gz")
    with pytest.raises(InputError, match="expected a label map of whole numbers, got fractions"):
        read_labels(tmp_path / "mask.nii.gz")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "uint32", "int64", "uint64", "float32", "float64"])
def test_every_real_number_type_is_read(tmp_path: Path, dtype: str) -> None:
    voxels = VOXELS.astype(dtype)
    image = nibabel.Nifti1Image(voxels.T, an_oblique_affine(), dtype=dtype)
    nibabel.save(image, tmp_path / "ct.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii").voxels, VOXELS)
    np.testing.assert_array_equal(read_labels(tmp_path / "ct.nii").voxels, VOXELS)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (32, "complex numbers"),
        (128, "RGB colour"),
        (1536, "128-bit numbers"),
        (2304, "RGBA"),
        (1, "bits"),
        (9, "unknown"),
    ],
)
def test_voxels_that_are_no_grey_values_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], code: int, words: str
) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()), 70, "h", code)
    with pytest.raises(InputError, match=rf"one grey value per voxel, got .*{words}.*\(datatype {code}\)"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


def test_displacement_field_is_refused_by_name(tmp_path: Path) -> None:
    voxels = np.zeros((3, 1, *VOXELS.shape), np.float32)
    path = write_nifti(tmp_path / "field.nii", sform=an_oblique_affine(), voxels=voxels)
    with pytest.raises(InputError, match=r"got a displacement field \(intent_code 1006"):
        read_volume(patch(path, 68, "h", 1006))


@pytest.mark.parametrize("trailing", [(1,), (1, 1), (1, 1, 1, 1)])
def test_axes_of_length_1_after_the_third_are_dropped(tmp_path: Path, trailing: tuple[int, ...]) -> None:
    voxels = VOXELS.reshape(*trailing, *VOXELS.shape)
    volume = read_volume(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), voxels=voxels))
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ an_oblique_affine(), atol=1e-5)


@pytest.mark.parametrize("shape", [(2,), (2, 1), (3, 1)])
def test_sequence_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    voxels = np.broadcast_to(VOXELS, (*shape, *VOXELS.shape)).copy()
    with pytest.raises(InputError, match=rf"one 3D volume, got a sequence of {shape[0]}"):
        read_volume(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), voxels=voxels))


def test_numbers_behind_the_used_dimensions_mean_nothing(tmp_path: Path) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()), 48, "4h", 9, 0, 3, -1)
    assert read_volume(path).grid.size == SIZE


def test_extension_before_the_voxels_is_skipped(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS.T, an_oblique_affine())
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"made up"))
    nibabel.save(image, tmp_path / "ct.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii").voxels, VOXELS)


@pytest.mark.parametrize("offset", [0.0, 350.0, float("nan")])
def test_voxels_that_would_begin_in_the_header_are_refused(tmp_path: Path, offset: float) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()), VOX_OFFSET, "f", offset)
    with pytest.raises(InputError, match="expected voxels from byte 352 on, got vox_offset"):
        read_volume(path)


def test_plain_content_named_gz_is_read(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()).rename(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii.gz").voxels, VOXELS)


def test_plain_content_named_gz_that_is_truncated_is_refused(tmp_path: Path) -> None:
    whole = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()).read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(whole[:-10])
    with pytest.raises(InputError, match="truncated"):
        read_volume(tmp_path / "ct.nii.gz")


def test_compressed_content_named_nii_is_refused_with_its_name(tmp_path: Path) -> None:
    whole = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()).read_bytes()
    (tmp_path / "ct.nii").write_bytes(gzip.compress(whole))
    with pytest.raises(InputError, match=r"got gzip; rename it to ct\.nii\.gz"):
        read_volume(tmp_path / "ct.nii")


@pytest.mark.parametrize(
    ("name", "right"), [("ct.dat", "ct.nii"), ("ct.nrrd", "ct.nii"), ("ct.nii.gz.1", "ct.nii.gz.nii")]
)
def test_nifti_under_another_ending_is_refused_with_a_name(tmp_path: Path, name: str, right: str) -> None:
    write_nifti(tmp_path / "whole.nii", sform=an_oblique_affine()).rename(tmp_path / name)
    with pytest.raises(InputError, match=f"rename it to {right}"):
        read_volume(tmp_path / name)


def test_orientation_of_one_slice_is_stated_with_its_codes(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "ap.nii", sform=an_oblique_affine(), codes=(0, 2), voxels=VOXELS[:1])
    stated = nifti_orientation(path)
    assert stated is not None
    assert (stated.qform_code, stated.sform_code, stated.qform, stated.size) == (0, 2, None, (7, 5, 1))
    np.testing.assert_allclose(stated.sform, LPS_OF_RAS @ an_oblique_affine(), atol=1e-5)  # type: ignore[arg-type]


def test_orientation_of_another_kind_of_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "ap.nrrd").write_bytes(b"NRRD0005\n")
    assert nifti_orientation(tmp_path / "ap.nrrd") is None


@pytest.mark.parametrize("number", ["<f4", ">f4", "<f8"])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.hdr"])
def test_voxels_that_are_no_number_are_refused(tmp_path: Path, name: str, number: str) -> None:
    """niftilib, and so SimpleITK, puts 0 in their place: water around a registered CT."""
    kind = nibabel.Nifti1Pair if name.endswith(".hdr") else nibabel.Nifti1Image
    header = kind.header_class(endianness=number[0])
    header.set_data_dtype(number)
    voxels = VOXELS.astype(number) - 1024
    nibabel.save(kind(voxels.T, an_oblique_affine(), header), tmp_path / name)
    plain = read_volume(tmp_path / name)
    np.testing.assert_array_equal(plain.voxels, voxels)
    assert plain.voxels.dtype == np.float32
    voxels[0, 0, :2] = np.nan, np.inf
    nibabel.save(kind(voxels.T, an_oblique_affine(), header), tmp_path / name)
    with pytest.raises(InputError, match="got 2 NaN or infinite"):
        read_volume(tmp_path / name)


def test_floats_are_scaled_as_whole_numbers_are(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), voxels=VOXELS.astype("<f4"))
    patch(path, SLOPE, "2f", 0.5, -1024.0)
    np.testing.assert_array_equal(read_volume(path).voxels, VOXELS * 0.5 - 1024)
