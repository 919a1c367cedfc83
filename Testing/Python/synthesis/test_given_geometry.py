"""What a user gives of one view: its pixel spacing, place and angle, beside what file and header say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.dicom_files import a_dataset
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.geometry.view_json import VIEW_KEY, view_to_dict
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.types import Radiograph, RadiographHeader
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.synthesis.acquisition import pair_geometry, rendering_views
from TomoRayLib.synthesis.radiograph_inputs import read_radiographs
from TomoRayLib.synthesis.settings import Arrangement, GeometryOptions
from TomoRayLib.synthesis.trained_range import geometry_notes
from TomoRayLib.weights import find_model

AS_STORED = View(ConeBeam(900.0, 1350.0), Detector(140, 110, (1.2, 1.5), (-45.0, 18.0)), 85.0)


def test_each_view_has_its_own_pixel_spacing_and_the_other_that_of_both() -> None:
    """Two PNGs of an EOS, of which one film was calibrated."""
    pictures = Radiograph(np.ones((400, 300), np.float32)), Radiograph(np.ones((420, 310), np.float32))
    options = GeometryOptions(preset="eos", pixel_spacing_mm=(0.7, 0.8), lateral_pixel_spacing_mm=(0.72, 0.85))
    views = pair_geometry(*pictures, options).views
    assert views.ap.detector.pixel_spacing_mm == (0.7, 0.8)
    assert views.lateral.detector.pixel_spacing_mm == (0.72, 0.85)
    with pytest.raises(InputError, match="AP radiograph: expected a pixel spacing"):
        pair_geometry(*pictures, GeometryOptions(preset="eos", lateral_pixel_spacing_mm=(0.72, 0.85)))
    own = dataclasses.replace(options, pixel_spacing_mm=None, ap_pixel_spacing_mm=(0.6, 0.9))
    assert pair_geometry(*pictures, own).views.ap.detector.pixel_spacing_mm == (0.6, 0.9)


@pytest.mark.parametrize("turned_deg", [0, 90, 180, 270])
@pytest.mark.parametrize("swapped", [False, True])
def test_an_offset_of_a_slot_scan_that_lies_sideways_grows_across_the_body_alone(
    tmp_path: Path, turned_deg: int, swapped: bool
) -> None:
    """A fan runs across the body: it magnifies the film's own axis that becomes the upright image's rows."""
    rng = np.random.default_rng(8)
    upright, other = (rng.integers(0, 60000, shape).astype(np.uint16) for shape in ((420, 310), (430, 290)))
    film = np.rot90(upright, turned_deg // 90)  # counter-clockwise, so that turning it clockwise sets it up
    spacing = (0.8, 0.9)
    down_mm, right_mm = -20.0, 7.0  # in the axes of the file
    for name, pixels in (("film", film), ("other", other)):
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / f"{name}.png")
    # The film is read as the AP; if both are exchanged, it is read as the lateral and becomes the AP.
    first, name = ("other", "lateral") if swapped else ("film", "ap")
    second = "film" if swapped else "other"
    options = GeometryOptions(
        preset="eos",
        pixel_spacing_mm=spacing,
        **{f"{name}_offset_mm": (down_mm, right_mm)},  # type: ignore[arg-type]
    )
    how = Arrangement(swapped=swapped, turn_ap=turned_deg)
    paths = str(tmp_path / f"{first}.png"), str(tmp_path / f"{second}.png")
    view = read_radiographs(*paths, options, how, clean=False).views.ap
    across = view.beam.sid_mm / view.beam.sad_mm
    assert across > 1.3
    expected = {  # (down, right) on the detector of the upright image
        0: (down_mm, right_mm * across),
        90: (right_mm, -down_mm * across),
        180: (-down_mm, -right_mm * across),
        270: (-right_mm, down_mm * across),
    }[turned_deg]
    assert view.detector.offset_mm == pytest.approx(expected)
    assert view.detector.shape == upright.shape


def test_the_view_in_a_file_that_lies_sideways_is_compared_along_the_file_s_axes() -> None:
    view = View(SlotScan(987.0, 1300.0), Detector(310, 420, (0.9, 0.8), (-26.34, 7.0)))
    stored = Radiograph(np.ones((310, 420), np.float32), None, metadata={VIEW_KEY: json.dumps(view_to_dict(view))})
    other = Radiograph(np.ones((430, 290), np.float32), (0.8, 0.8), RadiographHeader(sid_mm=1300.0, sad_mm=918.0))
    options = GeometryOptions(ap_offset_mm=(-20.0, 7.0))
    turned = pair_geometry(stored, other, options, None, Arrangement(turn_ap=90))
    assert not any("leave it out" in warning for warning in turned.warnings)
    assert turned.views.ap.detector.offset_mm == pytest.approx((-26.34, 7.0), abs=0.01)
    assert any("leave it out" in warning for warning in pair_geometry(stored, other, options).warnings)


def test_a_spacing_of_one_view_goes_before_its_header_and_its_file() -> None:
    stored = Radiograph(np.ones((140, 110), np.float32), None, metadata={VIEW_KEY: json.dumps(view_to_dict(AS_STORED))})
    header = Radiograph(np.ones((120, 100), np.float32), (0.3, 0.2), RadiographHeader(sid_mm=1350.0, sad_mm=900.0))
    geometry = pair_geometry(
        header, stored, GeometryOptions(ap_pixel_spacing_mm=(0.5, 0.6), lateral_pixel_spacing_mm=(1.3, 1.6))
    )
    assert geometry.views.ap.detector.pixel_spacing_mm == (0.5, 0.6)
    assert geometry.views.lateral.detector.pixel_spacing_mm == (1.3, 1.6)
    assert any("0.5 x 0.6 mm (given)" in note for note in geometry.notes)
    assert any("except the pixel spacing given" in note for note in geometry.notes)
    drawn = rendering_views(GeometryOptions(ap_pixel_spacing_mm=(0.5, 0.6)), (0.0, 0.0, 0.0))
    assert drawn.ap.detector.pixel_spacing_mm == (0.5, 0.6)
    assert drawn.lateral.detector.pixel_spacing_mm == c_arm().lateral.detector.pixel_spacing_mm


def test_a_place_that_contradicts_the_view_in_the_file_is_used_with_a_warning() -> None:
    stored = Radiograph(np.ones((140, 110), np.float32), None, metadata={VIEW_KEY: json.dumps(view_to_dict(AS_STORED))})
    ap = Radiograph(np.ones((120, 100), np.float32), (1.3, 1.2), RadiographHeader(sid_mm=1350.0, sad_mm=900.0))
    same = pair_geometry(ap, stored, GeometryOptions(lateral_offset_mm=(-30.1, 12.2), lateral_angle_deg=85.2))
    assert not any("leave it out" in warning for warning in same.warnings)  # as stored, at the isocentre: -30, 12
    other = pair_geometry(ap, stored, GeometryOptions(lateral_offset_mm=(-30.0, 22.0), lateral_angle_deg=90.0))
    told = [warning for warning in other.warnings if "written by TomoRay" in warning]
    assert len(told) == 2
    assert "-30 mm down and 22 mm right of the isocentre, but its file says -30 and 12 mm" in told[0]
    assert "90 deg, but its file says 85 deg" in told[1]
    assert other.views.lateral.gantry_angle_deg == 90.0
    assert other.views.lateral.detector.offset_mm == pytest.approx((-45.0, 33.0))


def test_the_distance_that_counts_is_that_to_the_plane_of_the_synthetic_ct() -> None:
    """A view about a point far from the cube: the network reads it in the plane through the cube's centre."""
    entry = find_model(None)
    low, high = entry.geometry_range["sad_mm"]
    pair = c_arm()
    far = Biplanar(dataclasses.replace(pair.ap, isocenter_mm=(0.0, -700.0, 0.0)), pair.lateral, (0.0, 0.0, 0.0))
    assert not any("trained on" in note and "SAD" in note for note in geometry_notes(pair, entry))
    assert f"AP: SAD 1700 mm; the model was trained on {low:.0f} to {high:.0f} mm." in geometry_notes(far, entry)
    beam = ConeBeam(high + 400.0, high + 700.0)
    near = View(beam, pair.ap.detector, isocenter_mm=(0.0, 500.0, 0.0))
    assert not any("SAD" in note for note in geometry_notes(Biplanar(near, pair.lateral, (0.0, 0.0, 0.0)), entry))


