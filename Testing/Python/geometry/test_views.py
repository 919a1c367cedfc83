"""Grids, detectors, beams and views: conventions pinned on lopsided, oblique data."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import (
    PRESETS,
    Biplanar,
    ConeBeam,
    Detector,
    ParallelBeam,
    View,
    c_arm,
    view_from_dict,
    view_to_dict,
)

OBLIQUE = tuple(Rotation.from_euler("xyz", (20, -30, 50), degrees=True).as_matrix().ravel().tolist())


def a_lopsided_grid() -> Grid:
    return Grid((3, 5, 7), (2.0, 1.0, 0.5), (10.0, -20.0, 30.0), OBLIQUE)


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


def test_index_to_world_steps_along_each_direction_by_its_spacing() -> None:
    grid = a_lopsided_grid()
    step = grid.index_to_world @ (1, 2, 3, 1) - grid.index_to_world @ (0, 0, 0, 1)
    columns = np.asarray(OBLIQUE).reshape(3, 3)
    expected = columns[:, 0] * 2.0 * 1 + columns[:, 1] * 1.0 * 2 + columns[:, 2] * 0.5 * 3
    np.testing.assert_allclose(step[:3], expected, atol=1e-12)


def test_world_to_index_undoes_index_to_world() -> None:
    grid = a_lopsided_grid()
    np.testing.assert_allclose(grid.world_to_index @ grid.index_to_world, np.eye(4), atol=1e-12)


def test_shape_is_size_in_reverse() -> None:
    assert a_lopsided_grid().shape == (7, 5, 3)


def test_a_cube_has_its_outer_faces_a_field_of_view_apart() -> None:
    cube = Grid.cube((1.0, 2.0, 3.0), 256.0, 192)
    corners = cube.corners_mm()
    np.testing.assert_allclose(corners.min(axis=0), (1 - 128, 2 - 128, 3 - 128))
    np.testing.assert_allclose(corners.max(axis=0), (1 + 128, 2 + 128, 3 + 128))
    np.testing.assert_allclose(cube.center_mm, (1, 2, 3))


def test_left_handed_directions_are_a_valid_grid() -> None:
    assert Grid((2, 2, 2), (1, 1, 1), (0, 0, 0), (-1, 0, 0, 0, 1, 0, 0, 0, 1)).is_left_handed
    assert not a_lopsided_grid().is_left_handed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (0, 5, 7)}, "whole numbers of at least 1"),
        ({"size": (3.5, 5, 7)}, "whole numbers of at least 1"),
        ({"spacing_mm": (1, 0, 1)}, "above 0"),
        ({"spacing_mm": (1, -1, 1)}, "above 0"),
        ({"origin_mm": (0, float("nan"), 0)}, "finite"),
        ({"direction": (1, 0.2, 0, 0, 1, 0, 0, 0, 1)}, "orthonormal"),
        ({"direction": (1, 0, 0)}, "9 finite numbers"),
    ],
)
def test_an_impossible_grid_is_refused_with_a_sentence(changes: dict, message: str) -> None:
    values = {"size": (3, 5, 7), "spacing_mm": (1, 1, 1), **changes}
    with pytest.raises(ValueError, match=message):
        Grid(**values)


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


def test_a_detector_in_front_of_the_isocenter_is_refused() -> None:
    with pytest.raises(ValueError, match="swapped"):
        ConeBeam(1536.0, 1000.0)


@pytest.mark.parametrize("bad", [{"rows": 0}, {"pixel_spacing_mm": (0.0, 0.14)}, {"pixel_spacing_mm": (0.14,)}])
def test_an_impossible_detector_is_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match="Detector"):
        Detector(**{"rows": 4, "columns": 4, "pixel_spacing_mm": (1.0, 1.0), **bad})


def test_a_pair_with_two_isocenters_is_refused() -> None:
    pair = c_arm()
    with pytest.raises(ValueError, match="share one isocentre"):
        Biplanar(pair.ap, pair.lateral.moved_to((0.0, 0.0, 9.0)))


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_sees_the_whole_256_mm_cube(name: str) -> None:
    pair = PRESETS[name]()
    corners = np.concatenate([Grid.cube((0, 0, 0), 256.0, 192).corners_mm(), np.ones((8, 1))], axis=1)
    for view in (pair.ap, pair.lateral):
        x, y, w = view.projection_matrix() @ corners.T
        assert (x / w).min() >= -0.5
        assert (x / w).max() <= view.detector.columns - 0.5
        assert (y / w).min() >= -0.5
        assert (y / w).max() <= view.detector.rows - 0.5


@pytest.mark.parametrize("view", [a_lopsided_view(), c_arm().lateral, PRESETS["parallel"]().ap])
def test_a_view_survives_json(view: View) -> None:
    assert view_from_dict(json.loads(json.dumps(view_to_dict(view)))) == view


@pytest.mark.parametrize("broken", [{}, {"beam": {"kind": "fan"}, "detector": {}}, {"beam": {"kind": "cone"}, "x": 1}])
def test_a_broken_view_is_refused(broken: dict) -> None:
    with pytest.raises(ValueError, match="beam"):
        view_from_dict(broken)
