"""Views: conventions pinned on lopsided, oblique data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.geometry.views import Biplanar, View


def a_lopsided_view(**changes: object) -> View:
    view = View(
        ConeBeam(900.0, 1400.0),
        Detector(60, 80, (0.7, 1.3), (5.0, -9.0)),
        25.0,
        12.0,
        -7.0,
        isocenter_mm=(3.0, -4.0, 5.0),
    )
    return dataclasses.replace(view, **changes)  # type: ignore[arg-type]


def test_ap_has_the_source_in_front_and_the_patients_left_at_image_right() -> None:
    view = c_arm().ap
    np.testing.assert_allclose(view.to_source, (0, -1, 0))
    np.testing.assert_allclose(view.right, (1, 0, 0))
    np.testing.assert_allclose(view.down, (0, 0, -1))


def test_lateral_has_the_source_at_the_left_and_posterior_at_image_right() -> None:
    view = c_arm().lateral
    np.testing.assert_allclose(view.to_source, (1, 0, 0))
    np.testing.assert_allclose(view.right, (0, 1, 0))
    np.testing.assert_allclose(view.down, (0, 0, -1))


@pytest.mark.parametrize("beam", [ConeBeam(900.0, 1400.0), ParallelBeam()])
def test_the_projection_matrix_brings_each_pixel_position_back_to_its_pixel(beam: object) -> None:
    view = a_lopsided_view(beam=beam)
    positions = view.pixel_positions_mm()
    points = np.concatenate([positions, np.ones((*positions.shape[:2], 1))], axis=-1) @ view.projection_matrix().T
    columns, rows = np.meshgrid(np.arange(80), np.arange(60))
    np.testing.assert_allclose(points[..., 0] / points[..., 2], columns, atol=1e-9)
    np.testing.assert_allclose(points[..., 1] / points[..., 2], rows, atol=1e-9)


def test_the_isocenter_lands_on_the_detectors_middle_less_its_offset() -> None:
    view = a_lopsided_view()
    column, row, depth = view.projection_matrix() @ (3.0, -4.0, 5.0, 1.0)
    assert depth == pytest.approx(900.0)
    assert column / depth == pytest.approx((80 - 1) / 2 - (-9.0) / 1.3)
    assert row / depth == pytest.approx((60 - 1) / 2 - 5.0 / 0.7)


def test_tilt_moves_the_source_towards_the_head_and_roll_turns_clockwise() -> None:
    assert a_lopsided_view(tilt_deg=30.0).to_source[2] == pytest.approx(0.5)
    rolled = a_lopsided_view(gantry_angle_deg=0.0, tilt_deg=0.0, roll_deg=90.0)
    np.testing.assert_allclose(rolled.right, (0, 0, -1), atol=1e-12)  # what was right now points down


def test_a_pair_with_two_isocenters_is_refused() -> None:
    pair = c_arm()
    with pytest.raises(InputError, match="share one isocentre"):
        Biplanar(pair.ap, pair.lateral.moved_to((0.0, 0.0, 9.0)))


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"tilt_deg": 90.0}, "tilt_deg", "tilt must lie between -90 and 90 degrees; got 90.0"),
        ({"gantry_angle_deg": float("nan")}, "angles_deg", "gantry angle in degrees must be a finite number; got nan"),
        ({"isocenter_mm": (0.0, 1.0)}, "isocenter_mm", "isocentre .* must be 3 finite numbers"),
    ],
)
def test_an_impossible_pose_is_refused_with_its_setting(change: dict, field: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        a_lopsided_view(**change)
    assert raised.value.field == field
