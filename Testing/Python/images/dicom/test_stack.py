"""Stacks of CT slices in each of their forms: a folder of slices, one multi-frame file, several in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGLSNearLossless, RLELossless, generate_uid

from support.dicom_files import a_dataset
from support.dicom_stacks import (
    CT_CLASS,
    FORMS,
    STACK_UID,
    Slice,
    a_lopsided_ct,
    moved,
    slices_of,
    write_enhanced,
    write_folder,
    write_stack,
)
from support.dicom_syntaxes import BRIGHT, BRIGHT_NEAR_LOSSLESS, COMPRESSED, NATIVE, PICTURE, save_in_syntax
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.series import damage_named
from TomoRayLib.images.files import read_radiograph, read_volume
from TomoRayLib.images.types import Volume

OBLIQUE = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(0.4), -np.sin(0.4)], [0.0, np.sin(0.4), np.cos(0.4)]])
forms = pytest.mark.parametrize("form", FORMS)


def assert_same(found: Volume, right: Volume) -> None:
    assert found.grid.same_as(right.grid)
    np.testing.assert_array_equal(found.voxels, right.voxels)


@forms
@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE, np.diag([-1.0, -1.0, 1.0])], ids=["hfs", "oblique", "prone"])
def test_slices_in_any_order_are_sorted_by_position(tmp_path: Path, form: str, direction: np.ndarray) -> None:
    ct = a_lopsided_ct(direction)
    slices = slices_of(ct)
    for name, order in (("up", slices), ("down", slices[::-1]), ("mixed", slices[::2] + slices[1::2])):
        (tmp_path / name).mkdir()
        assert_same(read_volume(write_stack(form, tmp_path / name, order)), ct)


@forms
def test_a_gap_is_refused_with_the_distances(tmp_path: Path, form: str) -> None:
    slices = slices_of(a_lopsided_ct())
    path = write_stack(form, tmp_path, slices[:4] + slices[6:])
    with pytest.raises(InputError, match=r"evenly spaced slices, got distances from 3\.00 to 9\.00 mm"):
        read_volume(path)


@forms
def test_the_last_slice_but_one_missing_is_a_gap(tmp_path: Path, form: str) -> None:
    slices = slices_of(a_lopsided_ct())
    with pytest.raises(InputError, match=r"distances from 3\.00 to 6\.00 mm"):
        read_volume(write_stack(form, tmp_path, slices[:-2] + slices[-1:]))


@forms
def test_distances_that_change_half_way_are_refused(tmp_path: Path, form: str) -> None:
    slices = slices_of(a_lopsided_ct())
    slices += [moved(slice_, z=24 + 0.12 * (k + 1)) for k, slice_ in enumerate(slices)]
    with pytest.raises(InputError, match=r"distances from 3\.00 to 3\.12 mm"):
        read_volume(write_stack(form, tmp_path, slices))


@forms
def test_positions_rounded_to_a_tenth_are_even(tmp_path: Path, form: str) -> None:
    slices = [moved(slice_, z=round(0.625 * k, 1) - 3 * k) for k, slice_ in enumerate(slices_of(a_lopsided_ct()))]
    assert read_volume(write_stack(form, tmp_path, slices)).grid.spacing_mm[2] == pytest.approx(4.4 / 7)


@forms
def test_gantry_tilt_is_refused_in_each_form(tmp_path: Path, form: str) -> None:
    slices = [moved(slice_, y=0.8 * k) for k, slice_ in enumerate(slices_of(a_lopsided_ct()))]
    with pytest.raises(InputError, match=r"sideways drift of 5\.6 mm .*gantry tilt"):
        read_volume(write_stack(form, tmp_path, slices))


@forms
def test_slices_that_step_sideways_and_back_are_refused(tmp_path: Path, form: str) -> None:
    slices = [moved(slice_, x=4.0 * (2 < k < 5)) for k, slice_ in enumerate(slices_of(a_lopsided_ct()))]
    with pytest.raises(InputError, match=r"moved sideways by up to 4\.0 mm"):
        read_volume(write_stack(form, tmp_path, slices))


@forms
def test_two_volumes_at_the_same_places_are_refused(tmp_path: Path, form: str) -> None:
    slices = slices_of(a_lopsided_ct())
    twice = [replace(slice_, more={"SOPInstanceUID": generate_uid()}) for slice_ in slices + slices]
    with pytest.raises(InputError, match="several at the same one"):
        read_volume(write_stack(form, tmp_path, twice))


@pytest.mark.parametrize(("mark", "kind"), [("StackID", str), ("TemporalPositionIndex", int)])
def test_stacks_of_one_file_are_named(tmp_path: Path, mark: str, kind: type) -> None:
    slices = slices_of(a_lopsided_ct())
    marked = [replace(slice_, more={mark: kind(number)}) for number in (1, 2) for slice_ in slices]
    with pytest.raises(InputError, match=r"several at the same one .*told apart by .* \(0020,9\d+\): 1, 2"):
        read_volume(write_enhanced(tmp_path / "ct.dcm", marked))


def test_two_stacks_half_a_distance_apart_are_not_one_fine_stack(tmp_path: Path) -> None:
    slices = slices_of(a_lopsided_ct())
    marked = [replace(moved(slice_, z=1.5 * n), more={"StackID": str(n + 1)}) for n in (0, 1) for slice_ in slices]
    with pytest.raises(InputError, match=r"one volume, got 2 between each other.*Stack ID \(0020,9056\): 1, 2"):
        read_volume(write_enhanced(tmp_path / "ct.dcm", marked))


def test_slices_of_two_acquisitions_in_turn_are_not_one_stack(tmp_path: Path) -> None:
    """Two series of which one lies half a distance off; acquisitions that follow each other are one volume."""
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "series", slices_of(ct))
    for turn in (False, True):
        for path in folder.iterdir():
            dataset = pydicom.dcmread(path)
            k = round((dataset.ImagePositionPatient[2] - ct.grid.origin_mm[2]) / ct.grid.spacing_mm[2])
            dataset.AcquisitionNumber = k % 2 + 1 if turn else 1 + (k > 3)
            dataset.save_as(path)
        if not turn:
            assert_same(read_volume(folder), ct)
    with pytest.raises(InputError, match=r"2 between each other.*Acquisition Number \(0020,0012\): 1, 2"):
        read_volume(folder)


def test_a_slice_without_the_rescale_of_the_others_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "series", slices_of(a_lopsided_ct()))
    path = next(folder.iterdir())
    dataset = pydicom.dcmread(path)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.save_as(path)
    with pytest.raises(InputError, match=rf"Slope and Intercept .* got 1 of \d+ without both \(such as {path.name}\)"):
        read_volume(folder)


def test_two_stacks_that_continue_each_other_are_one(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    marked = [replace(slice_, more={"StackID": "1" if k < 4 else "2"}) for k, slice_ in enumerate(slices_of(ct))]
    assert_same(read_volume(write_enhanced(tmp_path / "ct.dcm", marked)), ct)


@pytest.mark.parametrize(
    ("mark", "one", "other"),
    [
        ("AcquisitionNumber", 3, 4),
        ("KVP", 80, 140),
        ("ContrastBolusAgent", "none", "Iomeprol"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "AXIAL"]),
    ],
)
def test_marks_that_alternate_from_slice_to_slice_tell_two_volumes_apart(
    tmp_path: Path, mark: str, one: object, other: object
) -> None:
    slices = slices_of(a_lopsided_ct())
    marked = [replace(moved(slice_, z=1.5 * n), more={mark: (one, other)[n]}) for n in (0, 1) for slice_ in slices]
    with pytest.raises(InputError, match=r"one volume, got 2 between each other, told apart by"):
        read_volume(write_folder(tmp_path / "two", marked))


def test_a_frame_of_reference_for_each_slice_is_named(tmp_path: Path) -> None:
    slices = [replace(slice_, more={"FrameOfReferenceUID": generate_uid()}) for slice_ in slices_of(a_lopsided_ct())]
    with pytest.raises(InputError, match=r"got 8 between each other, by Frame of Reference UID \(0020,0052\); choose"):
        read_volume(write_folder(tmp_path / "series", slices))


@pytest.mark.parametrize("numbers", [(1, 1, 2, 2, 3, 3, 4, 4), (1, 2, 3, 4, 5, 6, 7, 8), (1, 1, 1, 2, 1, 2, 2, 2)])
def test_rotations_of_one_scan_are_one_volume(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    ct = a_lopsided_ct()
    marked = [replace(s, more={"AcquisitionNumber": n}) for s, n in zip(slices_of(ct), numbers, strict=True)]
    assert_same(read_volume(write_folder(tmp_path / "series", marked)), ct)


def test_trigger_times_that_come_back_are_one_volume(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    marked = [replace(s, more={"TriggerTime": 700 + k % 2}) for k, s in enumerate(slices_of(ct))]
    assert_same(read_volume(write_folder(tmp_path / "series", marked)), ct)


@pytest.mark.parametrize("times", [[300 + 7 * k for k in range(8)], [700] * 8, [300] * 4 + [700] * 4])
def test_trigger_times_that_drift_or_stay_are_one_volume(tmp_path: Path, times: list[int]) -> None:
    ct = a_lopsided_ct()
    marked = [replace(s, more={"TriggerTime": time}) for s, time in zip(slices_of(ct), times, strict=True)]
    assert_same(read_volume(write_folder(tmp_path / "series", marked)), ct)


@pytest.mark.parametrize("wobble", [0, 3])
def test_trigger_times_of_two_phases_in_turn_are_refused(tmp_path: Path, wobble: int) -> None:
    times = [(300, 700)[k % 2] + wobble * (k // 2 % 3) for k in range(8)]
    marked = [replace(s, more={"TriggerTime": time}) for s, time in zip(slices_of(a_lopsided_ct()), times, strict=True)]
    with pytest.raises(InputError, match=r"between each other.*Trigger Time \(0018,1060\)"):
        read_volume(write_folder(tmp_path / "two", marked))
    marked = [replace(s, more={"NominalCardiacTriggerDelayTime": float(s.more["TriggerTime"])}) for s in marked]
    with pytest.raises(InputError, match=r"between each other.*Trigger Delay Time \(0020,9153\)"):
        read_volume(write_enhanced(tmp_path / "two.dcm", marked))


@pytest.mark.parametrize(
    ("numbers", "warned"),
    [
        ((1, 5, 2, 6, 3, 7, 4, 8), True),
        ((104, 54, 103, 53, 102, 52, 101, 51), True),
        ((8, 7, 6, 5, 4, 3, 2, 1), False),
        ((2, 1, 4, 3, 6, 5, 8, 7), False),
        ((1, 1, 1, 1, 1, 1, 1, 1), False),
    ],
)
def test_two_counts_of_instances_between_each_other_are_warned_of(
    tmp_path: Path, numbers: tuple[int, ...], warned: bool
) -> None:
    ct = a_lopsided_ct()
    marked = [replace(s, more={"InstanceNumber": n}) for s, n in zip(slices_of(ct), numbers, strict=True)]
    volume = read_volume(write_folder(tmp_path / "series", marked))
    assert_same(volume, ct)
    assert [warning[:15] for warning in volume.warnings] == ["Instance Number"] * warned


@forms
@pytest.mark.parametrize("keyword", ["RescaleIntercept", "RescaleSlope"])
def test_a_slice_without_rescaling_among_others_is_refused(tmp_path: Path, form: str, keyword: str) -> None:
    slices = slices_of(a_lopsided_ct())
    slices[3] = replace(slices[3], more={keyword: None})
    with pytest.raises(InputError, match=r"in every slice, got 1 of 8 without both \(such as"):
        read_volume(write_stack(form, tmp_path, slices))


@forms
def test_stored_values_without_any_rescaling_are_hu(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    lifted = replace(ct, voxels=ct.voxels - ct.voxels.min())  # the support's slices are unsigned
    none = {"RescaleSlope": None, "RescaleIntercept": None}
    slices = [replace(slice_, rescale=(1.0, 0.0), more=none) for slice_ in slices_of(lifted)]
    assert_same(read_volume(write_stack(form, tmp_path, slices)), lifted)


def test_a_stack_in_another_unit_is_refused(tmp_path: Path) -> None:
    slices = [replace(slice_, spacing_mm=(0.001, 0.002)) for slice_ in slices_of(a_lopsided_ct())]
    with pytest.raises(InputError, match=r"voxels of 0\.05 to 20 mm, got 0\.002 x 0\.001 x 3 mm \(Pixel Spacing"):
        read_volume(write_folder(tmp_path / "series", slices))


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


@forms
def test_each_slice_has_its_own_slope_and_intercept(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    slices = [replace(slice_, rescale=(1 + k % 2 * 4, -1000 - 5 * k)) for k, slice_ in enumerate(slices_of(ct))]
    assert_same(read_volume(write_stack(form, tmp_path, slices)), ct)


@forms
def test_fractional_slopes_are_not_cut_to_whole_numbers(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    slices = [replace(slice_, rescale=(0.5 if k else 1.0, -1024.25)) for k, slice_ in enumerate(slices_of(ct))]
    voxels = read_volume(write_stack(form, tmp_path, slices)).voxels
    right = [slice_.stored() * slice_.rescale[0] + slice_.rescale[1] for slice_ in slices]
    assert voxels.dtype == np.float32
    np.testing.assert_allclose(voxels, right, rtol=0, atol=1e-4)


@forms
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)}, "slices of one orientation, got several"),
        ({"spacing_mm": (1.0, 2.1)}, r"one Pixel Spacing .*\(1\.0, 2\.0\) in 7 .*\(1\.0, 2\.1\) in 1"),
    ],
)
def test_a_slice_that_differs_is_refused(tmp_path: Path, form: str, change: dict, message: str) -> None:
    slices = slices_of(a_lopsided_ct())
    slices[3] = replace(slices[3], **change)
    with pytest.raises(InputError, match=message):
        read_volume(write_stack(form, tmp_path, slices))


def test_slices_of_two_sizes_are_refused(tmp_path: Path) -> None:
    slices = slices_of(a_lopsided_ct())
    slices[3] = replace(slices[3], hu=slices[3].hu[:-1])
    with pytest.raises(InputError, match=r"slices of one size.*\(6, 5\) in 7 .*\(5, 5\) in 1"):
        read_volume(write_folder(tmp_path / "series", slices))


def test_frames_without_a_position_are_refused(tmp_path: Path) -> None:
    slices = slices_of(a_lopsided_ct())
    slices[2] = replace(slices[2], more={"ImagePositionPatient": None})
    with pytest.raises(InputError, match=r"Image Position \(0020,0032\) missing in 1 of 8"):
        read_volume(write_enhanced(tmp_path / "ct.dcm", slices))


def test_frames_that_the_functional_groups_do_not_count_are_refused(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "ct.dcm", slices_of(a_lopsided_ct()), NumberOfFrames=7)
    with pytest.raises(InputError, match=r"got 8 and Number of Frames \(0028,0008\) 7"):
        read_volume(path)


@pytest.mark.parametrize("between", [1.0, 6.0])
def test_positions_win_over_stated_distances(tmp_path: Path, between: float) -> None:
    ct = a_lopsided_ct()
    shared = {"SpacingBetweenSlices": between, "SliceThickness": 0.5}
    assert_same(read_volume(write_enhanced(tmp_path / "ct.dcm", slices_of(ct), shared)), ct)
    assert_same(read_volume(write_folder(tmp_path / "series", slices_of(ct), **shared)), ct)


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
        SeriesDescription="Scout",
    ).iterdir():
        path.rename(folder / f"scout{path.name}")
    volume = read_volume(folder)
    assert_same(volume, ct)
    assert volume.notes == ("Left out of the folder: Scout (2 slices, such as scoutIM000).",)


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


def test_a_dimension_that_is_no_place_tells_volumes_apart(tmp_path: Path) -> None:
    energy = pydicom.Dataset()
    energy.DimensionIndexPointer = 0x00180060  # KVP
    place = pydicom.Dataset()
    place.DimensionIndexPointer = 0x00200032
    slices = slices_of(a_lopsided_ct())
    marked = [
        replace(slice_, more={"DimensionIndexValues": [number, k + 1]})
        for number in (1, 2)
        for k, slice_ in enumerate(slices)
    ]
    path = write_enhanced(tmp_path / "ct.dcm", marked, DimensionIndexSequence=[energy, place])
    with pytest.raises(InputError, match="told apart by dimension KVP: 1, 2"):
        read_volume(path)


def test_localizers_alone_are_no_ct(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "series", slices_of(a_lopsided_ct()), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(InputError, match=r"got 8 of Image Type LOCALIZER \(a scout radiograph\)"):
        read_volume(path)
    with pytest.raises(InputError, match=r"got a scout of a CT .* choose a radiograph, or convert"):
        read_radiograph(path / "IM000")


def test_second_copies_of_a_file_are_left_out_with_a_note(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "series", slices_of(ct))
    (folder / "IM000 (1).dcm").write_bytes((folder / "IM000").read_bytes())
    volume = read_volume(folder)
    assert_same(volume, ct)
    assert volume.notes == ("Left out of the CT's series: copies of a slice (1).",)


def test_inverted_display_does_not_invert_hu(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    plain = read_volume(write_folder(tmp_path / "series", slices_of(ct)))
    inverse = [
        replace(s, more={"PhotometricInterpretation": "MONOCHROME1"} if k % 2 else {})
        for k, s in enumerate(slices_of(ct))
    ]
    assert_same(read_volume(write_folder(tmp_path / "inverse", inverse)), plain)
    path = write_enhanced(tmp_path / "ct.dcm", slices_of(ct), PhotometricInterpretation="MONOCHROME1")
    assert_same(read_volume(path), plain)


def test_bits_and_sign_may_differ_from_slice_to_slice(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "series", slices_of(ct))
    for number, path in enumerate(sorted(folder.iterdir())[:4]):
        dataset = pydicom.dcmread(path)
        hu = dataset.pixel_array.astype(np.int32) - 1024
        if number % 2:
            dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
            dataset.BitsStored, dataset.HighBit = 12, 11
            dataset.PixelData = ((hu & 0xFFF) | 0x5000).astype("<u2").tobytes()  # something lies in the unused bits
        else:
            dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.save_as(path)
    assert_same(read_volume(folder), ct)


def by_simpleitk(folder: Path, stored: np.ndarray, compressor: str) -> pydicom.Dataset:
    """One 16-bit image compressed by GDCM."""
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(folder / "compressed.dcm"))
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(stored[None]))
    return pydicom.dcmread(folder / "compressed.dcm")


def compressed(folder: Path, stored: np.ndarray, kind: str) -> tuple[str, list[bytes]]:
    """The transfer syntax and one compressed frame for each slice of ``stored`` (n, rows, columns)."""
    if kind == "RLE":
        frames = []
        for pixels in stored:
            dataset = a_dataset("1.2.840.10008.5.1.4.1.1.2", np.ascontiguousarray(pixels))
            dataset.compress(RLELossless)
            frames.append(next(generate_frames(dataset.PixelData, number_of_frames=1)))
        return RLELossless, frames
    datasets = [by_simpleitk(folder, pixels, kind) for pixels in stored]
    return datasets[0].file_meta.TransferSyntaxUID, [
        next(generate_frames(dataset.PixelData, number_of_frames=1)) for dataset in datasets
    ]


@pytest.mark.parametrize("kind", ["RLE", "JPEG", "JPEG2000"])
def test_compressed_slices_and_frames_equal_their_plain_twins(tmp_path: Path, kind: str) -> None:
    ct = a_lopsided_ct()
    tiled = Volume(np.tile(ct.voxels, (1, 6, 8)), replace(ct.grid, size=(40, 36, 8)))
    slices = slices_of(tiled)
    syntax, frames = compressed(tmp_path, np.stack([slice_.stored() for slice_ in slices]), kind)
    folder = write_folder(tmp_path / "series", slices)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PixelData = encapsulate([frames[len(slices) - dataset.InstanceNumber]])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path)
    assert_same(read_volume(folder), tiled)
    dataset = pydicom.dcmread(write_enhanced(tmp_path / "ct.dcm", slices))
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "ct.dcm")
    assert_same(read_volume(tmp_path / "ct.dcm"), tiled)


@forms
def test_padding_as_dark_as_air_is_left_and_bright_padding_becomes_air(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    slices = []
    for slice_ in slices_of(ct):
        hu = slice_.hu.copy()
        hu[0, :3] = 0
        hu[3, 2] = 0  # the padding's value amid the body
        slices.append(replace(slice_, hu=hu))
    volume = read_volume(write_stack(form, tmp_path, slices, PixelPaddingValue=1024))
    assert (volume.voxels[:, 0, :3] == -1024).all()
    assert (volume.voxels[:, 3, 2] == 0).all()
    np.testing.assert_array_equal(volume.voxels[:, 1:3], ct.voxels[:, 1:3])
    assert volume.notes == ("Pixel Padding Value (0028,0120): set to air (-1024 HU) in 8 slices.",)


def test_padding_of_minus_2000_written_as_63536_is_air(tmp_path: Path) -> None:
    slices = slices_of(a_lopsided_ct())
    folder = write_folder(tmp_path / "series", slices, PixelPaddingValue=63536)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array.copy()
        stored[0] = 63536
        dataset.PixelData = stored.tobytes()
        dataset.save_as(path)
    volume = read_volume(folder)
    assert (volume.voxels[:, 0] == -1024).all()
    assert volume.voxels.max() < 700


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


@forms
def test_other_quantities_than_hu_are_refused_and_unspecified_ones_are_warned_of(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    for kind in ("OD", "ED", "US"):
        (tmp_path / kind).mkdir()
        slices = [replace(slice_, more={"RescaleType": kind}) for slice_ in slices_of(ct)]
        path = write_stack(form, tmp_path / kind, slices)
        if kind == "US":
            volume = read_volume(path)
            assert_same(volume, ct)
            assert "Rescale Type (0028,1054) is US" in volume.warnings[0]
        else:
            with pytest.raises(InputError, match=rf"Rescale Type \(0028,1054\) HU, got {kind}"):
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
    assert volume.notes == ("Left out of the folder: Contours (RTSTRUCT, 1 file, such as rs.dcm).",)
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


def test_lossy_compression_is_noted(tmp_path: Path) -> None:
    values = {"LossyImageCompression": "01", "LossyImageCompressionRatio": 8}
    volume = read_volume(write_folder(tmp_path / "series", slices_of(a_lopsided_ct()), **values))
    assert volume.notes == (
        "Lossy Image Compression (0028,2110), 8 : 1: grey values are not those that were acquired.",
    )


def test_metal_that_lossy_compression_carried_beyond_the_stored_bits_stays_bright(tmp_path: Path) -> None:
    slices = [replace(s, hu=BRIGHT.astype(float) - 1024) for s in slices_of(a_lopsided_ct())]
    folder = write_folder(tmp_path / "series", slices)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.PixelData = encapsulate([BRIGHT_NEAR_LOSSLESS])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        dataset.file_meta.TransferSyntaxUID, dataset.BitsStored, dataset.HighBit = JPEGLSNearLossless, 12, 11
        dataset.save_as(file, enforce_file_format=True)
    voxels = read_volume(folder).voxels.astype(int)
    assert voxels.max() == 3071
    assert np.abs(voxels - (BRIGHT.astype(int) - 1024)).max() <= 3


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


@pytest.mark.parametrize("syntax", ["", *NATIVE, *COMPRESSED])
def test_every_transfer_syntax_gives_the_plain_values(tmp_path: Path, syntax: str) -> None:
    place = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1], "RescaleIntercept": -1024}
    values = {"Modality": "CT", "BitsStored": 12, "HighBit": 11, "SeriesInstanceUID": STACK_UID, **place}
    (tmp_path / "series").mkdir()
    for k in range(2):
        dataset = a_dataset(CT_CLASS, PICTURE, ImagePositionPatient=[0, 0, 2 * k], RescaleSlope=1, **values)
        save_in_syntax(dataset, tmp_path / "series" / f"{k}", syntax)
    voxels = read_volume(tmp_path / "series").voxels
    np.testing.assert_array_equal(voxels, [PICTURE.astype(np.int32) - 1024] * 2)
