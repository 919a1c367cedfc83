"""The Triton kernel does what stock operators do: on the CPU by Triton's interpreter, and on a GPU if there is one.

Triton decides on import whether to interpret: those tests run in a process of their own, which the first test starts.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.projector import kept_plans, project
from TomoRayLib.projector.backends import choice
from TomoRayLib.projector.backends.choice import chosen_library
from TomoRayLib.projector.lattice import in_volume_frame, ray_lattice
from TomoRayLib.projector.slab_rays import slab_rays
from TomoRayLib.projector.tables import overlaps, shares_within

IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton, which torch for Linux and CUDA brings along"
)
needs_the_interpreter = pytest.mark.skipif(not IS_INTERPRETED, reason="run by the test of the interpreter")
needs_cuda = pytest.mark.skipif(IS_INTERPRETED or not torch.cuda.is_available(), reason="needs a CUDA device")

CONE = ConeBeam(700.0, 1000.0)
GRID = Grid((19, 23, 11), (4.0, 2.2, 6.1), (-32.0, -21.0, -25.0))  # no edge a multiple of a tile
TILTED = Grid((19, 23, 11), (4.0, 2.2, 6.1), (-20.0, -40.0, -30.0), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
NARROW = Detector(18, 67, (5.3, 1.7), (3.0, -7.0))
VIEWS = {
    "AP": View(CONE, NARROW),
    "AP on its side": View(CONE, NARROW, 0.0, 0.0, 90.0),
    "lateral": View(CONE, NARROW, 90.0),
    "from the feet": View(CONE, NARROW, 0.0, -80.0),
    "oblique, rolled": View(CONE, NARROW, 30.0, 15.0, 8.0),
    "oblique lateral": View(CONE, NARROW, 75.0, 12.0, 5.0),
    "parallel": View(ParallelBeam(), NARROW),
    "parallel at an angle": View(ParallelBeam(), NARROW, -20.0, 10.0),
    "slot scan": View(SlotScan(700.0, 1000.0), NARROW, 90.0),
    "wide fan": View(ConeBeam(160.0, 220.0), Detector(20, 30, (8.0, 5.0)), 90.0),
    "wide fan from the front": View(ConeBeam(160.0, 220.0), Detector(20, 30, (8.0, 5.0))),
    "wide, flat fan": View(ConeBeam(160.0, 220.0), Detector(9, 41, (2.0, 9.0)), 90.0),
}


@pytest.fixture(autouse=True)
def _fresh_plans() -> Iterator[None]:
    kept_plans.forget()
    yield
    kept_plans.forget()


def a_volume(grid: Grid, count: int | None = None) -> Tensor:
    shape = grid.shape if count is None else (count, *grid.shape)
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


def by_triton(volumes: Tensor, grid: Grid, view: View) -> Tensor:
    """On the volumes' device, which is the CPU in the interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(choice.DEVICE_TYPE, "triton", volumes.device.type)
        return project(volumes, grid, view, backend="triton")


def by_torch(volumes: Tensor, grid: Grid, view: View) -> Tensor:
    return project(volumes, grid, view, backend="torch")


def assert_same_to_rounding(image: Tensor, expected: Tensor) -> None:
    """Single precision: some hundred terms are added up in another order."""
    assert float(expected.max()) > 0.01
    torch.testing.assert_close(image, expected, rtol=1e-5, atol=1e-5 * float(expected.max()))


@needs_triton
@pytest.mark.slow
@pytest.mark.skipif(IS_INTERPRETED, reason="this is what it runs")
def test_the_kernel_in_tritons_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", str(Path(__file__).resolve())]
    result = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@needs_the_interpreter
@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("grid", [GRID, TILTED], ids=["straight", "turned"])
def test_it_gives_the_images_of_stock_operators(name: str, grid: Grid) -> None:
    volume = a_volume(grid)
    assert_same_to_rounding(by_triton(volume, grid, VIEWS[name]), by_torch(volume, grid, VIEWS[name]))


