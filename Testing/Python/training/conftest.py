"""For all tests of training: one thread, a clock of steps, and the muscle package."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.myo_sim_packages import real_package
from support.publishing_places import a_publishing_place
from support.training_runs import SECONDS_PER_STEP
from TomoRayLib.training.engine import trainer as loop
from TomoRayLib.training.phantoms.myo_sim import Folder


@pytest.fixture(scope="module", autouse=True)
def tiny_tensors(one_thread: None) -> None:
    """All tensors here are tiny."""


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


@pytest.fixture
def a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    return a_publishing_place(tmp_path, monkeypatch)
