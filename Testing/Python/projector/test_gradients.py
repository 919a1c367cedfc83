"""Gradients of projections: the exact adjoint, and derivatives with respect to the pose by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from support.poses import IDENTITY, OBLIQUE
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.views import View
from TomoRayLib.projector import project, project_posed, rays_of, rays_of_matrix, trace_rays

DETECTOR = Detector(22, 26, (3.0, 2.2), (3.0, -4.0))
ISOCENTER_MM = (4.0, -3.0, 2.0)


def a_view(beam: object, *pose: float) -> View:
    return View(beam, DETECTOR, *pose, isocenter_mm=ISOCENTER_MM)  # type: ignore[arg-type]


CAMERAS: dict[str, tuple[Camera, tuple[float, ...]]] = {
    "AP": (a_view(ConeBeam(600.0, 900.0)), IDENTITY),
    "lateral": (a_view(ConeBeam(600.0, 900.0), 90.0), IDENTITY),
    "oblique": (a_view(ConeBeam(600.0, 900.0), 33.0, 12.0, 5.0), OBLIQUE),
    "60 degrees cranial": (a_view(ConeBeam(600.0, 900.0), 0.0, 60.0), IDENTITY),
    "main axis z": (a_view(ConeBeam(600.0, 900.0), 0.0, 80.0), OBLIQUE),
    "parallel": (a_view(ParallelBeam(), 25.0, -10.0, 30.0), IDENTITY),
    "slot": (a_view(SlotScan(900.0, 1300.0), 20.0), IDENTITY),
    "slot of an oblique CT": (a_view(SlotScan(900.0, 1300.0), 20.0), OBLIQUE),
    "matrix": (ProjectionMatrix.of_view(a_view(ConeBeam(600.0, 900.0), 33.0, 12.0, 5.0)), IDENTITY),
}


def a_grid(direction: tuple[float, ...] = IDENTITY) -> Grid:
    """19 x 13 x 9 voxels of 1.5 x 2 x 2.5 mm, some 7 mm off the isocentre."""
    return Grid((19, 13, 9), (1.5, 2.0, 2.5), (-15.0, -9.0, -12.0), direction)


@pytest.mark.parametrize("method", ["auto", "rays"])
@pytest.mark.parametrize("name", CAMERAS)
def test_the_adjoint_passes_the_dot_test_in_float32(name: str, method: str) -> None:
    """<A x, g> = <x, A' g> to 1e-5."""
    camera, direction = CAMERAS[name]
    grid = a_grid(direction)
    generator = torch.Generator().manual_seed(5)
    volume = torch.rand(grid.shape, generator=generator, requires_grad=True)
    image = project(volume, grid, camera, method=method)  # type: ignore[arg-type]
    weights = torch.rand(image.shape, generator=generator)
    forward = (image.detach().double() * weights.double()).sum()
    (back,) = torch.autograd.grad((image * weights).sum(), volume)
    assert float(forward) > 1.0
    assert float(((back.double() * volume.detach().double()).sum() - forward).abs() / forward) < 1e-5


def test_a_batch_has_the_gradients_of_its_volumes() -> None:
    grid, camera = a_grid(), CAMERAS["oblique"][0]
    batch = torch.rand(2, *grid.shape, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, *camera.shape, dtype=torch.float64)
    for method in ("slabs", "rays"):
        (both,) = torch.autograd.grad((project(batch, grid, camera, method=method) * weights).sum(), batch)  # type: ignore[arg-type]
        (one,) = torch.autograd.grad((project(batch[1], grid, camera, method=method) * weights[1]).sum(), batch)  # type: ignore[arg-type]
        torch.testing.assert_close(both[1], one[1])


def a_smooth_volume(grid: Grid) -> torch.Tensor:
    padded = np.pad(np.random.default_rng(1).random(tuple(n - 4 for n in grid.shape)), 2)
    return torch.from_numpy(gaussian_filter(padded, 1.0))


def central_difference(function: object, point: torch.Tensor, direction: torch.Tensor, step: float) -> float:
    ahead, behind = function(point + step * direction), function(point - step * direction)  # type: ignore[operator]
    return float((ahead - behind) / (2 * step))