@needs_triton
def test_the_views_have_all_layouts_cut_slices_and_more_than_two_taps() -> None:
    """So the test above covers every branch of the kernel."""
    from TomoRayLib.projector.backends.triton_kernel import TritonPlan

    found = {}
    for name, view in VIEWS.items():
        rays = slab_rays(GRID, in_volume_frame(ray_lattice(view), GRID))
        assert rays is not None
        plan = kept_plans.make_plan(rays, "cpu", torch.float32, "triton")
        assert isinstance(plan, TritonPlan)
        found[name] = plan.order, plan.sub_slices, len(plan.along_a.weight), len(plan.along_b.weight)
    orders, sub_slices, taps_a, taps_b = zip(*found.values(), strict=True)
    assert set(orders) == {(0, 1, 2), (0, 2, 1), (1, 0, 2)}, found
    assert max(sub_slices) > 1, found
    assert {2, 3} <= {*taps_a, *taps_b}, found


@needs_the_interpreter
@pytest.mark.parametrize("name", ["AP", "lateral", "oblique lateral"])
def test_a_batch_has_the_images_of_its_volumes(name: str) -> None:
    batch = a_volume(GRID, count=3)
    images = by_triton(batch, GRID, VIEWS[name])
    assert_same_to_rounding(images, by_torch(batch, GRID, VIEWS[name]))
    assert by_triton(batch[:0], GRID, VIEWS[name]).shape == (0, *NARROW.shape)


@needs_the_interpreter
@pytest.mark.parametrize("programs", [1, 20, 10**6])
@pytest.mark.parametrize("name", ["AP", "lateral"])
def test_the_number_of_programs_changes_rounding_alone(
    name: str, programs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from TomoRayLib.projector.backends import triton_kernel as kernel

    monkeypatch.setattr(kernel, "PROGRAMS", programs)
    volume = a_volume(GRID)
    assert_same_to_rounding(by_triton(volume, GRID, VIEWS[name]), by_torch(volume, GRID, VIEWS[name]))


@needs_the_interpreter
@pytest.mark.parametrize("angle_deg", [0.0, 90.0])
def test_volumes_of_any_strides(angle_deg: float) -> None:
    view = View(CONE, Detector(5, 9, (12.0, 9.0)), angle_deg)
    larger = torch.rand(2, 25, 23, 39, generator=torch.Generator().manual_seed(5))
    for batch in (
        larger[:, 2:24:2, :, 1:39:2],
        larger[:1, 2:24:2, :, :19].expand(2, -1, -1, -1),
        larger.permute(0, 3, 2, 1)[:, :11, :, 3:22],
    ):
        assert batch.shape[1:] == GRID.shape
        assert not batch.is_contiguous()
        assert torch.equal(by_triton(batch, GRID, view), by_triton(batch.contiguous(), GRID, view))


@needs_the_interpreter
def test_offsets_beyond_32_bits() -> None:
    """Voxels two thousand million numbers apart, in memory that is reserved and hardly touched."""
    grid = Grid((3, 4, 2), (20.0, 20.0, 20.0), (-20.0, -30.0, -10.0))
    far = 2**31 + 64
    try:
        memory = torch.empty(far + 12)
    except RuntimeError:
        pytest.skip("8 GB of addresses are not to be had")
    volume = memory.as_strided(grid.shape, (far, 3, 1))
    volume.copy_(a_volume(grid))
    for name in ("AP", "lateral"):
        assert_same_to_rounding(by_triton(volume, grid, VIEWS[name]), by_torch(a_volume(grid), grid, VIEWS[name]))


@needs_the_interpreter
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 40, 3), (3, 1, 40), (40, 3, 1)])
def test_volumes_of_a_single_voxel_or_slice(size: tuple[int, int, int]) -> None:
    grid = Grid(size, (5.0, 5.0, 5.0), tuple(-2.5 * (n - 1) for n in size))  # type: ignore[arg-type]
    volume = a_volume(grid)
    for name in ("AP", "lateral", "from the feet", "oblique, rolled"):
        assert_same_to_rounding(by_triton(volume, grid, VIEWS[name]), by_torch(volume, grid, VIEWS[name]))


@needs_the_interpreter
def test_rays_that_miss_give_zero_and_a_warning() -> None:
    aside = Grid(GRID.size, GRID.spacing_mm, (400.0, -20.0, -25.0))
    with pytest.warns(RuntimeWarning, match="Every ray misses"):
        assert not by_triton(a_volume(aside), aside, VIEWS["AP"]).any()


