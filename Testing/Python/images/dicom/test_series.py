"""DICOM files as modalities write them, made with pydicom: CT series and radiographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from support.dicom_files import a_dataset
from support.volumes import BLOB_MM, ct_on, grid_around
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_radiograph, read_volume
from TomoRayLib.images.types import Volume

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def write_series(folder: Path, ct: Volume, leave_out: tuple[int, ...] = (), tilt_mm: float = 0.0) -> str:
    """One file per slice k, named in shuffled order; stored = HU + 1024. Returns the series' UID."""
    folder.mkdir(exist_ok=True)
    matrix, series_uid, frame = ct.grid.direction_matrix, generate_uid(), generate_uid()
    for k in [k for k in range(ct.grid.size[2]) if k not in leave_out]:
        position = (ct.grid.index_to_world @ (0, 0, k, 1))[:3] + matrix[:, 1] * tilt_mm * k
        dataset = a_dataset(
            CT_CLASS,
            (ct.voxels[k] + 1024).astype(np.uint16),
            Modality="CT",
            SeriesInstanceUID=series_uid,
            StudyInstanceUID=frame,
            FrameOfReferenceUID=frame,
            SeriesDescription="Spine",
            InstanceNumber=ct.grid.size[2] - k,
            ImagePositionPatient=[round(float(value), 6) for value in position],
            ImageOrientationPatient=[round(float(value), 9) for value in (*matrix[:, 0], *matrix[:, 1])],
            PixelSpacing=[ct.grid.spacing_mm[1], ct.grid.spacing_mm[0]],
            SliceThickness=ct.grid.spacing_mm[2],
            RescaleSlope=1,
            RescaleIntercept=-1024,
        )
        dataset.save_as(folder / f"{(k * 37) % 101:03d}.dcm", enforce_file_format=True)
    return series_uid


def a_small_ct(direction: np.ndarray) -> Volume:
    """10 slices of the blob, 3 mm apart; the blob is off the middle of the stack."""
    whole = grid_around(BLOB_MM, direction)
    start = direction @ np.array([20.0, 10.0, 6.0])
    origin = tuple(np.add(whole.origin_mm, start))
    return ct_on(Grid((24, 41, 10), (2.0, 1.0, 3.0), origin, whole.direction))


@pytest.mark.parametrize("turn", ["straight", "oblique"])
def test_ct_series_is_read_in_hu_at_its_place(tmp_path: Path, turn: str) -> None:
    cos, sin = np.cos(0.4), np.sin(0.4)
    direction = np.eye(3) if turn == "straight" else np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    ct = a_small_ct(direction)
    write_series(tmp_path / "series", ct)
    back = read_volume(tmp_path / "series")
    assert back.grid.same_as(ct.grid)
    np.testing.assert_array_equal(back.voxels, ct.voxels)


def test_multi_frame_ct_is_read_in_hu_at_its_place(tmp_path: Path) -> None:
    ct = a_small_ct(np.eye(3))
    measures, orientation, values = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1.0, 2.0], 3.0
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    values.RescaleIntercept, values.RescaleSlope, values.RescaleType = -1024, 1, "HU"
    shared = pydicom.Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [values]
    frames = []
    for k in range(ct.grid.size[2]):
        position, frame = pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = [float(value) for value in (ct.grid.index_to_world @ (0, 0, k, 1))[:3]]
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    dataset = a_dataset(
        "1.2.840.10008.5.1.4.1.1.2.1",
        (ct.voxels + 1024).astype(np.uint16),
        Modality="CT",
        NumberOfFrames=ct.grid.size[2],
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )
    dataset.save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    back = read_volume(tmp_path / "ct.dcm")
    assert back.grid.same_as(ct.grid)
    np.testing.assert_array_equal(back.voxels, ct.voxels)


def test_missing_slice_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "series", a_small_ct(np.eye(3)), leave_out=(4,))
    with pytest.raises(InputError, match=r"evenly spaced slices, got distances from 3\.00 to 6\.00 mm .*missing"):
        read_volume(tmp_path / "series")


def test_gantry_tilt_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "series", a_small_ct(np.eye(3)), tilt_mm=0.8)
    with pytest.raises(InputError, match=r"sideways drift of 7\.2 mm .*gantry tilt.*resample"):
        read_volume(tmp_path / "series")


def test_two_phases_in_one_series_are_refused(tmp_path: Path) -> None:
    ct = a_small_ct(np.eye(3))
    write_series(tmp_path / "series", ct)
    for number, path in enumerate(sorted((tmp_path / "series").glob("*.dcm"))):
        twin = pydicom.dcmread(path)
        twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        twin.save_as(tmp_path / "series" / f"twin{number}.dcm")
    with pytest.raises(InputError, match="several at the same one"):
        read_volume(tmp_path / "series")


def test_several_series_are_listed_and_one_moved_away_is_read(tmp_path: Path) -> None:
    first, second = a_small_ct(np.eye(3)), a_small_ct(np.diag([1.0, -1.0, -1.0]))
    write_series(tmp_path / "both", first)
    for path in (tmp_path / "both").glob("*.dcm"):
        path.rename(path.with_name(f"first{path.name}"))
    write_series(tmp_path / "both", second)
    listed = r"one DICOM series, got 2: .*without a number \(10 slices, such as first\d+\.dcm\).*; move the files"
    with pytest.raises(InputError, match=listed):
        read_volume(tmp_path / "both")
    (tmp_path / "one").mkdir()
    for path in (tmp_path / "both").glob("first*.dcm"):
        path.rename(tmp_path / "one" / path.name)
    assert read_volume(tmp_path / "one").grid.same_as(first.grid)
    assert read_volume(tmp_path / "both").grid.same_as(second.grid)


def test_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got none in it; choose the folder that holds the slices"):
        read_volume(tmp_path)


def test_one_slice_of_a_ct_is_neither_volume_nor_radiograph(tmp_path: Path) -> None:
    write_series(tmp_path / "series", a_small_ct(np.eye(3)))
    slice_file = tmp_path / "series" / "000.dcm"
    with pytest.raises(InputError, match="chosen by its folder"):
        read_volume(slice_file)
    with pytest.raises(InputError, match=r"expected a radiograph .*got one image of modality CT"):
        read_radiograph(slice_file)
