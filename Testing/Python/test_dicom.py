"""DICOM files as modalities write them, made with pydicom: CT series and radiographs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from conftest import BLOB_MM, ct_on, grid_around
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from TomoRayLib.errors import InputError
from TomoRayLib.geometry import Grid
from TomoRayLib.images import Volume, read_radiograph, read_volume

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
DX_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"


def a_dataset(sop_class: str, stored: np.ndarray, **values: Any) -> FileDataset:
    """A little-endian file with ``stored`` (rows, columns) uint16 or int16 pixels; ``values`` by DICOM keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID = "Secret^Name", "secret-id"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


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


def a_radiograph_file(path: Path, stored: np.ndarray | None = None, **values: Any) -> np.ndarray:
    stored = np.add.outer(np.arange(70) * 10, np.arange(80)).astype(np.uint16) if stored is None else stored
    defaults = {"Modality": "DX", "ImagerPixelSpacing": [0.2, 0.3]}
    a_dataset(DX_CLASS, stored, **(defaults | values)).save_as(path, enforce_file_format=True)
    return stored


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
    listed = r"one DICOM series, got 2: .*Spine \(10 slices, such as first\d+\.dcm\).*; move the files of the wanted"
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


def test_header_fields_are_read_with_their_origin(tmp_path: Path) -> None:
    a_radiograph_file(
        tmp_path / "ap.dcm",
        DistanceSourceToDetector=1800,
        DistanceSourceToPatient="1500.5",
        EstimatedRadiographicMagnificationFactor=1.2,
        PositionerPrimaryAngle=0,
        PositionerSecondaryAngle=-3,
        ViewPosition="AP",
        PatientOrientation=["L", "F"],
        ImageLaterality="U",
        PixelSpacing=[0.17, 0.25],
        PixelSpacingCalibrationType="GEOMETRY",
        PresentationIntentType="FOR PRESENTATION",
    )
    radiograph = read_radiograph(tmp_path / "ap.dcm")
    header = radiograph.header
    assert radiograph.pixel_spacing_mm == (0.2, 0.3)
    assert (header.sid_mm, header.sad_mm, header.magnification) == (1800.0, 1500.5, 1.2)
    assert (header.primary_angle_deg, header.secondary_angle_deg) == (0.0, -3.0)
    assert (header.view_position, header.patient_orientation, header.laterality) == ("AP", ("L", "F"), "U")
    assert header.patient_pixel_spacing_mm == (0.17, 0.25)
    assert header.origins["sid_mm"] == "Distance Source to Detector (0018,1110)"
    assert header.origins["radiograph.pixel_spacing_mm"] == "Imager Pixel Spacing (0018,1164)"
    assert set(header.origins) - {"radiograph.pixel_spacing_mm"} <= {field.name for field in fields(header)}
    assert "secret" not in repr(radiograph.header).lower()


# Patient Orientation of the stored file -> what is done to the pixels, and the words of the note.
_TURNS = {
    "L\\F": (lambda pixels: pixels, None),
    "P\\F": (lambda pixels: pixels, None),
    "R\\F": (lambda pixels: pixels[:, ::-1], "mirrored left to right"),
    "A\\F": (lambda pixels: pixels[:, ::-1], "mirrored left to right"),
    "L\\H": (lambda pixels: pixels[::-1], "turned upside down"),
    "R\\H": (lambda pixels: pixels[::-1, ::-1], "mirrored left to right, turned upside down"),
    "F\\L": (lambda pixels: pixels.T, "rows and columns exchanged"),
    "F\\R": (lambda pixels: pixels.T[:, ::-1], "rows and columns exchanged, mirrored left to right"),
    "H\\P": (lambda pixels: pixels.T[::-1], "rows and columns exchanged, turned upside down"),
    "H\\A": (lambda pixels: pixels.T[::-1, ::-1], "exchanged, mirrored left to right, turned upside down"),
    "RP\\FP": (lambda pixels: pixels[:, ::-1], "mirrored left to right"),
}


@pytest.mark.parametrize("orientation", _TURNS)
def test_image_is_turned_as_patient_orientation_says(tmp_path: Path, orientation: str) -> None:
    turn, words = _TURNS[orientation]
    stored = a_radiograph_file(
        tmp_path / "ap.dcm", PatientOrientation=orientation.split("\\"), PixelSpacing=[0.1, 0.15]
    )
    radiograph = read_radiograph(tmp_path / "ap.dcm")
    np.testing.assert_array_equal(radiograph.pixels, turn(stored))
    exchanged = orientation[0] in "FH"
    assert radiograph.pixel_spacing_mm == radiograph.header.imager_pixel_spacing_mm
    assert radiograph.pixel_spacing_mm == ((0.3, 0.2) if exchanged else (0.2, 0.3))
    assert radiograph.header.patient_pixel_spacing_mm == ((0.15, 0.1) if exchanged else (0.1, 0.15))
    across = "P" if "A" in orientation or orientation in ("P\\F", "H\\P") else "L"
    assert radiograph.header.patient_orientation == (across, "F")
    turned = [note for note in radiograph.header.notes if "on reading, so that" in note]
    assert len(turned) == (words is not None)
    assert words is None or words in turned[0]
    assert any("oblique" in note for note in radiograph.header.notes) == (orientation == "RP\\FP")


