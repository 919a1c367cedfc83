"""What a header's numbers mean, by PS3.3 and IEC 61217: units, magnification, places of source and image."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from support.dicom_files import a_dataset, a_radiograph_file
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.views import View
from TomoRayLib.images.dicom.directions import PATIENT_POSITIONS, rt_image_frame, source_of_positioner
from TomoRayLib.images.files import read_radiograph
from TomoRayLib.images.types import Radiograph
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.stated_geometry import stated_geometry

LEFT, RIGHT, FRONT, BACK = (1, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 1, 0)
HEAD, FEET = (0, 0, 1), (0, 0, -1)
RT_IMAGE_CLASS = "1.2.840.10008.5.1.4.1.1.481.1"

# PS3.3 C.8.7.5.1.2: the image intensifier's place at (primary, secondary) degrees. The source is opposite.
_INTENSIFIER = {
    (0, 0): FRONT,
    (90, 0): LEFT,
    (-90, 0): RIGHT,
    (180, 0): BACK,
    (0, 90): HEAD,
    (0, -90): FEET,
    (30, 0): (0.5, -np.sqrt(0.75), 0),
    (0, 30): (0, -np.sqrt(0.75), 0.5),
    (90, -30): (np.sqrt(0.75), 0, -0.5),
}


@pytest.mark.parametrize("angles", _INTENSIFIER)
def test_the_source_is_opposite_to_where_the_positioner_angles_put_the_intensifier(angles: tuple[int, int]) -> None:
    np.testing.assert_allclose(source_of_positioner(*angles), np.negative(_INTENSIFIER[angles]), atol=1e-12)


# IEC 61217: the source is above the couch at gantry 0; as one faces the gantry it turns clockwise, at 90 to the right.
_RT_SOURCES = {
    ("HFS", 0): FRONT,
    ("HFS", 90): LEFT,
    ("HFS", 180): BACK,
    ("HFS", 270): RIGHT,
    ("HFP", 0): BACK,
    ("HFP", 90): RIGHT,
    ("FFS", 0): FRONT,
    ("FFS", 90): RIGHT,
    ("FFP", 90): LEFT,
    ("HFDR", 0): LEFT,
    ("HFDR", 90): BACK,
    ("HFDL", 0): RIGHT,
    ("HFDL", 90): FRONT,
    ("FFDR", 0): LEFT,
    ("FFDR", 90): FRONT,
}


@pytest.mark.parametrize("setup", _RT_SOURCES)
def test_gantry_angle_puts_the_source_where_iec_61217_says(setup: tuple[str, int]) -> None:
    position, gantry_deg = setup
    np.testing.assert_allclose(rt_image_frame(gantry_deg, 0.0, position)[2], _RT_SOURCES[setup], atol=1e-12)


def test_every_frame_of_the_gantry_is_right_handed() -> None:
    for position in PATIENT_POSITIONS:
        assert np.linalg.det(rt_image_frame(33.0, 12.0, position)) == pytest.approx(1.0)


def test_a_couch_turned_counter_clockwise_brings_the_source_at_the_right_towards_the_feet() -> None:
    """Seen from above the head swings to the left, away from a source at +x, which then stands nearer to the feet."""
    x, y, z = rt_image_frame(90.0, 30.0, "HFS")[2]
    assert (x, y, z) == pytest.approx((np.cos(np.pi / 6), 0.0, -np.sin(np.pi / 6)))


def an_rt_image(path: Path, stored: np.ndarray, **values: object) -> None:
    defaults = {
        "Modality": "RTIMAGE",
        "ImagerPixelSpacing": None,
        "ImagePlanePixelSpacing": [1.6, 1.1],
        "RTImageSID": 1500,
        "RadiationMachineSAD": 1000,
        "RTImagePlane": "NORMAL",
    }
    a_dataset(RT_IMAGE_CLASS, stored, **(defaults | values)).save_as(path, enforce_file_format=True)


def _view_of(radiograph: Radiograph) -> View:
    stated = stated_geometry(radiograph, GeometryOptions())
    detector = Detector(*radiograph.pixels.shape, stated.pixel_spacing_mm, stated.offset_mm)
    return View(stated.beam, detector, stated.gantry_angle_deg, stated.tilt_deg, stated.roll_deg)


def _iec_pixel(point_fixed: np.ndarray, gantry_deg: float, receptor_deg: float, first: tuple, shift: tuple) -> tuple:
    """(row, column) of a point in the fixed system, by IEC 61217's rotations; rows along x, columns against y."""
    gantry = Rotation.from_euler("y", gantry_deg, degrees=True).inv().apply(point_fixed)
    x, y = gantry[:2] * 1500.0 / (1000.0 - gantry[2]) - np.array(shift)
    x, y, _ = Rotation.from_euler("z", receptor_deg, degrees=True).inv().apply((x, y, 0.0))
    return (first[1] - y) / 1.6, (x - first[0]) / 1.1


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP"])
@pytest.mark.parametrize(("gantry_deg", "receptor_deg"), [(0, 0), (20, 0), (90, 4), (180, 0), (255, -90), (340, 180)])
def test_a_mark_in_an_rt_image_lies_where_the_view_projects_its_point(
    tmp_path: Path, position: str, gantry_deg: float, receptor_deg: float
) -> None:
    """Stored by IEC 61217 alone, read and turned upright, and found again by the view that the header gives."""
    in_plane = Rotation.from_euler("y", gantry_deg, degrees=True).apply((21.0, 37.0, 0.0))  # at depth 0
    first, shift = (-70.0, 110.0), (6.0, -9.0)
    row, column = _iec_pixel(in_plane, gantry_deg, receptor_deg, first, shift)
    rows, columns = np.mgrid[0:150, 0:130]
    stored = (60000 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8)).astype(np.uint16)
    an_rt_image(
        tmp_path / "rt.dcm",
        stored,
        PatientPosition=position,
        GantryAngle=gantry_deg,
        XRayImageReceptorAngle=receptor_deg,
        RTImagePosition=list(first),
        XRayImageReceptorTranslation=[*shift, -500],
    )
    radiograph = read_radiograph(tmp_path / "rt.dcm")
    into, up = (np.array(vector) for vector in PATIENT_POSITIONS[position])
    point_lps = in_plane @ np.stack([np.cross(into, up), into, up])
    found = np.unravel_index(np.argmax(radiograph.pixels), radiograph.pixels.shape)
    projected_column, projected_row = _view_of(radiograph).project_points(point_lps[None])[0]
    assert (projected_row, projected_column) == pytest.approx(found, abs=0.6)


