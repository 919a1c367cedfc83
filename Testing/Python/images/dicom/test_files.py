"""Which files are DICOM, whatever they are called and however they begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from support.dicom_files import a_dataset
from support.dicom_syntaxes import PICTURE, a_picture_file
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.files import is_dicom, read_data_set
from TomoRayLib.images.files import read_radiograph

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def _bare(dataset: pydicom.Dataset, path: Path, *, implicit: bool = True, little: bool = True) -> Path:
    """The data set alone, without preamble, mark and group 0002."""
    pydicom.Dataset(dataset).save_as(path, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    return path


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.113619.2.5", "picture.bin", "picture.DCM", "picture.ima"])
def test_a_bare_data_set_is_dicom_whatever_its_name(tmp_path: Path, name: str) -> None:
    dataset = a_dataset(CT_CLASS, PICTURE, Modality="CT")
    for little in (True, False):
        assert is_dicom(_bare(dataset, tmp_path / name, implicit=False, little=little))
    assert is_dicom(_bare(dataset, tmp_path / name))


def test_a_data_set_that_begins_with_a_group_length_is_dicom(tmp_path: Path) -> None:
    """As ACR-NEMA files and old archives do; the class may be missing, the size of the image may not."""
    dataset = a_dataset(CT_CLASS, PICTURE, Modality="CR")
    del dataset.SOPClassUID
    bare = _bare(dataset, tmp_path / "bare")
    (tmp_path / "IM0002").write_bytes(b"\x08\x00\x00\x00\x04\x00\x00\x00\x40\x00\x00\x00" + bare.read_bytes())
    assert is_dicom(tmp_path / "IM0002")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "IM0002").pixels, PICTURE)


def test_a_ct_slice_without_preamble_and_ending_is_named_as_one(tmp_path: Path) -> None:
    _bare(a_dataset(CT_CLASS, PICTURE, Modality="CT"), tmp_path / "IM0001")
    with pytest.raises(InputError, match="got one image of modality CT"):
        read_radiograph(tmp_path / "IM0001")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\x00",
        b"\x08\x00\x05\x00CS",
        b"\x08\x00\x10\x00\x20\x00\x00\x00" * 40,
        b"\x00\x08" * 300,
        np.arange(4000, dtype=np.uint16).tobytes(),
        np.full(4000, 8, np.uint16).tobytes(),
        b"NRRD0004\n",
        bytes(200),
    ],
    ids=["empty", "two bytes", "cut", "one element again and again", "words", "ramp", "eights", "NRRD", "zeros"],
)
@pytest.mark.parametrize("name", ["IM0001", "named.dcm"])
def test_other_bytes_are_no_dicom(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert not is_dicom(tmp_path / name)


@pytest.mark.parametrize("ending", [".png", ".tif", ".nrrd", ".nii", ".nii.gz", ".mha", ".jpg"])
def test_images_of_other_formats_are_no_dicom(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"image{ending}"
    sitk.WriteImage(sitk.GetImageFromArray((PICTURE // 16).astype(np.uint8)), str(path))
    assert not is_dicom(path)
    assert not is_dicom(path.rename(tmp_path / "IM0001"))
    assert not is_dicom(tmp_path)


def test_a_damaged_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    whole = a_picture_file(tmp_path / "ap.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:700])
    with pytest.raises(InputError, match=r"cut\.dcm: expected"):
        read_radiograph(tmp_path / "cut.dcm")
    (tmp_path / "mark.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match=r"mark\.dcm: expected"):
        read_radiograph(tmp_path / "mark.dcm")


def test_broken_values_are_taken_for_none_and_a_broken_pixel_element_is_refused(tmp_path: Path) -> None:
    """A length that is no multiple of the value's, and letters that are no value representation."""
    whole = a_picture_file(tmp_path / "ap.dcm", PixelPaddingValue=3665).read_bytes()
    padding = b"\x28\x00\x20\x01US\x02\x00"
    assert whole.count(padding) == 1
    (tmp_path / "odd.dcm").write_bytes(whole.replace(padding, padding[:6] + b"\x03\x00\x00"))
    np.testing.assert_array_equal(read_radiograph(tmp_path / "odd.dcm").pixels, PICTURE)
    pixels = b"\xe0\x7f\x10\x00OW"
    assert whole.count(pixels) == 1
    (tmp_path / "vr.dcm").write_bytes(whole.replace(pixels, pixels[:4] + b"O\xe5"))
    with pytest.raises(InputError, match=r"vr\.dcm: expected a readable DICOM file"):
        read_radiograph(tmp_path / "vr.dcm")


def test_attributes_of_an_image_win_over_its_functional_groups(tmp_path: Path) -> None:
    shared, window = pydicom.Dataset(), pydicom.Dataset()
    window.WindowCenter, window.WindowWidth = 40, 400
    shared.FrameVOILUTSequence = [window]
    path = a_picture_file(tmp_path / "xa.dcm", SharedFunctionalGroupsSequence=[shared], WindowCenter=500)
    dataset = read_data_set(path)
    assert (dataset.WindowCenter, dataset.WindowWidth) == (500, 400)
