"""A study's scouts: found, read as three makes write them, and seen from where the tube was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from support.scout_studies import AXIS_MM, CONVENTIONS, GRID, MARK_MM, a_body, exact_view, write_study
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import SlotScan
from TomoRayLib.images.dicom.scouts import read_scout_study
from TomoRayLib.images.dicom.series import volume_of_files
from TomoRayLib.synthesis.inputs import SourceCT
from TomoRayLib.synthesis.scout_views import scout_inputs, scout_view, tube_side
from TomoRayLib.synthesis.settings import GeometryOptions

CENTER_MM = (18.0, -139.0, -570.0)
BEAM = SlotScan(570.0, 1040.0)


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_every_make_is_read_upright_and_in_its_place(tmp_path: Path, name: str) -> None:
    """The dense ball must be found where the exact view projects it, in mm of the patient."""
    write_study(tmp_path, CONVENTIONS[name])
    study = read_scout_study(tmp_path)
    assert len(study.ct) == GRID.size[2]
    for scout in (study.ap, study.lateral):
        row, column = np.unravel_index(scout.pixels.argmax(), scout.pixels.shape)
        view = exact_view(scout.role, 0, replace(BEAM, sid_mm=570.0), scout.pixels.shape, scout.spacing_mm)
        expected = view.project_points(np.array([MARK_MM]))[0]
        np.testing.assert_allclose((column, row), expected, atol=2.5)
        along = 0 if scout.role == "AP" else 1
        np.testing.assert_allclose(scout.middle_mm, (AXIS_MM[along], GRID.center_mm[2] + 9.0), atol=1e-6)
        assert scout.spacing_mm == pytest.approx(CONVENTIONS[name].spacing_mm)


@pytest.mark.parametrize("sides", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_the_side_of_the_tube_is_found_and_what_lies_in_the_middle_plane_keeps_its_place(
    tmp_path: Path, sides: tuple[int, int]
) -> None:
    write_study(tmp_path, sides=sides)
    study = read_scout_study(tmp_path)
    source = SourceCT(volume_of_files(study.ct, tmp_path))
    inputs = scout_inputs(study, source, GeometryOptions(isocenter_mm=CENTER_MM))
    assert inputs.views.isocenter_mm == CENTER_MM
    said = " ".join(inputs.notes)
    assert ("AP: tube behind" in said, "lateral: tube at the patient's right" in said) == (sides[0] == 1, sides[1] == 1)
    assert "(header)" in said
    for scout, view, side in ((study.ap, inputs.views.ap, sides[0]), (study.lateral, inputs.views.lateral, sides[1])):
        depth, along = (1, 0) if scout.role == "AP" else (0, 1)
        points = np.array([CENTER_MM] * 3)
        points[1, along] += 40.0
        points[2, 2] -= 55.0
        exact = exact_view(scout.role, side, replace(BEAM, sid_mm=570.0), scout.pixels.shape, scout.spacing_mm)
        expected = exact.project_points(points)
        if side:  # its columns run the other way
            expected[:, 0] = scout.pixels.shape[1] - 1 - expected[:, 0]
        np.testing.assert_allclose(view.project_points(points), expected, atol=1e-6)
        beyond = points.copy()
        beyond[:, depth] += 30.0
        mirrored = points.copy()  # near and far are exchanged about the plane if the source was put opposite
        mirrored[:, depth] += -30.0 if side else 30.0
        expected = exact.project_points(mirrored)
        if side:
            expected[:, 0] = scout.pixels.shape[1] - 1 - expected[:, 0]
        np.testing.assert_allclose(view.project_points(beyond), expected, atol=1e-6)


def test_distances_are_given_stated_by_the_ct_or_typical(tmp_path: Path) -> None:
    write_study(tmp_path, CONVENTIONS["uneven pixels"])
    study = read_scout_study(tmp_path)
    source = SourceCT(a_body())
    notes = " ".join(scout_inputs(study, source, GeometryOptions(isocenter_mm=CENTER_MM)).notes)
    assert notes.count("SID 1040 mm, SAD 570 mm (typical, not stated)") == 2
    given = scout_inputs(study, source, GeometryOptions(isocenter_mm=CENTER_MM, sad_mm=541.0, sid_mm=949.0))
    assert " ".join(given.notes).count("SAD 541 mm (given)") == 2
    study.ct[0].dataset.DistanceSourceToDetector, study.ct[0].dataset.DistanceSourceToPatient = 1085.6, 595.0
    notes = " ".join(scout_inputs(study, source, GeometryOptions(isocenter_mm=CENTER_MM)).notes)
    assert notes.count("SID 1086 mm, SAD 595 mm (header of the CT)") == 2


def test_distances_that_no_scanner_has_and_mixed_origins_are_told(tmp_path: Path) -> None:
    write_study(tmp_path, DistanceSourceToDetector=104, DistanceSourceToPatient=57)
    study, source = read_scout_study(tmp_path), SourceCT(a_body())
    with pytest.raises(InputError, match="expected an SAD of 300 to 900 mm, as CT scanners have, got 57 mm"):
        scout_inputs(study, source, GeometryOptions(isocenter_mm=CENTER_MM))
    given = scout_inputs(study, source, GeometryOptions(isocenter_mm=CENTER_MM, sad_mm=541.0, sid_mm=949.0))
    assert "SAD 541 mm (given)" in " ".join(given.notes)
    write_study(tmp_path / "other", CONVENTIONS["uneven pixels"], DistanceSourceToDetector=949)
    mixed = scout_inputs(read_scout_study(tmp_path / "other"), source, GeometryOptions(isocenter_mm=CENTER_MM))
    assert "SID 949 mm, SAD 570 mm (header; typical, not stated)" in " ".join(mixed.notes)


def test_of_several_cts_and_scouts_the_fitting_ones_are_taken(tmp_path: Path) -> None:
    """An odd localizer stops nothing, a larger CT of another frame is left, the later of two like scouts counts."""
    write_study(tmp_path, AcquisitionTime="100000")
    write_study(tmp_path / "again", roles=("AP",), AcquisitionTime="110000")
    for path in (tmp_path / "again" / "slices").iterdir():
        path.unlink()
    first = tmp_path / "scouts" / "AP.dcm"
    first.rename(tmp_path / "scouts" / "z.dcm")  # not chosen by its name
    colour = pydicom.dcmread(tmp_path / "scouts" / "z.dcm")
    colour.SamplesPerPixel, colour.PhotometricInterpretation, colour.PlanarConfiguration = 3, "RGB", 0
    colour.PixelData = colour.PixelData * 3
    colour.save_as(tmp_path / "scouts" / "colour.dcm")
    write_study(tmp_path / "moved", roles=())
    for number, path in enumerate(sorted((tmp_path / "moved" / "slices").iterdir())):
        dataset = pydicom.dcmread(path)
        dataset.FrameOfReferenceUID = "7.7"
        dataset.save_as(path)
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        dataset.ImagePositionPatient = [*dataset.ImagePositionPatient[:2], 500.0 + 4.0 * number]
        dataset.save_as(path.with_name(f"b{number}"))
    study = read_scout_study(tmp_path)
    assert study.ap.path == tmp_path / "again" / "scouts" / "AP.dcm"
    assert {one.path.parent for one in study.ct} == {tmp_path / "slices"}


@pytest.mark.parametrize(("photometric", "side"), [("MONOCHROME2", "below"), ("MONOCHROME1", "above")])
def test_padding_that_no_header_declares_is_found_and_a_dark_field_is_none(
    tmp_path: Path, photometric: str, side: str
) -> None:
    """Inverted on reading, the lowest value of a file is the brightest: no bone either."""
    write_study(tmp_path)
    path = read_scout_study(tmp_path).ap.path
    dataset = pydicom.dcmread(path)
    dataset.PhotometricInterpretation = photometric
    dataset.save_as(path)
    plain = read_scout_study(tmp_path).ap
    stored = dataset.pixel_array.copy()
    stored[:, :20], stored[:9] = -2048, -2048
    dataset.PixelRepresentation, dataset.PixelData = 1, stored.astype(np.int16).tobytes()
    dataset.save_as(plain.path)
    padded = read_scout_study(tmp_path).ap
    assert any(f"far {side} all others" in note for note in padded.notes)
    assert np.ptp(padded.pixels) == np.ptp(plain.pixels[9:, 20:])
    inner, right = padded.pixels[9:, 20:], plain.pixels[9:, 20:]
    np.testing.assert_array_equal(inner - inner.min(), right - right.min())
    assert (padded.pixels[:9] == inner.min()).all()
    assert not any(f"far {side}" in note for note in plain.notes)


def test_noise_is_not_inverted(tmp_path: Path) -> None:
    write_study(tmp_path)
    study, ct = read_scout_study(tmp_path), a_body()
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(size=study.ap.pixels.shape).astype(np.float32)
        assert not tube_side(replace(study.ap, pixels=noise), BEAM, AXIS_MM, ct).inverted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"roles": ("AP",)}, "got AP alone"),
        ({"roles": ("lateral",)}, "got lateral alone"),
        ({"roles": ()}, "got no scout"),
        ({"frame_of_scouts": "9.9"}, "another frame of reference"),
        ({"PatientID": "somebody else"}, "2 different Patient IDs"),
    ],
)
def test_a_study_that_lacks_something_is_refused_in_a_sentence(tmp_path: Path, changes: dict, said: str) -> None:
    write_study(tmp_path, **changes)
    with pytest.raises(InputError, match=said) as caught:
        read_scout_study(tmp_path)
    assert caught.value.field == "study"


def test_a_scout_of_another_patient_is_warned_of(tmp_path: Path) -> None:
    write_study(tmp_path)
    study = read_scout_study(tmp_path)
    other = replace(study, ap=replace(study.ap, pixels=np.ascontiguousarray(study.ap.pixels[::-1, ::-1])))
    inputs = scout_inputs(other, SourceCT(a_body()), GeometryOptions(isocenter_mm=CENTER_MM))
    assert any("AP: the scout AP.dcm hardly agrees" in warning for warning in inputs.warnings)
    assert not any("lateral: the scout" in warning for warning in inputs.warnings)


def test_a_dark_boned_scout_is_inverted(tmp_path: Path) -> None:
    write_study(tmp_path)
    study = read_scout_study(tmp_path)
    dark = replace(study, lateral=replace(study.lateral, pixels=500.0 - study.lateral.pixels))
    inputs = scout_inputs(dark, SourceCT(a_body()), GeometryOptions(isocenter_mm=CENTER_MM))
    assert any("lateral: inverted" in note for note in inputs.notes)
    straight = study.lateral.pixels - study.lateral.pixels.min()
    np.testing.assert_allclose(inputs.lateral - inputs.lateral.min(), straight, atol=1e-3)


def test_a_centre_that_a_scout_does_not_show_and_a_preset_are_refused(tmp_path: Path) -> None:
    write_study(tmp_path)
    study, source = read_scout_study(tmp_path), SourceCT(a_body())
    with pytest.raises(InputError, match="expected it to show the height -900 mm"):
        scout_inputs(study, source, GeometryOptions(isocenter_mm=(0.0, -140.0, -900.0)))
    with pytest.raises(InputError, match="no preset"):
        scout_inputs(study, source, GeometryOptions(preset="ct-scout"))
    with pytest.raises(InputError, match="offset or angle with a study"):
        scout_inputs(study, source, GeometryOptions(lateral_offset_mm=(-30.0, 0.0)))
    with pytest.raises(InputError, match="expected it to show the place across 300 mm"):
        scout_inputs(study, source, GeometryOptions(isocenter_mm=(300.0, -140.0, -570.0)))
    with pytest.raises(InputError, match="behind it"):
        scout_view(study.ap, BEAM, 0, AXIS_MM, (0.0, -800.0, -570.0))
