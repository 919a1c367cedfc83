"""Errors that stop a run say where and what to do: numbers that are not finite, and exhausted memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from torch.utils.data import DataLoader, IterableDataset

from support.training_runs import a_config, run
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.projector import project
from TomoRayLib.training.engine import trainer as loop
from TomoRayLib.training.engine.adversary import Adversary, AdversaryConfig
from TomoRayLib.training.engine.trouble import NotANumberError, clip_gradient, explained, is_about_memory


def a_network_with_gradients(fabric: Fabric, broken_at: str | None = None) -> tuple[Any, Any]:
    """Two layers with gradients of ones, or of one that is not a number in the parameter ``broken_at``."""
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    model, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=1.0))
    for name, parameter in network.named_parameters():
        parameter.grad = torch.ones_like(parameter)
        if name == broken_at:
            parameter.grad.view(-1)[-1] = math.inf
    return model, optimizer


def test_a_gradient_that_is_no_number_names_its_parameter_and_scales_nothing() -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer = a_network_with_gradients(fabric, "1.weight")
    with pytest.raises(NotANumberError, match=r"The gradient of 1\.weight is not a number \(\{'edge': 0\.5\}\)"):
        clip_gradient(fabric, model, optimizer, 1.0, {"edge": 0.5})
    assert torch.equal(model.module[0].weight.grad, torch.ones(3, 2))


@pytest.mark.parametrize(("max_norm", "expected"), [(1.0, 13**-0.5), (math.inf, 1.0)])
def test_a_gradient_is_scaled_to_the_norm_allowed_or_only_looked_at(max_norm: float, expected: float) -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer = a_network_with_gradients(fabric)  # 13 ones
    clip_gradient(fabric, model, optimizer, max_norm, {})
    torch.testing.assert_close(model.module[0].weight.grad, torch.full((3, 2), expected))


def test_a_discriminator_whose_gradient_is_no_number_takes_no_step() -> None:
    """Its loss is finite: the gradient of a square root at 0 is not."""
    fabric = Fabric(accelerator="cpu", devices=1)
    adversary = Adversary(fabric, AdversaryConfig(weight=0.1, crop=32))
    volumes = torch.rand(1, 3, 32, 32, 32)
    name, parameter = next(iter(adversary.network.named_parameters()))
    parameter.register_hook(lambda gradient: gradient / 0)
    before = {key: value.clone() for key, value in adversary.network.state_dict().items()}
    with pytest.raises(NotANumberError, match=rf"The adversary's gradient of {name} is not a number .*'edge'"):
        adversary.learn(volumes, volumes, 1.0, {"edge": 0.5})
    assert all(torch.equal(before[key], value) for key, value in adversary.network.named_parameters())
    with pytest.raises(NotANumberError, match="The adversary's loss is not a number"):
        adversary.learn(volumes * math.nan, volumes, 1.0, {})


@pytest.mark.parametrize(
    ("name", "batch_size", "error", "advice"),
    [
        ("_step", 6, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "Try batch_size 3"),
        ("_step", 1, MemoryError("Unable to allocate 9.31 GiB"), "Train a coarser level"),
    ],
)
def test_too_little_memory_says_what_to_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, batch_size: int, error: Exception, advice: str
) -> None:
    def too_large(*_: Any) -> None:
        raise error

    monkeypatch.setattr(loop, name, too_large)
    words = f"batch_size {batch_size} at finest_level 1, after 0 steps.*no checkpoint yet"
    with pytest.raises(ValueError, match=f"{words}.*{advice}"):
        run(a_config(3, batch_size=batch_size), tmp_path / "run")


def test_any_other_error_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("sizes do not match")

    monkeypatch.setattr(loop, "_step", broken)
    with pytest.raises(RuntimeError, match="sizes do not match"):
        run(a_config(3), tmp_path / "run")


class Broken(IterableDataset[torch.Tensor]):
    """Samples that cannot be made: more numbers than any memory holds, by numpy or by torch."""

    def __init__(self, by: str) -> None:
        super().__init__()
        self.by = by

    def __iter__(self) -> Iterator[torch.Tensor]:
        yield torch.from_numpy(np.ones(2**50)) if self.by == "numpy" else torch.ones(2**50)


@pytest.mark.parametrize("by", ["numpy", "torch"])
@pytest.mark.parametrize("workers", [0, 1])
def test_memory_that_a_sample_lacks_is_known_by_its_real_error(by: str, workers: int) -> None:
    loader = DataLoader(Broken(by), batch_size=None, num_workers=workers)
    expected = pytest.raises(ValueError, match=r"Too little memory for batch_size 4.* kept\. Try batch_size 2")
    with expected, explained(4, 1, lambda: 0, lambda: "It is kept."):
        next(iter(loader))


class Xray(IterableDataset[torch.Tensor]):
    """A projection for which no memory suffices: onto four million million pixels."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
        yield project(torch.zeros(4, 4, 4), grid, View(ConeBeam(1000.0, 1500.0), Detector(2**21, 2**21, (0.1, 0.1))))


@pytest.mark.parametrize("workers", [0, 1])
def test_memory_that_the_projector_lacks_is_known_behind_its_own_words(workers: int) -> None:
    expected = pytest.raises(ValueError, match="Too little memory")
    with expected as caught, explained(1, 1, lambda: 0, lambda: "It is kept."):
        next(iter(DataLoader(Xray(), batch_size=None, num_workers=workers)))
    assert "Projecting 4 x 4 x 4" in str(caught.value.__cause__)


def test_memory_that_the_projector_lacks_is_known_when_a_long_trace_is_shortened() -> None:
    """Python 3.13 writes longer traces, whose middle, with the first error, an InputError leaves out."""
    with pytest.raises(ValueError, match="Projecting") as caught:
        next(iter(Xray()))
    trace = InputError(f"Caught InputError in DataLoader worker process 0.\n{'line of code' * 500}\n{caught.value}")
    assert is_about_memory(trace)


@pytest.mark.parametrize(
    ("error", "about_memory"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), True),
        (RuntimeError("sizes do not match"), False),
        (ValueError("none is left in memory of out of memory"), False),
        (OSError("out of memory"), False),
    ],
)
def test_errors_about_memory_are_told_from_others(error: Exception, about_memory: bool) -> None:
    assert is_about_memory(error) == about_memory
