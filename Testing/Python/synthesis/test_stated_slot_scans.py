"""The geometry of slot scanners' DICOM files: a fan across, parallel along the body, spacing at the isocentre."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.dicom_files import a_radiograph_file
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ParallelBeam, SlotScan
from TomoRayLib.images.files import read_radiograph
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.stated_geometry import stated_geometry


@pytest.mark.parametrize(
    ("values", "is_slot"),
    [
        ({"DetectorConfiguration": "SLOT"}, True),
        ({"Manufacturer": "EOS imaging"}, True),
        ({"DetectorConfiguration": "AREA", "Manufacturer": "Geos"}, False),
    ],
)
def test_a_slot_scan_is_not_taken_for_rays_from_one_point(tmp_path: Path, values: dict, is_slot: bool) -> None:
    a_radiograph_file(tmp_path / "film.dcm", DistanceSourceToDetector=1300, DistanceSourceToPatient=987, **values)
    radiograph = read_radiograph(tmp_path / "film.dcm")
    beam = stated_geometry(radiograph, GeometryOptions()).beam
    assert (isinstance(beam, SlotScan), beam.sid_mm, beam.sad_mm) == (is_slot, 1300.0, 987.0)
    for preset in ("c-arm", "upright") if is_slot else ():
        with pytest.raises(InputError, match=rf"slot scan: .* got the preset {preset}: choose none, eos or") as caught:
            stated_geometry(radiograph, GeometryOptions(preset=preset))
        assert caught.value.field == "geometry"


SLOT_FILE = {  # stored with rows and columns exchanged: 0.48 mm from exposure to exposure, 0.5 mm along a fan
    "ImagerPixelSpacing": [0.5, 0.6],
    "PixelSpacing": [0.5, 0.48],
    "PatientOrientation": ["F", "L"],
    "DetectorConfiguration": "SLOT",
}


def test_a_slot_scans_spacing_is_that_at_the_isocentre(tmp_path: Path) -> None:
    """Down a column it is the same at the detector; along a row the fan magnifies it."""
    a_radiograph_file(tmp_path / "film.dcm", DistanceSourceToDetector=1300, DistanceSourceToPatient=1000, **SLOT_FILE)
    stated = stated_geometry(read_radiograph(tmp_path / "film.dcm"), GeometryOptions())
    assert stated.beam == SlotScan(1000.0, 1300.0)
    assert stated.pixel_spacing_mm == pytest.approx((0.48, 0.65))
    assert "at the isocentre" in stated.spacing_origin


def test_a_slot_scan_without_distances_takes_those_of_the_preset_that_the_user_chose(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "film.dcm", **SLOT_FILE)
    radiograph = read_radiograph(tmp_path / "film.dcm")
    with pytest.raises(InputError, match=r"SAD and SID of a slot scan .* states the SID; give it, or .* eos") as caught:
        stated_geometry(radiograph, GeometryOptions())
    assert caught.value.field == "sid_mm"
    for preset, nominal_deg, beam in (
        ("eos", 0.0, SlotScan(987.0, 1300.0)),
        ("eos", 90.0, SlotScan(918.0, 1300.0)),
        ("ct-scout", 90.0, SlotScan(570.0, 1040.0)),
    ):
        stated = stated_geometry(radiograph, GeometryOptions(preset=preset), nominal_deg)
        assert (stated.beam, stated.sad_origin) == (beam, "preset")
    given = stated_geometry(radiograph, GeometryOptions(sad_mm=900.0, sid_mm=1200.0))
    assert (given.beam, given.sid_origin) == (SlotScan(900.0, 1200.0), "given")


def test_one_distance_of_a_slot_scan_brings_the_presets_magnification_with_it(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "film.dcm", DistanceSourceToDetector=1040, **SLOT_FILE)
    stated = stated_geometry(read_radiograph(tmp_path / "film.dcm"), GeometryOptions(preset="eos"))
    assert (type(stated.beam), stated.beam.sid_mm) == (SlotScan, 1040.0)
    assert stated.beam.sad_mm == pytest.approx(1040.0 * 987 / 1300)
    assert (stated.sid_origin, stated.sad_origin) == ("header", "preset, scaled to the SID")


def test_what_the_header_of_a_slot_scan_cannot_mean_is_refused_as_of_a_cone(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "film.dcm", DistanceSourceToDetector=1300, DistanceSourceToPatient=30, **SLOT_FILE)
    radiograph = read_radiograph(tmp_path / "film.dcm")
    for preset in (None, "eos"):
        with pytest.raises(InputError) as caught:
            stated_geometry(radiograph, GeometryOptions(preset=preset))
        assert caught.value.field == "sad_mm"
    assert stated_geometry(radiograph, GeometryOptions(preset="parallel")).beam == ParallelBeam()


def test_the_spacing_of_an_ordinary_file_stays_that_at_the_detector_with_a_slot_preset(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "film.dcm", ImagerPixelSpacing=[0.5, 0.5])
    stated = stated_geometry(read_radiograph(tmp_path / "film.dcm"), GeometryOptions(preset="eos"))
    assert (stated.beam, stated.pixel_spacing_mm) == (SlotScan(987.0, 1300.0), (0.5, 0.5))


def test_a_slot_scan_goes_on_with_parallel_beams_that_the_user_chose(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "film.dcm", DistanceSourceToDetector=1300, DistanceSourceToPatient=987, **SLOT_FILE)
    stated = stated_geometry(read_radiograph(tmp_path / "film.dcm"), GeometryOptions(preset="parallel"))
    assert (stated.beam, stated.pixel_spacing_mm) == (ParallelBeam(), (0.48, 0.5))
    assert any("SLOT, a slot scan" in text and "taken as parallel rays" in text for text in stated.warnings)
    given = GeometryOptions(preset="parallel", pixel_spacing_mm=(0.4, 0.4))
    assert stated_geometry(read_radiograph(tmp_path / "film.dcm"), given).pixel_spacing_mm == (0.4, 0.4)
