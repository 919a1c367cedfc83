"""Values of NIfTI volumes, radiographs and masks: number types, scaling, further axes, what is no number."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from support.header_files import (
    LPS_OF_RAS,
    SIZE,
    VOXELS,
    an_oblique_affine,
    patch,
    write_nifti,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_labels, read_radiograph, read_volume

SLOPE = 112  # offset in the header


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