def test_what_orientation_says_of_a_place_in_the_body_is_where_it_comes_out(tmp_path: Path) -> None:
    """A marker at the patient's left, near the head, stored in each of the eight ways, is always at top right."""
    for right in "LRFH":
        for down in "FH" if right in "LR" else "LR":
            stored = np.zeros((70, 80), np.uint16)
            row = 60 if down in "RH" else 5
            column = 5 if right in "RF" else 70
            if right in "FH":
                row = 60 if down == "L" else 5
                column = 70 if right == "H" else 5
            elif down == "H":
                row = 60
            stored[row, column] = 100
            a_radiograph_file(tmp_path / "ap.dcm", stored, PatientOrientation=[right, down])
            pixels = read_radiograph(tmp_path / "ap.dcm").pixels
            found_row, found_column = np.unravel_index(np.argmax(pixels), pixels.shape)
            assert (found_row < pixels.shape[0] / 2, found_column > pixels.shape[1] / 2) == (True, True), (right, down)


@pytest.mark.parametrize("orientation", [["L", "P"], ["F", "H"], ["X", "F"], ["L", ""], ["L", "R"]])
def test_orientation_that_is_neither_frontal_nor_lateral_is_noted(tmp_path: Path, orientation: list[str]) -> None:
    stored = a_radiograph_file(tmp_path / "ap.dcm", PatientOrientation=orientation)
    radiograph = read_radiograph(tmp_path / "ap.dcm")
    np.testing.assert_array_equal(radiograph.pixels, stored)
    assert any("neither frontal nor lateral and could not be used" in note for note in radiograph.header.notes)


def test_one_letter_for_both_directions_is_left_out(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "ap.dcm", PatientOrientation="RF")
    header = read_radiograph(tmp_path / "ap.dcm").header
    assert header.patient_orientation is None
    assert any("'RF' is not usable" in note for note in header.notes)


def test_pa_alone_is_not_mirrored_but_noted(tmp_path: Path) -> None:
    stored = a_radiograph_file(tmp_path / "pa.dcm", ViewPosition="PA")
    radiograph = read_radiograph(tmp_path / "pa.dcm")
    np.testing.assert_array_equal(radiograph.pixels, stored)
    assert any("View Position PA" in note and "not mirrored" in note for note in radiograph.header.notes)
    a_radiograph_file(tmp_path / "pa.dcm", ViewPosition="PA", PatientOrientation=["R", "F"])
    radiograph = read_radiograph(tmp_path / "pa.dcm")
    np.testing.assert_array_equal(radiograph.pixels, stored[:, ::-1])
    assert not any("not mirrored" in note for note in radiograph.header.notes)


def test_positioner_angle_that_is_not_used_is_noted(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "ap.dcm", PositionerPrimaryAngle=25, PositionerSecondaryAngle=-3)
    notes = read_radiograph(tmp_path / "ap.dcm").header.notes
    for angle in ("25", "-3"):
        assert any(f"positioner angle {angle} deg is not used; give --geometry" in note for note in notes)
    for straight in (0, 0.2, 90, -90, 180):
        a_radiograph_file(tmp_path / "ap.dcm", PositionerPrimaryAngle=straight, PositionerSecondaryAngle=0)
        assert not any("not used" in note for note in read_radiograph(tmp_path / "ap.dcm").header.notes)


def test_empty_and_impossible_header_values_are_none(tmp_path: Path) -> None:
    a_radiograph_file(
        tmp_path / "ap.dcm",
        DistanceSourceToDetector=0,
        DistanceSourceToPatient=None,
        ImagerPixelSpacing=[0, 0.1],
        ViewPosition="",
    )
    radiograph = read_radiograph(tmp_path / "ap.dcm")
    header = radiograph.header
    assert (header.sid_mm, header.sad_mm, header.view_position, radiograph.pixel_spacing_mm) == (None,) * 4
    assert any("Distance Source to Detector" in note and "not usable" in note for note in header.notes)


def test_distance_in_centimetres_is_pointed_out(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "ap.dcm", DistanceSourceToDetector=180)
    assert any(
        "180 mm: was it written in centimetres?" in note for note in read_radiograph(tmp_path / "ap.dcm").header.notes
    )


def test_monochrome2_is_taken_as_it_is(tmp_path: Path) -> None:
    stored = a_radiograph_file(tmp_path / "ap.dcm")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "ap.dcm").pixels, stored)


