"""Which backend projects: the default, the one asked for, and what an impossible wish gets."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch
from torch.autograd import forward_ad

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.projector import Projector, kept_plans, project, project_views
from TomoRayLib.projector.backends.choice import chosen_library

GRID = Grid((9, 8, 7), (2.0, 2.0, 2.0), (-8.0, -7.0, -6.0))
VIEW = View(ConeBeam(700.0, 1000.0), Detector(5, 5, (2.0, 2.0)))
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba")


@needs_numba
def test_the_default_is_numba_on_the_cpu_without_derivatives_and_torch_for_all_else() -> None:
    for dtype in (torch.float32, torch.float64):
        assert chosen_library("auto", "cpu", dtype, differentiable=False) == "numba"
        assert chosen_library("auto", "cpu", dtype, differentiable=True) == "torch"
        for device in ("cuda:0", "meta"):
            assert chosen_library("auto", device, dtype, differentiable=False) == "torch"


@needs_numba
def test_plans_of_two_backends_are_kept_side_by_side() -> None:
    kept_plans.forget()
    volume = torch.ones(GRID.shape)
    for backend in ("numba", "torch", "numba"):
        project(volume, GRID, VIEW, backend=backend)  # type: ignore[arg-type]
    assert [type(plan).__name__ for plan in kept_plans._kept.values()] == ["TorchPlan", "NumbaPlan"]
    kept_plans.forget()


@needs_numba
def test_views_and_modules_hand_the_backend_on() -> None:
    kept_plans.forget()
    volume = torch.ones(GRID.shape)
    project_views(volume, GRID, [VIEW], backend="torch")
    Projector(GRID, [VIEW], backend="torch")(volume[None])
    assert [type(plan).__name__ for plan in kept_plans._kept.values()] == ["TorchPlan"]
    kept_plans.forget()


@pytest.mark.parametrize(
    ("device", "dtype", "backend", "message"),
    [
        ("cpu", torch.float32, "cupy", "must be one of .*'numba'.*; got 'cupy'"),
        ("meta", torch.float32, "numba", "serves volumes on the device 'cpu'; got one on 'meta'.*'auto'"),
        ("cpu", torch.float32, "triton", "serves volumes on the device 'cuda'; got one on 'cpu'.*'auto'"),
        ("cuda:0", torch.float64, "triton", r"serves volumes of float32; got torch\.float64.*'auto'"),
    ],
)
def test_a_backend_that_does_not_serve_the_volume_is_refused(
    device: str, dtype: torch.dtype, backend: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as raised:
        chosen_library(backend, device, dtype, differentiable=False)  # type: ignore[arg-type]
    assert raised.value.field == "backend"


@needs_numba
def test_derivatives_by_a_backend_that_has_none_are_refused() -> None:
    volume = torch.ones(GRID.shape, requires_grad=True)
    with pytest.raises(InputError, match=r"computes no derivatives.*torch\.no_grad"):
        project(volume, GRID, VIEW, backend="numba")
    with torch.no_grad():
        assert project(volume, GRID, VIEW, backend="numba").shape == (5, 5)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(torch.ones(GRID.shape), torch.ones(GRID.shape))
        with pytest.raises(InputError, match="computes no derivatives"):
            project(dual, GRID, VIEW, backend="numba")


def test_traced_rays_are_torchs_alone() -> None:
    volume = torch.ones(GRID.shape)
    with pytest.raises(InputError, match="'rays' is computed by torch alone"):
        project(volume, GRID, VIEW, method="rays", backend="numba")
    torch.testing.assert_close(
        project(volume, GRID, VIEW, method="rays", backend="torch"), project(volume, GRID, VIEW, method="rays")
    )


def test_a_backend_that_is_not_installed_is_refused_with_the_way_out() -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import torch; from TomoRayLib.projector.backends.choice import chosen_library\n"
        "print(chosen_library('auto', 'cpu', torch.float32, differentiable=False))\n"
        "try:\n    chosen_library('numba', 'cpu', torch.float32, differentiable=False)\n"
        "except ValueError as error:\n    print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    default, message = result.stdout.splitlines()
    assert default == "torch"
    assert "cannot be loaded" in message
    assert "Install the package numba, or use the backend 'auto'" in message
