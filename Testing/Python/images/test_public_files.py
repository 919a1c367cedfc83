"""Test files that libraries of the field ship: refused with a sentence, or read as the library itself reads them.

pydicom's lie in its own package. nibabel's and the files of pydicom-data are used if those packages are installed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_labels, read_radiograph, read_volume

PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
CARD = PYDICOM / "dicomdirtests"  # a disc with three patients
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

pytestmark = pytest.mark.filterwarnings("error")  # a library's warning must not reach the user


@pytest.fixture(scope="module")
def nibabel_data() -> Path:
    nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")
    folder = Path(nibabel.__file__).parent / "tests" / "data"
    if not folder.is_dir():
        pytest.skip("this nibabel came without its tests")
    return folder


@pytest.fixture(scope="module")
def pydicom_data() -> Path:
    package = pytest.importorskip("data_store", reason="pydicom-data is not installed")
    return Path(package.__file__).parent / "data"


@pytest.mark.parametrize("name", ["CR1/6154", "CR2/6247", "CR3/6278"])
def test_monochrome1_cr_with_a_slope_has_bright_bone(name: str) -> None:
    """Slope 0.684 and intercept 200 first, then inverted: the darkest value stays the darkest."""
    path = CARD / "77654033" / name
    radiograph, dataset = read_radiograph(path), pydicom.dcmread(path)
    values = dataset.pixel_array * 0.684 + 200.0
    np.testing.assert_allclose(radiograph.pixels, values.max() + values.min() - values, rtol=1e-6)
    assert radiograph.pixel_spacing_mm == (0.1, 0.1)
    assert radiograph.header.patient_orientation == ("L", "F")


@pytest.mark.parametrize("name", ["JPEGLSNearLossless_16.dcm", "JPEGLSNearLossless_08.dcm"])
def test_near_lossless_jpeg_ls_is_decoded_with_all_its_bits(name: str) -> None:
    """Its pixels are a test pattern from 0 to the largest value of its bits."""
    radiograph = read_radiograph(PYDICOM / name)
    assert (radiograph.pixels.min(), radiograph.pixels.max()) == (0.0, 65535.0 if "16" in name else 255.0)
    assert any("not those that were acquired" in note for note in radiograph.header.notes)


def test_deflated_secondary_capture_is_read_as_it_is_stored() -> None:
    path = PYDICOM / "image_dfl.dcm"
    np.testing.assert_array_equal(read_radiograph(path).pixels, pydicom.dcmread(path).pixel_array)


def test_five_slices_of_a_disc_without_endings_are_stacked_by_position() -> None:
    """File names fall while positions rise; the slices are 2.5 mm apart."""
    folder = CARD / "98892001" / "CT5N"
    volume = read_volume(folder)
    slices = sorted(map(pydicom.dcmread, folder.iterdir()), key=lambda part: float(part.ImagePositionPatient[2]))
    np.testing.assert_array_equal(volume.voxels, [part.pixel_array - 1024.0 for part in slices])
    np.testing.assert_allclose(volume.grid.origin_mm, slices[0].ImagePositionPatient)
    np.testing.assert_allclose(volume.grid.spacing_mm, (*slices[0].PixelSpacing, 2.5))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("77654033/CT2", r"distances from 1\.25 to 202\.50 mm"),  # four slices taken out of a long series
        ("98892001/CT2N", "LOCALIZER"),  # two scouts
        ("98892003/MR2", "modality MR|series"),
    ],
)
def test_folders_that_hold_no_stack_of_ct_slices_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_volume(CARD / name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rtdose.dcm", "RTDOSE"),
        ("badVR.dcm", "RTDOSE"),  # its Number of Frames is '1A'
        ("MR_small.dcm", "modality MR"),
        ("CT_small.dcm", "modality CT"),
        ("SC_rgb_small_odd.dcm", "RGB"),
        ("SC_rgb_rle_2frame.dcm", "2 frames"),
        ("examples_palette.dcm", "modality US"),
        ("rtplan.dcm", "RT Plan Storage without pixels"),
        ("dicomdirtests/DICOMDIR", "without pixels"),
    ],
)
def test_files_that_are_no_radiograph_are_refused_by_name(name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_radiograph(PYDICOM / name)


@pytest.mark.parametrize("name", ["liver_1frame.dcm", "liver_expb_1frame.dcm"])
def test_a_segmentation_whose_frames_are_not_those_of_its_header_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"got 3 and Number of Frames"):
        read_labels(PYDICOM / name)


@pytest.mark.parametrize("name", ["anatomical.nii", "reoriented_anat_moved.nii"])
def test_nifti_lies_where_nibabel_says(name: str, nibabel_data: Path) -> None:
    """nibabel's affine is RAS; both files have an oblique or shifted place."""
    import nibabel

    volume, image = read_volume(nibabel_data / name), nibabel.load(nibabel_data / name)
    np.testing.assert_allclose(volume.grid.index_to_world, RAS_TO_LPS @ image.affine, atol=1e-3)
    np.testing.assert_allclose(volume.voxels, np.asarray(image.dataobj).T, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resampled_anat_moved.nii", "NaN"),  # 153 voxels outside the resampled field
        ("example4d.nii.gz", "4D"),
        ("example_nifti2.nii.gz", r"size \(32, 20, 12, 2\)"),
        ("analyze.hdr", r"\.img"),
    ],
)
def test_nifti_that_is_no_finite_volume_is_refused(name: str, sentence: str, nibabel_data: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        read_volume(nibabel_data / name)


@pytest.mark.parametrize("name", ["RG3_J2KR.dcm", "RG3_J2KI.dcm"])
def test_monochrome1_cr_in_jpeg_2000_from_the_right_is_turned(name: str, pydicom_data: Path) -> None:
    """Patient Orientation R\\F; lossless, and its lossy twin."""
    radiograph, lossless = read_radiograph(pydicom_data / name), read_radiograph(pydicom_data / "RG3_J2KR.dcm")
    assert radiograph.header.patient_orientation == ("L", "F")
    assert np.corrcoef(radiograph.pixels.ravel(), lossless.pixels.ravel())[0, 1] > 0.999
    stored = pydicom.dcmread(pydicom_data / "RG3_J2KR.dcm").pixel_array
    assert np.corrcoef(lossless.pixels.ravel(), stored[:, ::-1].ravel())[0, 1] == pytest.approx(-1.0)


def test_modality_table_is_applied_before_anything_else(pydicom_data: Path) -> None:
    path = pydicom_data / "mlut_18.dcm"
    dataset = pydicom.dcmread(path)
    right = pydicom.pixels.apply_modality_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(read_radiograph(path).pixels, right)
