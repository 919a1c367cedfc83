"""3D pictures without OpenGL: what is to the left is at the right place, and hits lie on the surface."""

from __future__ import annotations

import numpy as np
import pytest

from TomoRayLib.geometry.beams import ParallelBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.images.surfaces import mask_field
from TomoRayLib.images.types import Volume
from TomoRayLib.report.color_maps import DIFFERENCE_COLORS, DISTANCE_COLORS
from TomoRayLib.report.slices import edges_of_axes
from TomoRayLib.report.surface_pictures import BONE_COLOR, VIEWPOINTS, Frame, Viewpoint, common_frame, first_hits, shade

ANTERIOR, LATERAL, OBLIQUE = VIEWPOINTS


def balls(grid: Grid, *balls_mm: tuple[tuple[float, float, float], float]) -> Volume:
    """A mask of balls: (center in LPS mm, radius in mm) each."""
    k, j, i = np.indices(grid.shape)
    world = (np.stack([i, j, k, np.ones_like(i)], axis=-1) @ grid.index_to_world.T)[..., :3]
    inside = [((world - center) ** 2).sum(axis=-1) <= radius**2 for center, radius in balls_mm]
    return Volume(np.any(inside, axis=0), grid)


def straight_grid() -> Grid:
    return Grid((60, 50, 40), (1.0, 1.2, 1.5), (-30.0, -30.0, -30.0))


def render(mask: Volume, viewpoint: Viewpoint, frame: Frame) -> np.ndarray:
    return shade(first_hits(mask_field(mask), viewpoint, frame), viewpoint, BONE_COLOR, frame.pixel_mm)


def middle_of_picture(alpha: np.ndarray, pixel_mm: float) -> tuple[float, float]:
    """(right, down) in mm of the covered pixels' middle from the picture's middle."""
    rows, columns = np.nonzero(alpha)
    return (
        float((columns.min() + columns.max() - alpha.shape[1] + 1) / 2 * pixel_mm),
        float((rows.min() + rows.max() - alpha.shape[0] + 1) / 2 * pixel_mm),
    )


def test_anterior_view_has_the_patients_left_at_image_right_and_superior_at_the_top() -> None:
    mask = balls(straight_grid(), ((10.0, 0.0, 8.0), 6.0))
    picture = render(mask, ANTERIOR, Frame((0.0, 0.0, 0.0), 60.0, 60.0))
    right_mm, down_mm = middle_of_picture(picture[..., 3] == 255, 0.5)
    assert right_mm == pytest.approx(10.0, abs=0.5)
    assert down_mm == pytest.approx(-8.0, abs=0.5)


def test_left_lateral_view_has_posterior_at_image_right() -> None:
    mask = balls(straight_grid(), ((0.0, 12.0, 0.0), 6.0))
    picture = render(mask, LATERAL, Frame((0.0, 0.0, 0.0), 60.0, 60.0))
    assert middle_of_picture(picture[..., 3] == 255, 0.5)[0] == pytest.approx(12.0, abs=0.5)


@pytest.mark.parametrize("viewpoint", VIEWPOINTS)
def test_axes_are_those_of_the_radiograph_of_the_same_angle(viewpoint: Viewpoint) -> None:
    view = View(ParallelBeam(), Detector(8, 8, (1.0, 1.0)), gantry_angle_deg=viewpoint.gantry_angle_deg)
    np.testing.assert_allclose(viewpoint.right, view.right, atol=1e-12)
    np.testing.assert_allclose(viewpoint.down, view.down, atol=1e-12)
    np.testing.assert_allclose(viewpoint.to_eye, view.to_source, atol=1e-12)


def test_letters_of_the_three_views() -> None:
    assert tuple(vars(edges_of_axes(ANTERIOR.right, ANTERIOR.down)).values()) == ("R", "L", "S", "I")
    assert tuple(vars(edges_of_axes(LATERAL.right, LATERAL.down)).values()) == ("A", "P", "S", "I")
    assert tuple(vars(edges_of_axes(OBLIQUE.right, OBLIQUE.down)).values()) == ("LA", "RP", "S", "I")


@pytest.mark.parametrize("viewpoint", VIEWPOINTS)
def test_hits_lie_on_the_sphere_towards_the_eye_on_any_grid(a_grid: Grid, viewpoint: Viewpoint) -> None:
    center = np.array((12.0, -25.0, 40.0))
    hits = first_hits(mask_field(balls(a_grid, (tuple(center), 12.0))), viewpoint, Frame(tuple(center), 40.0, 40.0))
    away = hits.points_mm - center
    radius = np.linalg.norm(away, axis=1)
    assert radius.mean() == pytest.approx(12.0, abs=0.35)
    assert np.abs(radius - 12.0).max() < 1.6  # voxels of 2 x 1 x 0.5 mm
    assert (away @ viewpoint.to_eye).min() > -2.0
    assert np.einsum("ij,ij->i", hits.normals, away / radius[:, None]).mean() > 0.95


def test_the_nearer_ball_hides_the_farther_one() -> None:
    mask = balls(straight_grid(), ((0.0, -15.0, 0.0), 6.0), ((0.0, 15.0, 0.0), 6.0))
    hits = first_hits(mask_field(mask), ANTERIOR, Frame((0.0, 0.0, 0.0), 40.0, 40.0))
    assert hits.points_mm[:, 1].max() < -8.0


def test_one_color_per_hit_comes_out_at_its_pixel() -> None:
    mask = balls(straight_grid(), ((0.0, 0.0, 0.0), 12.0))
    frame = Frame((0.0, 0.0, 0.0), 40.0, 40.0)
    hits = first_hits(mask_field(mask), ANTERIOR, frame)
    colors = np.where(hits.points_mm[:, :1] > 0, (255, 0, 0), (0, 0, 255)).astype(np.uint8)
    picture = shade(hits, ANTERIOR, colors, frame.pixel_mm)
    assert picture[40, 50, 0] > 100 > picture[40, 50, 2]  # patient's left, image right: red
    assert picture[40, 30, 2] > 100 > picture[40, 30, 0]


def test_empty_mask_gives_a_transparent_picture_and_a_frame() -> None:
    empty = balls(straight_grid(), ((500.0, 0.0, 0.0), 3.0))
    frame = common_frame([empty, None])
    picture = render(empty, ANTERIOR, frame)
    assert picture.shape == (*frame.shape, 4)
    assert not picture.any()
    with pytest.raises(ValueError, match="at least one mask"):
        common_frame([None])


def test_frame_holds_the_mask_from_every_camera() -> None:
    mask = balls(straight_grid(), ((20.0, 10.0, 15.0), 5.0), ((-20.0, -20.0, -20.0), 5.0))
    frame = common_frame([mask], margin_mm=2.0)
    for viewpoint in VIEWPOINTS:
        covered = render(mask, viewpoint, frame)[..., 3] > 0
        assert not covered[[0, -1]].any()
        assert not covered[:, [0, -1]].any()


def test_distance_colors_darken_with_distance_and_difference_colors_are_white_at_zero() -> None:
    lightness = DISTANCE_COLORS(np.linspace(0, 10, 20)).astype(float) @ (0.299, 0.587, 0.114)
    assert (np.diff(lightness) < 0).all()
    np.testing.assert_array_equal(DISTANCE_COLORS(np.inf), DISTANCE_COLORS(10.0))
    assert DIFFERENCE_COLORS(0.0).min() > 240
    low, high = DIFFERENCE_COLORS(-600.0), DIFFERENCE_COLORS(600.0)
    assert low[2] > low[0]  # blue: too little
    assert high[0] > high[2]  # red: too much