def test_an_rt_image_states_its_distances_and_its_spacing(tmp_path: Path) -> None:
    an_rt_image(tmp_path / "rt.dcm", np.ones((150, 130), np.uint16), GantryAngle=0)
    radiograph = read_radiograph(tmp_path / "rt.dcm")
    header = radiograph.header
    assert (header.sid_mm, header.sad_mm, radiograph.pixel_spacing_mm) == (1500.0, 1000.0, (1.6, 1.1))
    assert header.origins["sid_mm"] == "RT Image SID (3002,0026)"
    assert header.origins["radiograph.pixel_spacing_mm"] == "Image Plane Pixel Spacing (3002,0011)"
    assert any("head first, supine" in note for note in header.notes)
    assert not header.warnings


def test_a_patient_position_that_no_table_knows_is_warned_of(tmp_path: Path) -> None:
    an_rt_image(tmp_path / "rt.dcm", np.ones((150, 130), np.uint16), GantryAngle=0, PatientPosition="SITTING")
    (warning,) = read_radiograph(tmp_path / "rt.dcm").header.warnings
    assert "Patient Position (0018,5100) is SITTING, taken as head first, supine" in warning


def test_an_rt_image_with_broken_lists_is_read_without_them(tmp_path: Path) -> None:
    an_rt_image(
        tmp_path / "rt.dcm",
        np.ones((150, 130), np.uint16),
        GantryAngle=0,
        RTImagePosition=[1.0],
        RTImageOrientation=[1, 0, 0],
        XRayImageReceptorTranslation=["1", "2"],
    )
    header = read_radiograph(tmp_path / "rt.dcm").header
    assert (header.detector_offset_mm, header.patient_orientation) == (None, ("L", "F"))


