"""The compiled kernel does what stock operators do, for every layout of the volume and every number of threads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from TomoRayLib.geometry import ConeBeam, Detector, Grid, ParallelBeam, SlotScan, View
from TomoRayLib.projector import plans, project, use_compiled
from TomoRayLib.projector.tables import overlaps

compiled = pytest.importorskip("TomoRayLib.projector.compiled", reason="needs numba")

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
    "wide fan": View(ConeBeam(160.0, 220.0), Detector(40, 90, (4.0, 3.0)), 90.0),
}


@pytest.fixture(autouse=True)
def _fresh_plans():
    plans.forget()
    yield
    use_compiled(True)
    plans.forget()


def a_volume(grid: Grid, dtype: torch.dtype = torch.float32, count: int | None = None) -> torch.Tensor:
    shape = grid.shape if count is None else (count, *grid.shape)
    return torch.rand(shape, generator=torch.Generator().manual_seed(3), dtype=dtype)


def with_stock_operators(volume: torch.Tensor, grid: Grid, view: View) -> torch.Tensor:
    use_compiled(False)
    image = project(volume, grid, view)
    use_compiled(True)
    return image


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("grid", [GRID, TILTED], ids=["straight", "turned"])
def test_it_gives_the_images_of_stock_operators(name: str, grid: Grid) -> None:
    volume = a_volume(grid, torch.float64)
    image = project(volume, grid, VIEWS[name])
    assert float(image.max()) > 1
    torch.testing.assert_close(image, with_stock_operators(volume, grid, VIEWS[name]), rtol=1e-9, atol=1e-9)


def test_single_precision_and_batches() -> None:
    batch = a_volume(GRID, count=3)
    images = project(batch, GRID, VIEWS["lateral"])
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, with_stock_operators(batch, GRID, VIEWS["lateral"]), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(images[1], project(batch[1], GRID, VIEWS["lateral"]), rtol=0, atol=0)


def test_it_is_what_projects_without_gradients_and_stock_operators_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    write = compiled.write_sums
    monkeypatch.setattr(compiled, "write_sums", lambda *a: calls.append(1) or write(*a))
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


@pytest.mark.parametrize("spread", [0.0, 0.7, 2.6])
def test_shares_are_those_of_the_tables(spread: float) -> None:
    rng = np.random.default_rng(0)
    crossings = np.sort(rng.uniform(-3, 15, (1, 40)), axis=1) + np.linspace(0, spread, 7)[:, None] * rng.uniform(-1, 1)
    voxel, weight = compiled.shares(crossings, 12, np.float64)
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
        "print(float(image[2, 2]), 'TomoRayLib.projector.compiled' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value, loaded = result.stdout.split()
    assert float(value) == pytest.approx(16.0, rel=1e-3)  # 8 voxels of 2 mm
    assert loaded == "False"
