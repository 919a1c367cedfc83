"""The numba kernel does what stock operators do, for every layout of the volume and every number of threads."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad
from torch.utils.data import DataLoader, Dataset

from TomoRayLib.base import compiled
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.projector import kept_plans, project
from TomoRayLib.projector.tables import Shares, overlaps

kernel = pytest.importorskip("TomoRayLib.projector.backends.numba_kernel", reason="needs numba")

CONE = ConeBeam(700.0, 1000.0)
GRID = Grid((37, 83, 21), (2.0, 1.1, 3.1), (-30.0, -60.0, -25.0))  # no edge a multiple of a tile or a lane
TILTED = Grid((37, 83, 21), (2.0, 1.1, 3.1), (20.0, -50.0, -40.0), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
NARROW = Detector(70, 131, (1.3, 0.9), (3.0, -7.0))
VIEWS = {
    "AP": View(CONE, NARROW),
    "lateral": View(CONE, NARROW, 90.0),
    "from the feet": View(CONE, NARROW, 0.0, -80.0),
    "oblique, rolled": View(CONE, NARROW, 30.0, 15.0, 8.0),
    "parallel at an angle": View(ParallelBeam(), NARROW, -20.0, 10.0),
    "slot scan": View(SlotScan(700.0, 1000.0), NARROW, 90.0),
}
WIDE_SCAN = View(SlotScan(300.0, 450.0), Detector(70, 250, (0.5, 1.0)))
WIDE = {  # rays that move more than a voxel along one axis in a slice, and meet three there
    "along a": (Grid((101, 20, 33), (1.0, 5.0, 1.0), (-50.0, -48.0, -16.0)), WIDE_SCAN),
    "along a, main axis x": (
        Grid((20, 101, 33), (5.0, 1.0, 1.0), (-48.0, -50.0, -16.0)),
        dataclasses.replace(WIDE_SCAN, gantry_angle_deg=90.0),
    ),
    "along b": (
        Grid((33, 20, 101), (1.0, 5.0, 1.0), (-16.0, -48.0, -50.0)),
        View(ConeBeam(300.0, 450.0), Detector(250, 1, (1.0, 1.0))),
    ),
}


@pytest.fixture(autouse=True)
def _fresh_plans():
    kept_plans.forget()
    yield
    kept_plans.forget()


def a_volume(grid: Grid, dtype: torch.dtype = torch.float32, count: int | None = None) -> torch.Tensor:
    shape = grid.shape if count is None else (count, *grid.shape)
    return torch.rand(shape, generator=torch.Generator().manual_seed(3), dtype=dtype)


def plan_of(grid: Grid, view: View, dtype: torch.dtype = torch.float64) -> kernel.NumbaPlan:
    plan = kept_plans.plan_for(grid, view, "cpu", dtype, "numba")
    assert isinstance(plan, kernel.NumbaPlan)  # else rays are compared with rays
    return plan


def with_stock_operators(volume: torch.Tensor, grid: Grid, view: View) -> torch.Tensor:
    return project(volume, grid, view, backend="torch")


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("grid", [GRID, TILTED], ids=["straight", "turned"])
def test_it_gives_the_images_of_stock_operators(name: str, grid: Grid) -> None:
    volume = a_volume(grid, torch.float64)
    if name == "slot scan" and grid is TILTED:
        pytest.skip("an oblique slot scan is traced ray by ray")
    plan_of(grid, VIEWS[name])
    image = project(volume, grid, VIEWS[name])
    assert float(image.max()) > 1
    torch.testing.assert_close(image, with_stock_operators(volume, grid, VIEWS[name]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", WIDE)
def test_rays_that_meet_three_voxels_of_a_slice(name: str) -> None:
    grid, view = WIDE[name]
    plan = plan_of(grid, view)
    assert max(plan.along_a.weight.shape[2], plan.along_b.weight.shape[2]) == 3
    volume = a_volume(grid, torch.float64)
    image = project(volume, grid, view)
    torch.testing.assert_close(image, with_stock_operators(volume, grid, view), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(image, project(volume, grid, view, method="rays"), rtol=0.02, atol=0.02)


def test_single_precision_and_batches() -> None:
    batch = a_volume(GRID, count=3)
    images = project(batch, GRID, VIEWS["lateral"])
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, with_stock_operators(batch, GRID, VIEWS["lateral"]), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(images[1], project(batch[1], GRID, VIEWS["lateral"]), rtol=0, atol=0)


def test_it_is_what_projects_without_gradients_and_stock_operators_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    write = kernel.write_sums
    monkeypatch.setattr(kernel, "write_sums", lambda *a: calls.append(1) or write(*a))
    volume = a_volume(GRID)
    image = project(volume, GRID, VIEWS["AP"])
    assert calls == [1]
    tracked = project(volume.requires_grad_(), GRID, VIEWS["AP"])
    assert calls == [1]
    assert tracked.requires_grad
    torch.testing.assert_close(tracked.detach(), image, rtol=1e-5, atol=1e-4)
    with torch.no_grad():
        project(volume, GRID, VIEWS["AP"])
    assert calls == [1, 1]


@pytest.mark.parametrize("name", ["AP", "lateral"])
def test_the_number_of_threads_changes_nothing(name: str) -> None:
    volume, view = a_volume(GRID), View(CONE, Detector(300, 40, (0.4, 2.0)), 0.0 if name == "AP" else 90.0)
    before = torch.get_num_threads()
    images = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        images.append(project(volume, GRID, view))
    torch.set_num_threads(before)
    assert torch.equal(*images)


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 40, 3), (3, 1, 40), (40, 3, 1)])
def test_volumes_of_a_single_voxel_or_slice(size: tuple[int, int, int]) -> None:
    grid = Grid(size, (5.0, 5.0, 5.0), tuple(-2.5 * (n - 1) for n in size))
    volume = a_volume(grid, torch.float64)
    for view in VIEWS.values():
        expected = with_stock_operators(volume, grid, view)
        torch.testing.assert_close(project(volume, grid, view), expected, rtol=1e-9, atol=1e-9)


def test_a_volume_that_is_a_view_of_a_larger_one() -> None:
    larger = a_volume(Grid((50, 83, 45), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    part = larger[2:44:2, :, 5:42]
    assert not part.is_contiguous()
    torch.testing.assert_close(
        project(part, GRID, VIEWS["AP"]), project(part.contiguous(), GRID, VIEWS["AP"]), rtol=0, atol=0
    )


@pytest.mark.parametrize("strides", [(3000, 1, 0), (1, 4, 12000)])
def test_an_axis_of_one_voxel_may_have_any_stride(strides: tuple[int, int, int]) -> None:
    """Torch takes such a volume for contiguous, whatever its last stride is."""
    storage = torch.rand(4 * 3000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    volume = storage.as_strided((4, 3000, 1), strides)
    grid = Grid((1, 3000, 4), (5.0, 1.0, 1.0), (0.0, -1500.0, -2.0))
    for view in (View(ConeBeam(3000.0, 4000.0), Detector(64, 8, (60.0, 1.0)), 0.0, 89.0), VIEWS["lateral"]):
        expected = with_stock_operators(volume.clone(memory_format=torch.contiguous_format), grid, view)
        torch.testing.assert_close(project(volume, grid, view), expected, rtol=1e-9, atol=1e-9)


def test_more_threads_than_tiles_of_a_batch() -> None:
    batch, before = a_volume(GRID, torch.float64, 2), torch.get_num_threads()
    view = View(CONE, Detector(70, 300, (1.3, 0.4)))
    expected = with_stock_operators(batch, GRID, view)
    try:
        torch.set_num_threads(16)
        torch.testing.assert_close(project(batch, GRID, view), expected, rtol=1e-9, atol=1e-9)
    finally:
        torch.set_num_threads(before)


def test_rays_away_from_an_infinite_voxel_stay_as_they_are() -> None:
    """All but its neighbours: air around the volume and rays further than a voxel away."""
    volume = a_volume(GRID, torch.float64)
    view = View(CONE, Detector(90, 160, (2.5, 1.3)))
    clean = project(volume, GRID, view)
    volume[:, :, 0] = float("inf")  # a face, past which many rays go
    image = project(volume, GRID, view)
    stock = with_stock_operators(volume, GRID, view)
    beside = stock == clean
    assert bool((clean == 0).any())
    assert int((image[beside] != clean[beside]).sum()) <= 2 * int((~beside).sum())
    assert torch.equal(image[clean == 0], clean[clean == 0])


def test_forward_derivatives_are_refused_as_without_the_kernel() -> None:
    with forward_ad.dual_level(), pytest.raises(NotImplementedError, match="forward mode"):
        project(forward_ad.make_dual(a_volume(GRID), a_volume(GRID)), GRID, VIEWS["AP"])


def test_rays_that_meet_both_axes_in_different_slices_miss() -> None:
    met, missed = np.ones((1, 2, 1)), np.zeros((1, 2, 1))
    first = Shares(np.zeros((2, 2), np.int32), np.concatenate([met, missed]))
    second = Shares(np.zeros((2, 2), np.int32), np.concatenate([missed, met]))
    plan = plan_of(GRID, VIEWS["AP"])
    assert dataclasses.replace(plan, along_a=first, along_b=second).misses
    assert not plan.misses


def test_what_a_thread_raises_is_raised() -> None:
    def fail() -> None:
        raise MemoryError("too little")

    with pytest.raises(MemoryError, match="too little"):
        kernel._in_threads([fail, fail, lambda: None], 2)


@pytest.mark.parametrize("spread", [0.0, 0.7, 6.0, 15.0])
def test_shares_are_those_of_the_tables(spread: float) -> None:
    rng = np.random.default_rng(0)
    crossings = np.sort(rng.uniform(-3, 15, (1, 40)), axis=1) + np.linspace(0, spread, 7)[:, None] * rng.uniform(-1, 1)
    found = kernel.shares(crossings, 12, np.float64)
    voxel, weight = found.voxel, found.weight
    expected = overlaps(crossings, 12)
    dense, table = np.zeros((2, 6, 40, 12))
    layer, sample = np.indices(voxel.shape)
    for tap in range(weight.shape[2]):
        dense[layer, sample, voxel + tap] += weight[..., tap]
    for tap in range(expected.fraction.shape[2]):
        np.add.at(table, (layer, sample, expected.voxel[..., tap].clip(0, 11)), expected.fraction[..., tap])
    np.testing.assert_allclose(dense, table, atol=1e-12)


class _Images(Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return project(a_volume(GRID), GRID, View(CONE, NARROW, 10.0 * index))


def test_processes_that_are_forked_after_a_first_call_project_too() -> None:
    here = torch.stack([_Images()[index] for index in range(4)])
    there = torch.cat(list(DataLoader(_Images(), num_workers=2, timeout=60)))
    torch.testing.assert_close(there, here, rtol=1e-6, atol=1e-5)


def test_without_numba_stock_operators_serve() -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import torch; from TomoRayLib.geometry import *; from TomoRayLib.projector import project\n"
        "grid = Grid((9, 8, 7), (2.0,) * 3, (-8.0, -7.0, -6.0))\n"
        "image = project(torch.ones(grid.shape), grid, View(ConeBeam(700.0, 1000.0), Detector(5, 5, (2.0, 2.0))))\n"
        "print(float(image[2, 2]), 'TomoRayLib.projector.backends.numba_kernel' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value, loaded = result.stdout.split()
    assert float(value) == pytest.approx(16.0, rel=1e-3)  # 8 voxels of 2 mm
    assert loaded == "False"


@pytest.mark.parametrize("error", ["RuntimeError('no locator available')", "OSError('llvmlite')"])
def test_with_a_broken_numba_stock_operators_serve(error: str) -> None:
    code = (
        "import sys, types; broken = types.ModuleType('numba'); sys.modules['numba'] = broken\n"
        f"def fail(name):\n    if name == 'njit': raise {error}\n    raise AttributeError(name)\n"
        "broken.__getattr__ = fail\n"
        "import torch; from TomoRayLib.geometry import *; from TomoRayLib.projector import project\n"
        "grid = Grid((9, 8, 7), (2.0,) * 3, (-8.0, -7.0, -6.0))\n"
        "image = project(torch.ones(grid.shape), grid, View(ConeBeam(700.0, 1000.0), Detector(5, 5, (2.0, 2.0))))\n"
        "print(float(image[2, 2]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(result.stdout) == pytest.approx(16.0, rel=1e-3)
    assert "The projector's numba kernel is not used" in result.stderr


def test_without_a_place_for_its_cache_the_kernel_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def njit(cache: bool = False, **settings: object):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: ("compiled", function)

    monkeypatch.setattr(compiled, "njit", njit)
    assert compiled.compiled(print) == ("compiled", print)
