"""Where a radiograph's geometry comes from: options, file, header, preset; in that order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.presets import c_arm, orthogonal_pair, upright_stand
from TomoRayLib.geometry.view_json import view_to_dict
from TomoRayLib.images.types import Radiograph, RadiographHeader
from TomoRayLib.synthesis.acquisition import oriented, radiograph_views, rendering_views
from TomoRayLib.synthesis.geometry_files import read_views, views_to_dict
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.trained_range import geometry_notes
from TomoRayLib.weights import find_model


def a_radiograph(shape: tuple[int, int] = (120, 100), **header: object) -> Radiograph:
    return Radiograph(np.ones(shape, np.float32), (0.3, 0.2), RadiographHeader(**header))  # type: ignore[arg-type]


def test_rendering_takes_the_c_arm_about_the_given_isocenter() -> None:
    assert rendering_views(GeometryOptions(), (1.0, 2.0, 3.0)) == c_arm((1.0, 2.0, 3.0))


def test_rendering_follows_every_number_the_user_gives() -> None:
    options = GeometryOptions(
        sad_mm=900, sid_mm=1200, size=(200, 300), pixel_spacing_mm=(0.5, 0.6), isocenter_mm=(7, 8, 9)
    )
    pair = rendering_views(options, (1.0, 2.0, 3.0))
    for view in (pair.ap, pair.lateral):
        assert view.beam == ConeBeam(900.0, 1200.0)
        assert (view.detector.rows, view.detector.columns) == (200, 300)
        assert view.detector.pixel_spacing_mm == (0.5, 0.6)
        assert view.isocenter_mm == (7, 8, 9)
    assert (pair.ap.gantry_angle_deg, pair.lateral.gantry_angle_deg) == (0, 90)


def test_the_header_comes_before_the_preset_and_the_option_before_both() -> None:
    radiograph = a_radiograph(sid_mm=1800.0, sad_mm=1500.0)
    pair, notes = radiograph_views(radiograph, a_radiograph(), GeometryOptions(sad_mm=1450.0, preset="upright"))
    assert pair.ap.beam == ConeBeam(1450.0, 1800.0)
    assert pair.ap.detector.pixel_spacing_mm == (0.3, 0.2)
    assert pair.ap.detector.shape == (120, 100)
    assert "SID 1800 mm (header)" in notes[0]
    assert "SAD 1450 mm (given)" in notes[0]


def test_the_magnification_of_the_header_gives_the_sad() -> None:
    pair, _ = radiograph_views(a_radiograph(sid_mm=1800.0, magnification=1.25), a_radiograph(), GeometryOptions())
    assert pair.ap.beam == ConeBeam(1440.0, 1800.0)


def test_a_spacing_calibrated_at_the_patient_is_taken_to_the_detector() -> None:
    radiograph = a_radiograph(sid_mm=1500.0, sad_mm=1000.0, spacing_calibration="FIDUCIAL")
    pair, notes = radiograph_views(radiograph, a_radiograph(), GeometryOptions())
    assert pair.ap.detector.pixel_spacing_mm == pytest.approx((0.45, 0.3))
    assert "times the magnification" in notes[0]


def test_a_radiograph_without_spacing_asks_for_it() -> None:
    bare = Radiograph(np.ones((100, 100), np.float32))
    with pytest.raises(InputError, match="expected a pixel spacing"):
        radiograph_views(bare, a_radiograph(), GeometryOptions())


def test_an_offset_and_an_angle_that_the_user_gives_move_the_image_from_the_isocentre() -> None:
    """A lateral taken 30 mm higher, 12 mm further back: it shows the isocentre 30 mm below its middle, 12 mm left."""
    options = GeometryOptions(
        sid_mm=1500.0, sad_mm=1000.0, lateral_offset_mm=(-30.0, 12.0), lateral_angle_deg=83.0, ap_angle_deg=-2.0
    )
    pair, notes = radiograph_views(a_radiograph(), a_radiograph(), options)
    assert (pair.ap.gantry_angle_deg, pair.lateral.gantry_angle_deg) == (-2.0, 83.0)
    row_mm, column_mm = (value / 1.5 for value in pair.lateral.detector.pixel_spacing_mm)
    column, row = pair.lateral.project_points(np.array([pair.isocenter_mm]))[0]
    rows, columns = pair.lateral.detector.shape
    assert (row - (rows - 1) / 2) * row_mm == pytest.approx(30.0)
    assert (column - (columns - 1) / 2) * column_mm == pytest.approx(-12.0)
    assert pair.ap.detector.offset_mm == (0.0, 0.0)
    assert any("lateral: image -30 mm down, 12 mm right of the isocentre (given)" in note for note in notes)
    assert any("AP: gantry angle -2 deg (given)" in note for note in notes)


def test_a_centre_in_a_geometry_file_is_kept_and_goes_with_no_isocentre(tmp_path: Path) -> None:
    pair = upright_stand((1.0, 2.0, 3.0))
    apart = replace(pair, lateral=pair.lateral.moved_to((4.0, 2.0, 33.0)), center_mm=(0.0, 1.0, 2.0))
    path = tmp_path / "views.json"
    path.write_text(json.dumps(views_to_dict(apart)))
    assert rendering_views(GeometryOptions(file=str(path)), (9.0, 9.0, 9.0)) == apart
    moved = apart.moved_to((10.0, 1.0, 2.0))
    assert (moved.isocenter_mm, moved.lateral.isocenter_mm) == ((10.0, 1.0, 2.0), (14.0, 2.0, 33.0))
    with pytest.raises(InputError, match="leave the isocentre out"):
        rendering_views(GeometryOptions(file=str(path), isocenter_mm=(0.0, 0.0, 0.0)), (9.0, 9.0, 9.0))


def test_a_view_stored_in_the_file_is_used_as_it_is() -> None:
    pair = upright_stand((1.0, 2.0, 3.0))
    images = [
        Radiograph(
            np.ones(view.detector.shape, np.float32),
            (1.0, 1.0),
            metadata={"TomoRay.view": json.dumps(view_to_dict(view))},
        )
        for view in (pair.ap, pair.lateral)
    ]
    assert radiograph_views(*images, GeometryOptions())[0] == pair


def test_a_stored_view_of_another_size_is_refused() -> None:
    view = upright_stand().ap
    image = Radiograph(
        np.ones((99, 99), np.float32), (1.0, 1.0), metadata={"TomoRay.view": json.dumps(view_to_dict(view))}
    )
    with pytest.raises(InputError, match=r"384 x 384 pixels.* got 99 x 99"):
        radiograph_views(image, image, GeometryOptions())


def test_a_geometry_file_is_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "views.json"
    path.write_text(json.dumps(views_to_dict(upright_stand())))
    assert read_views(str(path)) == upright_stand()


@pytest.mark.parametrize("text", ["{", "{}", '{"ap": 1, "lateral": 2}', "[]"])
def test_a_broken_geometry_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "views.json"
    path.write_text(text)
    with pytest.raises(InputError, match="'ap' and 'lateral'"):
        read_views(str(path))


def test_an_unknown_geometry_is_neither_preset_nor_file() -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_views("c-arms")
    with pytest.raises(InputError, match="c-arm"):
        GeometryOptions(preset="c-arms")


def test_a_parallel_beam_takes_no_distances() -> None:
    assert isinstance(rendering_views(GeometryOptions(preset="parallel"), (0, 0, 0)).ap.beam, ParallelBeam)
    with pytest.raises(InputError, match="neither SAD nor SID"):
        rendering_views(GeometryOptions(preset="parallel", sad_mm=1000), (0, 0, 0))


@pytest.mark.parametrize(
    "values", [{"sad_mm": 1600.0, "sid_mm": 1000.0}, {"sad_mm": -5.0}, {"sad_mm": 0.0}, {"pixel_spacing_mm": (0, 1)}]
)
def test_impossible_numbers_are_refused_with_a_sentence(values: dict) -> None:
    with pytest.raises(InputError):
        rendering_views(GeometryOptions(**values), (0, 0, 0))


def test_mirroring_and_inverting_are_what_they_say() -> None:
    pixels = np.array([[0.0, 1.0, 5.0]], np.float32)
    view = c_arm().ap
    np.testing.assert_array_equal(oriented(pixels, view, True, False)[0], [[5, 1, 0]])
    np.testing.assert_array_equal(oriented(pixels, view, False, True)[0], [[5, 4, 0]])


def test_options_and_the_files_own_isocenter_hold_with_a_geometry_file(tmp_path: Path) -> None:
    path = tmp_path / "views.json"
    path.write_text(json.dumps(views_to_dict(upright_stand((1.0, 2.0, 3.0)))))
    pair = rendering_views(GeometryOptions(file=str(path), sad_mm=900, size=(50, 60)), (9.0, 9.0, 9.0))
    assert pair.ap.beam == ConeBeam(900.0, 1800.0)
    assert pair.lateral.detector.shape == (50, 60)
    assert pair.isocenter_mm == (1.0, 2.0, 3.0)


def test_a_radiograph_takes_no_size() -> None:
    with pytest.raises(InputError, match="size"):
        radiograph_views(a_radiograph(), a_radiograph(), GeometryOptions(size=(10, 10)))


def test_a_slot_scan_can_be_rendered_with_other_distances_and_is_new_to_a_model_without_it(tmp_path: Path) -> None:
    path = tmp_path / "eos.json"
    path.write_text(json.dumps(views_to_dict(orthogonal_pair(SlotScan(987.0, 1300.0), Detector(400, 300, (0.5, 0.7))))))
    pair = rendering_views(GeometryOptions(file=str(path), sid_mm=1400.0), (0.0, 0.0, 0.0))
    assert pair.lateral.beam == SlotScan(987.0, 1400.0)
    entry = find_model(None)
    unseen = replace(entry, geometry_range={"sad_mm": [850.0, 1600.0], "angle_sd_deg": 3.0})
    assert sum("trained on cone and parallel beams alone" in note for note in geometry_notes(pair, unseen)) == 2
    known = replace(entry, geometry_range={**unseen.geometry_range, "slot_sad_mm": [540.0, 1100.0]})
    assert not any("slot" in note for note in geometry_notes(pair, known))
    nearer = replace(known, geometry_range={**unseen.geometry_range, "slot_sad_mm": [540.0, 900.0]})
    assert sum("SAD 987 mm; of slot scans" in note for note in geometry_notes(pair, nearer)) == 2