def test_an_angiographs_positioner_angles_are_used_and_named(tmp_path: Path) -> None:
    """Detector above a supine patient, 20 deg towards the left and 8 deg towards the head; lateral at the left."""
    rng = np.random.default_rng(2)
    for name, primary, secondary, orientation in (("ap", 20.0, 8.0, ["L", "F"]), ("lateral", 84.0, -3.0, ["P", "F"])):
        a_dataset(
            "1.2.840.10008.5.1.4.1.1.12.1",
            rng.integers(0, 4000, (210, 190)).astype(np.uint16),
            Modality="XA",
            ImagerPixelSpacing=[1.1, 1.3],
            DistanceSourceToDetector=1150,
            DistanceSourceToPatient=760,
            PositionerPrimaryAngle=primary,
            PositionerSecondaryAngle=secondary,
            PatientOrientation=orientation,
        ).save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)
    inputs = read_radiographs(str(tmp_path / "ap.dcm"), str(tmp_path / "lateral.dcm"), GeometryOptions(), Arrangement())
    for view, primary_deg, secondary_deg in ((inputs.views.ap, 20.0, 8.0), (inputs.views.lateral, 84.0, -3.0)):
        assert view.gantry_angle_deg == pytest.approx(primary_deg)  # the source opposite the detector, put opposite
        assert view.tilt_deg == pytest.approx(secondary_deg)
        assert view.beam == ConeBeam(760.0, 1150.0)
    ap = next(note for note in inputs.notes if note.startswith("AP: SID"))
    assert "angles gantry 20.0 tilt 8.0 roll 0.0 deg (header's positioner angles)" in ap
    assert any("AP: taken from behind" in note for note in inputs.notes)
    assert any("lateral: taken from the patient's right" in note for note in inputs.notes)


def test_an_image_with_a_matrix_is_not_mirrored_nor_the_ct_given_one() -> None:
    geometry = GeometryOptions(ap_matrix_file="a.txt", lateral_matrix_file="b.txt")
    with pytest.raises(InputError, match="no mirroring or turning with a projection matrix") as caught:
        SynthesisJob("out", ap="a.png", lateral="b.png", geometry=geometry, flip_lateral=True)
    assert caught.value.field == "flip_lateral"
    assert not SynthesisJob("out", ap="a.png", lateral="b.png", geometry=geometry).tries_arrangements
    with pytest.raises(InputError, match="no projection matrix of a radiograph with a CT"):
        rendering_views(geometry, (0.0, 0.0, 0.0))
