"""Fixtures of these tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from support.myo_sim_packages import real_package
from support.training_runs import (
    SECONDS_PER_STEP,
)
from TomoRayLib.training.engine import trainer as loop
from TomoRayLib.training.phantoms.myo_sim import (
    Folder,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The tensors here are tiny: on busy cores, threads that wait for each other cost ten times the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that the loop looks at once a step, and that each look moves on by a step's seconds."""
    looks = itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(looks) * SECONDS_PER_STEP))


@pytest.fixture(scope="module")
def package() -> Folder:
    found = real_package()
    if found is None:
        pytest.skip("the package myo_sim is neither installed nor a wheel in shared/data")
    return found