def test_monochrome1_is_inverted_and_noted(tmp_path: Path) -> None:
    stored = a_radiograph_file(tmp_path / "ap.dcm", PhotometricInterpretation="MONOCHROME1")
    radiograph = read_radiograph(tmp_path / "ap.dcm")
    np.testing.assert_array_equal(radiograph.pixels, stored.max().astype(float) - stored)
    assert radiograph.header.photometric_interpretation == "MONOCHROME1"
    assert any("inverted on reading" in note for note in radiograph.header.notes)


def test_rescale_is_applied(tmp_path: Path) -> None:
    stored = a_radiograph_file(tmp_path / "ap.dcm", RescaleSlope=2, RescaleIntercept=-7)
    radiograph = read_radiograph(tmp_path / "ap.dcm")
    np.testing.assert_array_equal(radiograph.pixels, stored * 2.0 - 7.0)
    assert any("rescale" in note for note in radiograph.header.notes)


def test_modality_lut_is_applied(tmp_path: Path) -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4, 0, 16], "US"
    table.LUTData = np.array([0, 100, 300, 900], "<u2").tobytes()
    stored = np.tile(np.arange(80, dtype=np.uint16) % 4, (70, 1))
    a_radiograph_file(tmp_path / "ap.dcm", stored, ModalityLUTSequence=[table])
    expected = np.array([0, 100, 300, 900])[stored]
    np.testing.assert_array_equal(read_radiograph(tmp_path / "ap.dcm").pixels, expected)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_becomes_the_darkest_value(tmp_path: Path, photometric: str) -> None:
    stored = np.add.outer(np.arange(70), np.arange(80)).astype(np.uint16) + 100
    stored[:, :9] = 65535
    a_radiograph_file(tmp_path / "ap.dcm", stored, PixelPaddingValue=65535, PhotometricInterpretation=photometric)
    pixels = read_radiograph(tmp_path / "ap.dcm").pixels
    assert np.all(pixels[:, :9] == pixels[:, 9:].min())
    assert np.ptp(pixels) == np.ptp(stored[:, 9:])


def test_spacing_without_imager_spacing_says_where_it_holds(tmp_path: Path) -> None:
    values = {"ImagerPixelSpacing": None, "PixelSpacing": [0.1, 0.2]}
    a_radiograph_file(tmp_path / "cr.dcm", **values)
    a_radiograph_file(tmp_path / "calibrated.dcm", **values, PixelSpacingCalibrationType="FIDUCIAL")
    plain, calibrated = read_radiograph(tmp_path / "cr.dcm"), read_radiograph(tmp_path / "calibrated.dcm")
    assert plain.pixel_spacing_mm == calibrated.pixel_spacing_mm == (0.1, 0.2)
    assert (plain.header.spacing_is_at_patient, calibrated.header.spacing_is_at_patient) == (False, True)
    assert any("taken as the spacing at the detector" in note for note in plain.header.notes)
    assert any("multiply it by the magnification" in note for note in calibrated.header.notes)


def test_compressed_radiograph_is_decoded(tmp_path: Path) -> None:
    stored = np.random.default_rng(1).integers(0, 4000, (70, 80)).astype(np.uint16)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "ap.dcm"))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")  # lossless JPEG, for which pydicom alone has no decoder
    writer.Execute(sitk.GetImageFromArray(stored))
    assert pydicom.dcmread(tmp_path / "ap.dcm").file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(read_radiograph(tmp_path / "ap.dcm").pixels, stored)


def test_dicom_without_preamble_is_read(tmp_path: Path) -> None:
    stored = a_radiograph_file(tmp_path / "ap.dcm")
    (tmp_path / "bare.dcm").write_bytes((tmp_path / "ap.dcm").read_bytes()[132:])
    np.testing.assert_array_equal(read_radiograph(tmp_path / "bare.dcm").pixels, stored)


def test_several_frames_and_colour_are_refused(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "run.dcm", np.zeros((3, 70, 80), np.uint16), NumberOfFrames=3, Modality="XA")
    with pytest.raises(InputError, match="got 3 frames; export the one frame"):
        read_radiograph(tmp_path / "run.dcm")
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    a_radiograph_file(tmp_path / "rgb.dcm", np.zeros((210, 80), np.uint16), Rows=70, **colour)
    with pytest.raises(InputError, match="expected a greyscale radiograph, got RGB with 3 values"):
        read_radiograph(tmp_path / "rgb.dcm")


def test_file_without_pixels_and_damaged_pixels_are_refused(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "ap.dcm")
    dataset = pydicom.dcmread(tmp_path / "ap.dcm")
    del dataset.PixelData
    dataset.save_as(tmp_path / "report.dcm")
    with pytest.raises(InputError, match="choose the image itself"):
        read_radiograph(tmp_path / "report.dcm")
    whole = (tmp_path / "ap.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.dcm: expected"):
        read_radiograph(tmp_path / "cut.dcm")