def test_an_rt_image_that_is_not_perpendicular_to_the_beam_is_refused(tmp_path: Path) -> None:
    an_rt_image(tmp_path / "rt.dcm", np.ones((150, 130), np.uint16), GantryAngle=0, RTImagePlane="NON_NORMAL")
    assert "NON_NORMAL: expected NORMAL" in read_radiograph(tmp_path / "rt.dcm").header.refused["geometry"]


@pytest.mark.parametrize("orientation", ["L\\F", "R\\F", "L\\H", "F\\L"])
@pytest.mark.parametrize(("primary", "secondary"), [(172, 9), (180, -5), (8, 5), (0, 0), (-20, 11)])
def test_a_mark_in_an_angiogram_lies_where_the_view_projects_its_point(
    tmp_path: Path, orientation: str, primary: float, secondary: float
) -> None:
    """The image is a shadow on the intensifier; here it is made by rays, then stored in each of four orientations."""
    to_detector = np.array(
        [
            np.sin(np.deg2rad(primary)) * np.cos(np.deg2rad(secondary)),
            -np.cos(np.deg2rad(primary)) * np.cos(np.deg2rad(secondary)),
            np.sin(np.deg2rad(secondary)),
        ]
    )
    across = np.cross(to_detector, HEAD)  # level, in the detector's plane
    across *= np.sign(across[0]) / np.linalg.norm(across)  # towards the patient's left
    along = np.cross(to_detector, across)
    along *= -np.sign(along[2])  # towards the feet
    point = 31.0 * across + 23.0 * along  # in the plane of the isocentre
    source, middle = -700.0 * to_detector, 400.0 * to_detector
    hit = source + (point - source) * ((middle - source) @ to_detector) / ((point - source) @ to_detector)
    row, column = (hit - middle) @ along / 0.9 + 74.5, (hit - middle) @ across / 0.9 + 64.5
    rows, columns = np.mgrid[0:150, 0:130]
    shown = (60000 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8)).astype(np.uint16)
    stored = {"L\\F": shown, "R\\F": shown[:, ::-1], "L\\H": shown[::-1], "F\\L": shown.T}[orientation]
    a_radiograph_file(
        tmp_path / "xa.dcm",
        np.ascontiguousarray(stored),
        Modality="XA",
        ImagerPixelSpacing=[0.9, 0.9],
        DistanceSourceToDetector=1100,
        DistanceSourceToPatient=700,
        PatientOrientation=orientation.split("\\"),
        PositionerPrimaryAngle=primary,
        PositionerSecondaryAngle=secondary,
    )
    radiograph = read_radiograph(tmp_path / "xa.dcm")
    found = np.unravel_index(np.argmax(radiograph.pixels), radiograph.pixels.shape)
    projected_column, projected_row = _view_of(radiograph).project_points(point[None])[0]
    assert (projected_row, projected_column) == pytest.approx(found, abs=0.6)


def test_the_source_of_a_lateral_angiogram_at_rao_90_stands_at_the_left(tmp_path: Path) -> None:
    stored = np.add.outer(np.arange(150), np.arange(130)).astype(np.uint16)
    distances = {"DistanceSourceToDetector": 1100, "DistanceSourceToPatient": 700}
    angles = {"PositionerPrimaryAngle": -90, "PositionerSecondaryAngle": 0, "PatientOrientation": ["P", "F"]}
    a_radiograph_file(tmp_path / "xa.dcm", stored, Modality="XA", **distances, **angles)
    lateral = read_radiograph(tmp_path / "xa.dcm")
    np.testing.assert_allclose(lateral.header.to_source, LEFT, atol=1e-12)
    assert _view_of(lateral).gantry_angle_deg == pytest.approx(90.0)


