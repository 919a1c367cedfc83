"""Where NIfTI and ANALYZE volumes lie: derived from the header by definition, nibabel as the independent reader."""

from __future__ import annotations

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
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.headers.nifti import nifti_orientation
from TomoRayLib.images.masks.checks import prepared_mask

PIXDIM, SROW, UNITS = 76, 280, 123  # offsets in the header


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


def test_left_handed_qform_is_read_by_its_qfac(tmp_path: Path) -> None:
    affine = an_oblique_affine() @ np.diag([1.0, 1.0, -1.0, 1.0])
    path = write_nifti(tmp_path / "ct.nii", qform=affine)
    np.testing.assert_allclose(read_volume(path).grid.index_to_world, LPS_OF_RAS @ affine, atol=1e-5)


def test_qfac_of_0_stands_for_1(tmp_path: Path) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", qform=an_oblique_affine()), PIXDIM, "f", 0.0)
    np.testing.assert_allclose(read_volume(path).grid.index_to_world, LPS_OF_RAS @ an_oblique_affine(), atol=1e-5)


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


def test_orientation_of_one_slice_is_stated_with_its_codes(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "ap.nii", sform=an_oblique_affine(), codes=(0, 2), voxels=VOXELS[:1])
    stated = nifti_orientation(path)
    assert stated is not None
    assert (stated.qform_code, stated.sform_code, stated.qform, stated.size) == (0, 2, None, (7, 5, 1))
    np.testing.assert_allclose(stated.sform, LPS_OF_RAS @ an_oblique_affine(), atol=1e-5)  # type: ignore[arg-type]


def test_orientation_of_another_kind_of_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "ap.nrrd").write_bytes(b"NRRD0005\n")
    assert nifti_orientation(tmp_path / "ap.nrrd") is None
