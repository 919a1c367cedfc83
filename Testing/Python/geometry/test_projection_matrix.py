"""Projection matrices: which are accepted, which are refused, and the way to a view and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.projection_matrix import ProjectionMatrix
from TomoRayLib.geometry.view_json import view_from_dict, view_to_dict
from TomoRayLib.geometry.views import View

VIEW = View(
    ConeBeam(900.0, 1400.0), Detector(60, 80, (0.7, 1.3), (5.0, -9.0)), 25.0, 52.0, -7.0, isocenter_mm=(3.0, -4.0, 5.0)
)
POINTS = np.array([[0.0, 0.0, 0.0], [10.0, -20.0, 30.0], [-40.0, 15.0, 7.0]])


def camera(view: View = VIEW, scale: float = 1.0) -> ProjectionMatrix:
    return ProjectionMatrix(tuple((scale * view.projection_matrix()).ravel().tolist()), *view.shape)


@pytest.mark.parametrize("beam", [ConeBeam(900.0, 1400.0), ParallelBeam()])
@pytest.mark.parametrize("angles", [(0, 0, 0), (90, 0, 0), (25, 52, -7), (-140, -60, 170)])
def test_a_view_comes_back_from_its_matrix(beam: object, angles: tuple[float, float, float]) -> None:
    view = dataclasses.replace(VIEW, beam=beam, gantry_angle_deg=angles[0], tilt_deg=angles[1], roll_deg=angles[2])
    found = camera(view, 3.7).view(view.detector.pixel_spacing_mm, sad_mm=900.0)
    np.testing.assert_allclose(found.projection_matrix(), view.projection_matrix(), atol=1e-8)
    assert found.shape == view.shape
    if isinstance(beam, ConeBeam):
        np.testing.assert_allclose(found.source_mm, view.source_mm)
        assert found.detector.offset_mm == pytest.approx(view.detector.offset_mm)
        assert (found.gantry_angle_deg, found.tilt_deg, found.roll_deg) == pytest.approx(angles)


def test_a_matrix_knows_its_source_and_where_points_fall() -> None:
    np.testing.assert_allclose(camera(scale=-0.01 * -1).source_mm, VIEW.source_mm)
    np.testing.assert_allclose(camera().project_points(POINTS), VIEW.project_points(POINTS))
    np.testing.assert_allclose(camera().forward, -VIEW.to_source, atol=1e-12)


@pytest.mark.parametrize("beam", [ConeBeam(900.0, 1400.0), ParallelBeam(), SlotScan(900.0, 1400.0)])
def test_project_points_brings_each_pixel_back_to_itself(beam: object) -> None:
    view = dataclasses.replace(VIEW, beam=beam)
    pixels = view.pixel_positions_mm()
    columns, rows = np.meshgrid(np.arange(80), np.arange(60))
    found = view.project_points(pixels.reshape(-1, 3)).reshape(60, 80, 2)
    np.testing.assert_allclose(found[..., 0], columns, atol=1e-9)
    np.testing.assert_allclose(found[..., 1], rows, atol=1e-9)


@pytest.mark.parametrize("beam", [ConeBeam(900.0, 1400.0), ParallelBeam(), SlotScan(900.0, 1400.0)])
def test_the_pixel_map_projects_as_project_points_does(beam: object) -> None:
    view = dataclasses.replace(VIEW, beam=beam)
    column, row, across, along = view.pixel_map() @ np.append(POINTS, np.ones((len(POINTS), 1)), axis=1).T
    np.testing.assert_allclose(np.stack([column / across, row / along], axis=-1), view.project_points(POINTS))


def test_a_slot_scan_survives_json_and_has_no_matrix() -> None:
    view = dataclasses.replace(VIEW, beam=SlotScan(900.0, 1200.0))
    assert view_to_dict(view)["beam"] == {"kind": "slot", "sad_mm": 900.0, "sid_mm": 1200.0}
    assert view_from_dict(view_to_dict(view)) == view
    with pytest.raises(ValueError, match="no 3 x 4 matrix"):
        view.projection_matrix()
    with pytest.raises(ValueError, match="Slot scan: the detector must lie behind"):
        SlotScan(1200.0, 900.0)


SKEWED = camera().array + np.outer([1.0, 0, 0], 0.1 * camera().array[1])
MIRRORED = np.diag([-1.0, 1.0, 1.0]) @ camera().array + np.outer([79.0, 0, 0], camera().array[2])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((3, 4)), "rank below 3"),
        (np.ones((3, 4)), "rank below 3"),
        (camera().array[[0, 0, 2]], "rank below 3"),
        (np.eye(4), "must be 3 x 4"),
        (np.full((3, 4), np.nan), "finite"),
        (np.array([[1.0, 0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1.0]]), "rank below 3"),
    ],
)
def test_a_matrix_that_is_no_projection_is_refused(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProjectionMatrix(tuple(matrix.ravel().tolist()) if matrix.shape == (3, 4) else matrix, 60, 80)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("matrix", "spacing", "message"),
    [
        (SKEWED, (0.7, 1.3), "degrees between"),
        (MIRRORED, (0.7, 1.3), "mirrored"),
        (camera().array, (1.3, 0.7), "order"),
        (camera().array, (0.0, 0.7), "above 0"),
        (camera(dataclasses.replace(VIEW, beam=ParallelBeam())).array, (1.4, 2.6), "holds its pixel spacing"),
    ],
)
def test_what_a_view_cannot_say_is_refused(matrix: np.ndarray, spacing: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProjectionMatrix(tuple(matrix.ravel().tolist()), 60, 80).view(spacing, sad_mm=900.0)