def test_angles_of_a_plain_film_are_not_those_of_a_c_arm_unless_it_says_so(tmp_path: Path) -> None:
    angles = {"PositionerPrimaryAngle": 12, "PositionerSecondaryAngle": 0}
    for modality, kind in itertools.product(("DX", "XA"), ("", "CARM", "COLUMN")):
        a_radiograph_file(tmp_path / "film.dcm", Modality=modality, PositionerType=kind, **angles)
        header = read_radiograph(tmp_path / "film.dcm").header
        assert (header.to_source is not None) == (kind == "CARM" or (modality == "XA" and not kind))
        assert any("12 deg is not used" in note for note in header.notes) == (header.to_source is None)


def test_angles_in_the_rooms_system_are_noted_and_not_used(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "xa.dcm", Modality="XA", PositionerIsocenterPrimaryAngle=30.0)
    header = read_radiograph(tmp_path / "xa.dcm").header
    assert header.to_source is None
    assert any("(0018,9463) 30 deg is the room's, not the patient's: not used" in note for note in header.notes)


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ({"ImagerPixelSpacing": [5.0, 5.0]}, False),
        ({"ImagerPixelSpacing": [8.0, 5.0]}, True),
        ({"ImagerPixelSpacing": [8.0, 5.0], "Modality": "XA"}, False),
        ({"ImageType": ["DERIVED", "PRIMARY", "", "STITCHED"]}, True),
        ({"DerivationDescription": "Composed image"}, True),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, False),
    ],
)
def test_a_film_of_several_exposures_is_warned_of(tmp_path: Path, values: dict, warned: bool) -> None:
    a_radiograph_file(tmp_path / "film.dcm", **values)  # 70 rows of 80 pixels
    warnings = read_radiograph(tmp_path / "film.dcm").header.warnings
    assert ["several exposures" in warning for warning in warnings] == [True] * warned


def test_a_slanted_beam_is_warned_of(tmp_path: Path) -> None:
    for slant_deg, count in ((0.4, 0), (10.0, 1)):
        a_radiograph_file(tmp_path / "film.dcm", DetectorSecondaryAngle=slant_deg)
        assert len(read_radiograph(tmp_path / "film.dcm").header.warnings) == count


@pytest.mark.parametrize(
    ("field_mm", "warned"),
    [([14, 24], False), ([24, 14], False), ([15, 25], False), ([28, 48], True), ([7, 12], True), ([14, 48], False)],
)
def test_a_resized_image_whose_spacing_stayed_is_warned_of(tmp_path: Path, field_mm: list[int], warned: bool) -> None:
    a_radiograph_file(tmp_path / "film.dcm", FieldOfViewDimensions=field_mm)  # 70 x 80 pixels of 0.2 x 0.3 mm
    warnings = read_radiograph(tmp_path / "film.dcm").header.warnings
    assert [("was the image resized?" in warning) for warning in warnings] == [True] * warned


@pytest.mark.parametrize("calibration", [None, "GEOMETRY", "FIDUCIAL"])
@pytest.mark.parametrize("at_detector", ["ImagerPixelSpacing", "NominalScannedPixelSpacing"])
def test_two_spacings_give_the_magnification(tmp_path: Path, calibration: str | None, at_detector: str) -> None:
    values = {"ImagerPixelSpacing": None, at_detector: [0.2, 0.3]}
    a_radiograph_file(
        tmp_path / "film.dcm", PixelSpacing=[0.16, 0.24], PixelSpacingCalibrationType=calibration, **values
    )
    radiograph = read_radiograph(tmp_path / "film.dcm")
    assert radiograph.header.spacing_magnification == pytest.approx(1.25)
    assert radiograph.pixel_spacing_mm == (0.2, 0.3)
    assert not radiograph.header.spacing_is_at_patient
    assert any("magnification 1.250 (PS3.3 10.7.1.3)" in note for note in radiograph.header.notes)


