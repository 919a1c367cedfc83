"""Places of CT slices in each form of a stack: a folder of slices, one multi-frame file, several in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from support.dicom_stacks import (
    a_lopsided_ct,
    assert_same,
    forms,
    moved,
    slices_of,
    write_enhanced,
    write_folder,
    write_stack,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_volume

OBLIQUE = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(0.4), -np.sin(0.4)], [0.0, np.sin(0.4), np.cos(0.4)]])


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


@pytest.mark.parametrize("between", [1.0, 6.0])
def test_positions_win_over_stated_distances(tmp_path: Path, between: float) -> None:
    ct = a_lopsided_ct()
    shared = {"SpacingBetweenSlices": between, "SliceThickness": 0.5}
    assert_same(read_volume(write_enhanced(tmp_path / "ct.dcm", slices_of(ct), shared)), ct)
    assert_same(read_volume(write_folder(tmp_path / "series", slices_of(ct), **shared)), ct)


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