@pytest.mark.parametrize("spread", [0.0, 0.7, 2.6])
def test_shares_are_those_of_the_tables(spread: float) -> None:
    rng = np.random.default_rng(0)
    crossings = np.sort(rng.uniform(-3, 15, (1, 40)), axis=1) + np.linspace(0, spread, 7)[:, None] * rng.uniform(-1, 1)
    shares, expected = shares_within(crossings, 12), overlaps(crossings, 12)
    dense, table = np.zeros((2, 6, 40, 12))
    layer, sample = np.indices(shares.voxel.shape)
    for tap in range(shares.weight.shape[2]):
        dense[layer, sample, shares.voxel + tap] += shares.weight[..., tap]
    for tap in range(expected.fraction.shape[2]):
        np.add.at(table, (layer, sample, expected.voxel[..., tap].clip(0, 11)), expected.fraction[..., tap])
    np.testing.assert_allclose(dense, table, atol=1e-12)


@needs_triton
@pytest.mark.skipif(IS_INTERPRETED, reason="the interpreter does not compile")
@pytest.mark.parametrize("tile", ["ACROSS", "ALONG"])
@pytest.mark.parametrize("is_large", [False, True])
def test_the_kernel_compiles_for_a_gpu_that_is_not_there(tile: str, is_large: bool) -> None:
    import triton
    from triton.backends.compiler import GPUTarget

    from TomoRayLib.projector.backends import triton_kernel as kernel

    shape = getattr(kernel, tile)
    fixed = {
        "SUB_SLICES": 2,
        "TAPS_A": 3,
        "TAPS_B": 2,
        "TILE_A": shape.a,
        "TILE_B": shape.b,
        "LAYERS": shape.layers,
        "ALONG_MAIN": tile == "ALONG",
        "IS_LARGE": is_large,
        "step_main" if tile == "ALONG" else "step_a": 1,
    }
    kinds = {"volumes": "*fp32", "parts": "*fp32", "voxels_a": "*i32", "voxels_b": "*i32"}
    kinds |= {"weights_a": "*fp32", "weights_b": "*fp32", "step_b": "i64" if is_large else "i32"}
    names = kernel._add_layers.arg_names
    signature = {name: "constexpr" if name in fixed else kinds.get(name, "i32") for name in names}
    source = triton.compiler.ASTSource(kernel._add_layers, signature, fixed)
    options = {"num_warps": shape.warps, "enable_fp_fusion": True}
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["cubin"]


@needs_triton
def test_it_serves_cuda_and_float32_alone() -> None:
    assert chosen_library("triton", "cuda:0", torch.float32, differentiable=False) == "triton"
    for device, dtype, message in (("cuda:0", torch.float64, "float32"), ("cpu", torch.float32, "'cuda'")):
        with pytest.raises(InputError, match=message):
            chosen_library("triton", device, dtype, differentiable=False)


@needs_triton
@needs_the_interpreter
@pytest.mark.parametrize("name", ["AP", "lateral"])
def test_a_nan_or_infinite_voxel_spoils_its_own_rays_alone(name: str) -> None:
    volume = a_volume(GRID)
    volume[0, -1, 0] = volume[0, 0, -1] = float("nan")  # what shares that fill a tile up look at
    volume[5, 11, 9] = float("inf")
    expected = by_torch(volume, GRID, VIEWS[name])
    assert 0 < int((~expected.isfinite()).sum()) < expected.numel() / 4
    torch.testing.assert_close(by_triton(volume, GRID, VIEWS[name]), expected, rtol=1e-5, atol=1e-4, equal_nan=True)


@needs_cuda
@pytest.mark.gpu
@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("grid", [GRID, TILTED], ids=["straight", "turned"])
def test_a_gpu_gives_the_images_of_stock_operators_and_of_the_cpu(name: str, grid: Grid) -> None:
    batch, view = a_volume(grid, count=2), VIEWS[name]
    on_device = batch.cuda()
    expected = by_torch(on_device, grid, view)
    images = project(on_device, grid, view, backend="triton")
    assert type(list(kept_plans._kept.values())[-1]).__name__ == "TritonPlan"
    assert_same_to_rounding(images, expected)
    assert_same_to_rounding(images.cpu(), by_torch(batch, grid, view))
    assert torch.equal(images, project(on_device, grid, view, backend="triton"))
    tracked = on_device.requires_grad_()
    with pytest.raises(InputError, match="computes no derivatives"):
        project(tracked, grid, view, backend="triton")
    image = project(tracked, grid, view)
    assert torch.equal(image.detach(), expected)  # by torch
    (gradient,) = torch.autograd.grad(image.sum(), tracked)
    assert float(gradient.max()) > 0.0