def test_equal_spacings_give_no_magnification(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "film.dcm", PixelSpacing=[0.2, 0.3])
    header = read_radiograph(tmp_path / "film.dcm").header
    assert (header.spacing_magnification, header.refused) == (None, {})


@pytest.mark.parametrize("spacing", [[0.05, 0.075], [0.4, 0.6], [0.16, 0.3], [0.3, 0.2]])
def test_spacings_that_cannot_be_of_one_image_are_refused_with_both(tmp_path: Path, spacing: list[float]) -> None:
    a_radiograph_file(tmp_path / "film.dcm", PixelSpacing=spacing)
    sentence = read_radiograph(tmp_path / "film.dcm").header.refused["pixel_spacing_mm"]
    assert f"0.2 x 0.3 and {spacing[0]:g} x {spacing[1]:g} mm" in sentence
    assert "(0018,1164)" in sentence
    assert "(0028,0030)" in sentence


def test_a_magnification_of_1_says_that_it_is_not_known(tmp_path: Path) -> None:
    distances = {"DistanceSourceToDetector": 1800, "DistanceSourceToPatient": 1800}
    a_radiograph_file(tmp_path / "film.dcm", EstimatedRadiographicMagnificationFactor=1, **distances)
    header = read_radiograph(tmp_path / "film.dcm").header
    assert (header.sid_mm, header.sad_mm, header.magnification, header.refused) == (1800.0, None, None, {})
    assert sum("makes a magnification of 1" in note for note in header.notes) == 2


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"EstimatedRadiographicMagnificationFactor": 0.65}, "(0018,1114) is 0.65: expected 1.01 to 2.5"),
        ({"EstimatedRadiographicMagnificationFactor": 120}, "(0018,1114) is 120"),
        ({"DistanceSourceToDetector": 1800, "DistanceSourceToPatient": 500}, "(0018,1111) 500 mm make a magnification"),
    ],
)
def test_a_magnification_that_no_body_has_is_refused(tmp_path: Path, values: dict[str, float], says: str) -> None:
    a_radiograph_file(tmp_path / "film.dcm", **values)
    assert says in read_radiograph(tmp_path / "film.dcm").header.refused["sad_mm"]


def test_an_enhanced_header_is_read_from_its_functional_groups(tmp_path: Path) -> None:
    def group(**values: object) -> pydicom.Sequence:
        item = pydicom.Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        return pydicom.Sequence([item])

    shared, frame = pydicom.Dataset(), pydicom.Dataset()
    shared.XRayGeometrySequence = group(DistanceSourceToDetector=1200.0, DistanceSourceToIsocenter=800.0)
    frame.PositionerPositionSequence = group(PositionerPrimaryAngle=175.0, PositionerSecondaryAngle=2.0)
    stored = np.ones((150, 130), np.uint16)
    dataset = a_dataset(
        "1.2.840.10008.5.1.4.1.1.12.1.1", stored, Modality="XA", ImagerPixelSpacing=[0.9, 0.9], NumberOfFrames=1
    )
    dataset.SharedFunctionalGroupsSequence = pydicom.Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = pydicom.Sequence([frame])
    dataset.save_as(tmp_path / "xa.dcm", enforce_file_format=True)
    header = read_radiograph(tmp_path / "xa.dcm").header
    assert (header.sid_mm, header.sad_mm) == (1200.0, 800.0)
    assert header.origins["sad_mm"] == "Distance Source to Isocenter (0018,9402)"
    assert (header.primary_angle_deg, header.secondary_angle_deg) == (175.0, 2.0)
