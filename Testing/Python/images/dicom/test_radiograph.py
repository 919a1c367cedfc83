"""Radiographs in DICOM: header fields with their origin, orientation, grey values, and what is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from support.dicom_files import a_radiograph_file
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_radiograph


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


@pytest.mark.parametrize("orientation", [["L", "P"], ["F", "H"], ["H", "H"], ["X", "F"], ["L", ""], ["L", "R"]])
def test_orientation_that_is_neither_frontal_nor_lateral_is_warned_of(tmp_path: Path, orientation: list[str]) -> None:
    stored = a_radiograph_file(tmp_path / "ap.dcm", PatientOrientation=orientation)
    radiograph = read_radiograph(tmp_path / "ap.dcm")
    np.testing.assert_array_equal(radiograph.pixels, stored)
    assert any("neither frontal nor lateral and could not be used" in text for text in radiograph.header.warnings)


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
        assert any(f"positioner angle {angle} deg is not used; give the geometry" in note for note in notes)
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


@pytest.mark.parametrize(
    ("written", "sid_mm", "unit"), [(180, 1800, "centimetres"), (305, 3050, "centimetres"), (1.83, 1830, "metres")]
)
def test_distance_in_another_unit_is_converted_and_noted(
    tmp_path: Path, written: float, sid_mm: float, unit: str
) -> None:
    a_radiograph_file(tmp_path / "ap.dcm", DistanceSourceToDetector=written)
    header = read_radiograph(tmp_path / "ap.dcm").header
    assert header.sid_mm == pytest.approx(sid_mm)
    assert any(f"(0018,1110) is {written:g}: taken as {unit}, {sid_mm} mm" in note for note in header.notes)
    a_radiograph_file(tmp_path / "ap.dcm", DistanceSourceToDetector=sid_mm)
    header = read_radiograph(tmp_path / "ap.dcm").header
    assert header.sid_mm == sid_mm
    assert not any("taken as" in note for note in header.notes)


def test_both_distances_of_a_header_have_one_unit(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "ap.dcm", DistanceSourceToDetector=110, DistanceSourceToPatient=72)
    header = read_radiograph(tmp_path / "ap.dcm").header
    assert (header.sid_mm, header.sad_mm, header.refused) == (1100.0, 720.0, {})


@pytest.mark.parametrize("written", [72, 9, 18288])
def test_distance_of_no_known_unit_is_refused_with_its_tag(tmp_path: Path, written: float) -> None:
    a_radiograph_file(tmp_path / "ap.dcm", DistanceSourceToDetector=written)
    header = read_radiograph(tmp_path / "ap.dcm").header
    assert header.sid_mm is None
    assert f"(0018,1110) is {written} mm" in header.refused["sid_mm"]
    assert ("as inches it would be 1829 mm" in header.refused["sid_mm"]) == (written == 72)


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
    assert any("times the magnification it is the spacing at the detector" in note for note in calibrated.header.notes)


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
    colours = np.random.default_rng(1).integers(0, 4000, (210, 80)).astype(np.uint16)
    a_radiograph_file(tmp_path / "rgb.dcm", colours, Rows=70, **colour)
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