@pytest.mark.parametrize("interpolation", ["linear", "box"])
@pytest.mark.parametrize("name", ["AP", "oblique", "60 degrees cranial", "parallel", "slot", "matrix"])
def test_the_derivative_of_each_pose_parameter_agrees_with_finite_differences(name: str, interpolation: str) -> None:
    """Float64; steps so small that no ray changes voxels in between (the integral has kinks there, but no jumps). The
    pose lies off the axes: rays along voxel faces have no derivative."""
    camera, direction = CAMERAS[name]
    grid = a_grid(direction)
    volume = a_smooth_volume(grid)
    weights = torch.rand(camera.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def loss(pose: torch.Tensor) -> torch.Tensor:
        return (project_posed(volume, grid, camera, pose, interpolation=interpolation) * weights).sum()  # type: ignore[arg-type]

    pose = torch.tensor([0.02, -0.03, 0.015, 0.37, -0.61, 0.43], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(pose), pose)
    for axis in range(6):
        unit = torch.eye(6, dtype=torch.float64)[axis]
        expected = central_difference(loss, pose.detach(), unit, 1e-7 if axis < 3 else 1e-5)
        assert float(gradient[axis]) == pytest.approx(expected, rel=1e-3, abs=1e-4 * float(gradient.abs().max()))


def test_no_motion_leaves_the_view_where_it_is() -> None:
    camera, direction = CAMERAS["oblique"]
    grid = a_grid(direction)
    volume = a_smooth_volume(grid)
    image = project_posed(volume, grid, camera, torch.zeros(6), interpolation="box")
    torch.testing.assert_close(image, project(volume, grid, camera, method="rays"))


def test_a_pose_moves_the_view_as_its_angles_and_isocentre_do() -> None:
    """A turn about z is the gantry's, and a shift the isocentre's."""
    grid = a_grid(OBLIQUE)
    volume = a_smooth_volume(grid)
    pose = torch.tensor([0.0, 0.0, np.radians(20.0), 1.0, -2.0, 3.0], dtype=torch.float64)
    moved = View(ConeBeam(600.0, 900.0), DETECTOR, 20.0, isocenter_mm=(5.0, -5.0, 5.0))
    image = project_posed(volume, grid, CAMERAS["AP"][0], pose, interpolation="box")
    torch.testing.assert_close(image, project(volume, grid, moved, method="rays"))


def test_a_pose_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="rotation vector"):
        project_posed(torch.zeros(9, 13, 19), a_grid(), CAMERAS["AP"][0], torch.zeros(2, 6))


def test_registration_by_the_gradient_finds_a_lost_pose() -> None:
    camera, grid = CAMERAS["oblique"][0], a_grid()
    volume = a_smooth_volume(grid)
    truth = torch.tensor([0.03, -0.02, 0.04, 1.0, -0.8, 0.5], dtype=torch.float64)
    wanted = project_posed(volume, grid, camera, truth)
    scale = torch.tensor([0.05, 0.05, 0.05, 1.0, 1.0, 1.0], dtype=torch.float64)  # a radian moves much, a mm little
    scaled = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([scaled], max_iter=40, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def error() -> torch.Tensor:
        optimiser.zero_grad()
        loss = (project_posed(volume, grid, camera, scaled * scale) - wanted).square().mean()
        loss.backward()
        return loss

    lost = float(error().detach())
    optimiser.step(error)  # type: ignore[arg-type]
    found = (scaled * scale).detach()
    assert float(error().detach()) < 1e-4 * lost
    # along the rays (mostly y) a shift hardly changes the image
    assert float((found - truth)[:3].abs().max()) < 5e-3
    assert float((found - truth)[[3, 5]].abs().max()) < 0.15


def test_a_matrix_has_gradients_for_calibration() -> None:
    view = a_view(ConeBeam(600.0, 900.0), 33.0, 12.0, 5.0)
    grid, matrix = a_grid(), torch.from_numpy(view.projection_matrix())
    volume = a_smooth_volume(grid)
    torch.testing.assert_close(
        trace_rays(volume, grid, *rays_of_matrix(matrix, *view.shape)), trace_rays(volume, grid, *rays_of(view))
    )
    matrix.requires_grad_()

    def loss(values: torch.Tensor) -> torch.Tensor:
        return trace_rays(volume, grid, *rays_of_matrix(values, *view.shape), "linear").square().sum()

    (gradient,) = torch.autograd.grad(loss(matrix), matrix)
    direction = torch.rand(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * matrix.detach()
    expected = central_difference(loss, matrix.detach(), direction, 1e-8)
    assert float((gradient * direction).sum()) == pytest.approx(expected, rel=2e-3)
