"""Files of CT stacks: what lies beside the slices, other modalities, and headers that are damaged or incomplete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from support.dicom_files import a_dataset
from support.dicom_stacks import (
    Slice,
    a_lopsided_ct,
    assert_same,
    forms,
    slices_of,
    write_enhanced,
    write_folder,
    write_stack,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.series import damage_named
from TomoRayLib.images.files import read_radiograph, read_volume


def test_slips_of_ours_are_not_called_a_damaged_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NameError), damage_named(tmp_path):
        raise NameError("no such name")
    with caplog.at_level("DEBUG"), pytest.raises(InputError, match="may be damaged"), damage_named(tmp_path):
        raise ValueError("25 .x")
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("SamplesPerPixel", r"one grey value per voxel, got \[1, 2\]"),
        ("Rows", r"Rows or Columns \(0028,0010\) missing in 1 of 8"),
        ("BitsAllocated", "grey values of 2 or more bits within their cells"),
    ],
)
def test_two_numbers_in_place_of_one_are_refused(tmp_path: Path, keyword: str, message: str) -> None:
    folder = write_folder(tmp_path / "series", slices_of(a_lopsided_ct()))
    dataset = pydicom.dcmread(folder / "IM037")
    dataset[keyword].value = [1, 2]
    dataset.save_as(folder / "IM037")
    with pytest.raises(InputError, match=message):
        read_volume(folder)


def test_frames_without_a_position_are_refused(tmp_path: Path) -> None:
    slices = slices_of(a_lopsided_ct())
    slices[2] = replace(slices[2], more={"ImagePositionPatient": None})
    with pytest.raises(InputError, match=r"Image Position \(0020,0032\) missing in 1 of 8"):
        read_volume(write_enhanced(tmp_path / "ct.dcm", slices))


def test_frames_that_the_functional_groups_do_not_count_are_refused(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "ct.dcm", slices_of(a_lopsided_ct()), NumberOfFrames=7)
    with pytest.raises(InputError, match=r"got 8 and Number of Frames \(0028,0008\) 7"):
        read_volume(path)


def test_a_localizer_in_the_series_is_left_out_with_a_note(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    scout = Slice(
        np.zeros((9, 7)),
        (0.0, 0.0, 0.0),
        (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
        more={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    )
    volume = read_volume(write_folder(tmp_path / "series", [*slices_of(ct), scout]))
    assert_same(volume, ct)
    assert volume.notes == ("Left out of the CT's series: 1 of Image Type LOCALIZER.",)


def test_a_series_of_localizers_beside_the_ct_is_left_out_with_a_note(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "series", slices_of(ct))
    for path in write_folder(
        tmp_path / "scouts",
        slices_of(ct)[:2],
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        SeriesInstanceUID=generate_uid(),
        SeriesDescription="Scout of Alonso",
        SeriesNumber=7,
    ).iterdir():
        path.rename(folder / f"scout{path.name}")
    volume = read_volume(folder)
    assert_same(volume, ct)
    assert volume.notes == ("Left out of the folder: series 7 (2 slices, such as scoutIM000).",)


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        ("1.2.840.10008.5.1.4.1.1.2.2", "CT"),  # Legacy Converted Enhanced CT
        ("1.2.840.10008.5.1.4.1.1.7.3", "OT"),  # Multi-frame Grayscale Word Secondary Capture
    ],
)
def test_other_multi_frame_files_of_a_ct_pass_the_same_checks(tmp_path: Path, sop_class: str, modality: str) -> None:
    ct = a_lopsided_ct()
    slices = slices_of(ct)
    values = {"SOPClassUID": sop_class, "Modality": modality}
    volume = read_volume(write_enhanced(tmp_path / "whole.dcm", slices[::2] + slices[1::2], **values))
    assert_same(volume, ct)
    assert bool(volume.warnings) == (modality == "OT")
    with pytest.raises(InputError, match=r"distances from 3\.00 to 6\.00 mm"):
        read_volume(write_enhanced(tmp_path / "gap.dcm", slices[:3] + slices[4:], **values))


def test_multi_frame_files_without_functional_groups_are_refused(tmp_path: Path) -> None:
    stored = np.stack([slice_.stored() for slice_ in slices_of(a_lopsided_ct())])
    values = {"Modality": "OT", "NumberOfFrames": len(stored), "PixelSpacing": [1.0, 2.0], "SpacingBetweenSlices": 3.0}
    a_dataset("1.2.840.10008.5.1.4.1.1.7.3", stored, **values).save_as(tmp_path / "sc.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match=r"Image Position \(0020,0032\) missing in 8 of 8"):
        read_volume(tmp_path / "sc.dcm")
    values |= {"ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    a_dataset("1.2.840.10008.5.1.4.1.1.7.3", stored, **values).save_as(tmp_path / "sc.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match=r"position of each frame .*, got one .* for all 8 frames"):
        read_volume(tmp_path / "sc.dcm")


def test_localizers_alone_are_no_ct(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "series", slices_of(a_lopsided_ct()), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(InputError, match=r"got 8 of Image Type LOCALIZER \(a scout radiograph\)"):
        read_volume(path)
    with pytest.raises(InputError, match=r"got a scout of a CT .* choose a radiograph, or give the folder of"):
        read_radiograph(path / "IM000")


def test_second_copies_of_a_file_are_left_out_with_a_note(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "series", slices_of(ct))
    (folder / "IM000 (1).dcm").write_bytes((folder / "IM000").read_bytes())
    volume = read_volume(folder)
    assert_same(volume, ct)
    assert volume.notes == ("Left out of the CT's series: copies of a slice (1).",)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"Modality": "MR"}, "expected a CT, got an image of modality MR"),
        ({"Modality": "PT"}, "expected a CT, got an image of modality PT"),
        ({"Modality": "NM"}, "expected a CT, got an image of modality NM"),
        ({"Modality": "DX"}, "got an image of modality DX .* give this file as a radiograph"),
        ({"SamplesPerPixel": 3}, "one grey value per voxel, got 3"),
    ],
)
@forms
def test_other_modalities_are_refused_by_name(tmp_path: Path, form: str, values: dict, message: str) -> None:
    path = write_stack(form, tmp_path, slices_of(a_lopsided_ct()), **values)
    with pytest.raises(InputError, match=message):
        read_volume(path)


def test_structure_sets_and_reports_beside_the_ct_are_left_out_with_a_note(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "series", slices_of(ct))
    contours = a_dataset("1.2.840.10008.5.1.4.1.1.481.3", np.zeros((2, 2), np.uint16), Modality="RTSTRUCT")
    del contours.PixelData
    contours.SeriesInstanceUID, contours.SeriesDescription = generate_uid(), "Contours"
    contours.save_as(folder / "rs.dcm", enforce_file_format=True)
    volume = read_volume(folder)
    assert_same(volume, ct)
    assert volume.notes == ("Left out of the folder: the series without a number (RTSTRUCT, 1 file, such as rs.dcm).",)
    with pytest.raises(InputError, match=r"RT Structure Set .*export it as a label map"):
        read_volume(folder / "rs.dcm")


def test_files_that_are_no_dicom_are_left_alone(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "series", slices_of(ct))
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 100)
    (folder / "notes.txt").write_text("read me")
    (folder / "sub").mkdir()
    assert_same(read_volume(folder), ct)


def test_slices_without_preamble_are_read(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "series", slices_of(ct))
    for path in folder.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[132:])
    assert_same(read_volume(folder), ct)


@pytest.mark.parametrize("keyword", ["Rows", "BitsAllocated", "BitsStored", "SamplesPerPixel", "PixelData", "Modality"])
@forms
def test_a_header_without_an_attribute_is_read_or_refused(tmp_path: Path, form: str, keyword: str) -> None:
    path = write_stack(form, tmp_path, slices_of(a_lopsided_ct()))
    for file in path.iterdir() if path.is_dir() else [path]:
        dataset = pydicom.dcmread(file)
        del dataset[keyword]
        dataset.save_as(file)
    if keyword in ("Rows", "BitsAllocated", "SamplesPerPixel", "PixelData"):
        with pytest.raises(InputError):
            read_volume(path)
    else:
        assert_same(read_volume(path), a_lopsided_ct())


def test_damaged_values_are_refused_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = write_enhanced(tmp_path / "ct.dcm", slices_of(a_lopsided_ct()))
    content = path.read_bytes()
    for good, bad in ((b"-1024", b"-1O24"), (b"HU", b"\xff\xfe"), (b"250.0", b"25 .x")):
        path.write_bytes(content.replace(good, bad))
        with pytest.raises(InputError):
            read_volume(path)
    assert not recwarn.list


def test_an_incomplete_slice_is_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "series", slices_of(a_lopsided_ct()))
    (folder / "IM037").write_bytes((folder / "IM037").read_bytes()[:-20])
    with pytest.raises(InputError, match="IM037"):
        read_volume(folder)
    path = write_enhanced(tmp_path / "ct.dcm", slices_of(a_lopsided_ct()))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"ct\.dcm: .* pixels of 8 frames, got those of 7: the file is incomplete"):
        read_volume(path)


def test_a_slice_of_a_multi_frame_ct_is_no_radiograph_and_no_volume(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "ct.dcm", slices_of(a_lopsided_ct())[:1])
    with pytest.raises(InputError, match="single slice"):
        read_volume(path)
    with pytest.raises(InputError, match="modality CT"):
        read_radiograph(path)
