"""Curves of the spine: the Cobb angle drawn is the phantom's, endplates tilt with the course, nothing tears."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from support.curves import cobb_angle_deg
from support.phantoms import BODY, STILL, a_spine_of_blocks, axes_mm
from TomoRayLib.training.phantoms.curvature import RIGID_MM, curve_of_angle, random_curves, straightened
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import Scene, SceneSize, compose_scene

TALL = SceneSize(right_left_mm=100.0, anterior_mm=60.0, posterior_mm=60.0, height_mm=304.0, spacing_mm=2.0)


def test_the_cobb_angle_of_an_arc_is_the_angle_between_its_ends() -> None:
    """An arc of radius 200 mm from -0.4 to 0.3 rad; heights that are not evenly spaced."""
    angle = np.linspace(-0.4, 0.3, 400)
    assert cobb_angle_deg(200 * np.sin(angle), 200 * np.cos(angle)) == pytest.approx(np.rad2deg(0.7), abs=0.3)
    tilted = np.arange(0, 100.0)
    assert cobb_angle_deg(tilted, 0.5 * tilted) == pytest.approx(0.0, abs=1e-9)


def test_a_course_that_is_no_course_is_refused() -> None:
    with pytest.raises(ValueError, match="Sort the course by height"):
        cobb_angle_deg(np.array([2.0, 1.0, 0.0]), np.zeros(3))
    with pytest.raises(ValueError, match="got 3 and 2"):
        cobb_angle_deg(np.array([0.0, 1.0, 2.0]), np.zeros(2))


@pytest.mark.parametrize(
    ("cobb", "apex", "half", "s_shaped"), [(60, 31, 67, False), (-35, -20, 70, False), (45, 8, 60, True)]
)
def test_a_curve_has_the_cobb_angle_asked_for(cobb: float, apex: float, half: float, s_shaped: bool) -> None:
    curve = curve_of_angle(cobb, apex, half, s_shaped)
    seen = np.abs(curve.z_mm) <= 130
    assert cobb_angle_deg(curve.z_mm[seen], curve.offset_mm[seen]) == pytest.approx(abs(cobb), abs=0.5)
    turns = np.sum(np.abs(np.diff(np.sign(np.diff(curve.tilt_rad)))) > 1)
    assert turns == (3 if s_shaped else 2)
    assert np.interp(0.0, curve.z_mm, curve.offset_mm) == pytest.approx(0.0, abs=1e-9)
    length = np.sum(np.hypot(np.diff(curve.z_mm), np.diff(curve.offset_mm)))
    assert curve.length_mm[-1] - curve.length_mm[0] == pytest.approx(length, rel=1e-4)
    if not s_shaped:
        side = np.sign(np.interp(apex, curve.z_mm, curve.offset_mm) - curve.offset_mm[[0, -1]])
        assert (side == np.sign(cobb)).all()


def points_on(curve_x: np.ndarray, z_mm: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([curve_x, np.zeros_like(z_mm), z_mm], axis=-1))


def test_the_course_itself_is_straightened_and_keeps_its_length() -> None:
    curve = curve_of_angle(55.0, 20.0, 80.0)
    straight = straightened(points_on(curve.offset_mm, curve.z_mm), curve, None).numpy()
    np.testing.assert_allclose(straight[:, :2], 0.0, atol=1e-6)
    np.testing.assert_allclose(straight[:, 2], curve.length_mm, atol=1e-6)


def test_a_perpendicular_of_the_course_becomes_level() -> None:
    """20 mm to either side of the course, at right angles to it: an endplate. It is level in the straight phantom."""
    curve = curve_of_angle(-50.0, -25.0, 70.0)
    inside = np.abs(curve.z_mm) < 150
    x, z, tilt = curve.offset_mm[inside], curve.z_mm[inside], curve.tilt_rad[inside]
    for side in (-20.0, 20.0):
        ends = torch.from_numpy(np.stack([np.zeros_like(x), x + side * np.cos(tilt), z - side * np.sin(tilt)], axis=-1))
        straight = straightened(ends, None, curve).numpy()
        np.testing.assert_allclose(straight[:, 2], curve.length_mm[inside], atol=0.7)
        np.testing.assert_allclose(straight[:, 1], side, atol=1.0)


@pytest.mark.parametrize(("s_shaped", "half_mm"), [(False, 84.0), (True, 57.0)])
def test_the_sharpest_curve_tears_nothing(s_shaped: bool, half_mm: float) -> None:
    """Neighbouring places stay neighbours in the same order: the Jacobian is positive all over a scene."""
    axes = [torch.arange(-n, n + 1, 6, dtype=torch.float64) for n in (150, 180, 190)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    points = torch.stack([x, y, z], dim=-1)
    moved = straightened(points, curve_of_angle(60.0, 45.0, half_mm, s_shaped), curve_of_angle(-30.0, -45.0, 45.0))
    steps = [torch.diff(moved, dim=axis)[: len(z) - 1, : z.shape[1] - 1, : z.shape[2] - 1] / 6.0 for axis in (2, 1, 0)]
    determinant = torch.linalg.det(torch.stack(steps, dim=-1))
    assert float(determinant.min()) > 0.15
    assert float(determinant.max()) < 4.0


def test_drawn_curves_stay_within_what_does_not_tear_and_both_shapes_and_sides_are_drawn() -> None:
    ranges = PhantomRanges(scoliosis_share=1.0, sagittal_share=0.5)
    signs, shapes, missing = set(), set(), 0
    for seed in range(60):
        coronal, sagittal = random_curves(np.random.default_rng(seed), ranges)
        assert coronal is not None
        assert 10 - 0.5 < cobb_angle_deg(coronal.z_mm, coronal.offset_mm) < 75  # an S may have its end out of view
        assert np.abs(np.gradient(coronal.tilt_rad, coronal.z_mm)).max() * RIGID_MM < 0.75
        signs.add(float(np.sign(coronal.tilt_rad[np.abs(coronal.tilt_rad).argmax()])))
        shapes.add(int(np.sum(np.abs(np.diff(np.sign(coronal.tilt_rad[np.abs(coronal.tilt_rad) > 0.01]))) > 1)))
        missing += sagittal is None
    assert {1, 2} <= shapes
    assert signs == {-1.0, 1.0}
    assert 15 < missing < 45
    assert random_curves(np.random.default_rng(0), PhantomRanges(scoliosis_share=0.0, sagittal_share=0.0)) == (
        None,
        None,
    )


def test_in_a_scoliosis_spinous_processes_turn_to_the_concave_side() -> None:
    curve = curve_of_angle(60.0, 0.0, 84.0)  # convex to the left (+x)
    apex = np.interp(0.0, curve.z_mm, curve.offset_mm)
    behind = torch.tensor(
        [[apex, 40.0, 0.0]], dtype=torch.float64
    )  # right behind the course: that tissue was to the left
    assert float(straightened(behind, curve, None)[0, 0]) > 5.0


def tilts_deg(scene: Scene) -> np.ndarray:
    """Tilt of each block of a phantom in the coronal plane, from its upper face, cranial first; x over z."""
    x, y, z = (axis.ravel() for axis in axes_mm(scene))
    plane = scene.occupancy.numpy()[:, np.abs(y + 8).argmin(), :] / 255.0
    labels, count = ndimage.label(plane > 0.5)
    tilts = []
    for number in range(1, count + 1):
        rows, columns = np.nonzero(labels == number)
        touches = rows.max() == len(z) - 1 or rows.min() == 0
        if len(rows) < 60 or touches:
            continue
        tops = np.array([[x[c], z[rows[columns == c].max()]] for c in np.unique(columns)])
        inner = tops[np.abs(tops[:, 0] - np.median(tops[:, 0])) < 18]
        tilts.append(np.rad2deg(np.arctan(-np.polyfit(*inner.T, 1)[0])))
    return np.array(tilts)


@pytest.mark.parametrize(("cobb", "s_shaped"), [(50.0, 0.0), (40.0, 1.0)])
def test_a_phantoms_endplates_show_the_cobb_angle_that_was_drawn(cobb: float, s_shaped: float) -> None:
    """Measured as on a radiograph, between the endplates that tilt most: somewhat less than the course's own, because
    six vertebrae seldom lie where it tilts most."""
    ranges = dataclasses.replace(STILL, scoliosis_share=1.0, scoliosis_cobb_deg=(cobb, cobb), s_shaped_share=s_shaped)
    spine, shown = a_spine_of_blocks(), []
    for seed in range(4):
        scene = compose_scene(spine, BODY, np.random.default_rng(seed), TALL, ranges)
        tilts = tilts_deg(scene)
        shown.append(float(np.ptp(tilts)))
    assert max(shown) == pytest.approx(cobb, abs=6.0)
    assert max(shown) < cobb + 5.0
    straight = tilts_deg(compose_scene(spine, BODY, np.random.default_rng(0), TALL, STILL))
    assert np.ptp(straight) < 2.0
