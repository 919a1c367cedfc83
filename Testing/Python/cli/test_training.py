"""How a training command ends: a user's error has its sentence, any other error its traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from TomoRayLib.base.errors import InputError
from TomoRayLib.cli.training import _watched
from TomoRayLib.jobs.events import Event, ExitCode, Failed
from TomoRayLib.jobs.failures import run_guarded
from TomoRayLib.training.atlas import bone_hu
from TomoRayLib.training.config_file import StageConfig, WatchedCase
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.engine.trouble import explained, finite
from TomoRayLib.training.run import settings_of_stage


def end_of(work: Callable[[], Any]) -> Failed:
    """The last event of a command that does ``work``."""
    events: list[Event] = []
    code = run_guarded(work, events.append)
    last = events[-1]
    assert isinstance(last, Failed)
    assert last.code == code
    return last


def too_little_memory() -> None:
    with explained(2, 1, lambda: 0, lambda: "It is kept."):
        raise RuntimeError("CUDA out of memory")


def not_a_number() -> None:
    with explained(2, 1, lambda: 0, lambda: "It is kept."):
        finite("loss", torch.tensor(float("nan")), {})


REFUSALS: dict[str, tuple[Callable[[], Any], ExitCode, str]] = {
    "a value that does not fit": (
        lambda: settings_of_stage(StageConfig("a", epochs=1), None, Anatomy()),
        ExitCode.INPUT,
        "epochs need data.cohorts",
    ),
    "a loss that is not a number": (not_a_number, ExitCode.INPUT, "Try a lower peak_lr"),
    "too little memory": (too_little_memory, ExitCode.OUT_OF_MEMORY, "Too little memory for batch_size"),
}


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_what_tomoray_refuses_ends_with_its_sentence(name: str) -> None:
    work, code, sentence = REFUSALS[name]
    end = end_of(work)
    assert end.code == code
    assert sentence in end.message
    assert "Traceback" not in end.details


def a_worker_process_fails() -> None:
    class Failing(torch.utils.data.IterableDataset):
        def __iter__(self) -> Any:
            raise ValueError("high <= 0")

    next(iter(torch.utils.data.DataLoader(Failing(), num_workers=1)))


FAULTS: dict[str, Callable[[], Any]] = {
    "numpy's own": lambda: np.random.default_rng(0).integers(0),
    "numpy's, called by TomoRay": lambda: bone_hu([]),
    "Python's own": lambda: float("one"),
    "in a worker process": a_worker_process_fails,
}


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_any_other_value_error_is_a_fault_with_its_traceback(name: str) -> None:
    end = end_of(FAULTS[name])
    assert end.code == ExitCode.INTERNAL_ERROR
    assert "Internal error in TomoRay (ValueError" in end.message
    assert "Traceback" in end.details


def test_a_watched_case_is_a_name_and_two_files() -> None:
    case = _watched("s0308=a/ct.nii.gz,b/labels.nii.gz")
    assert case == WatchedCase("s0308", str(Path("a/ct.nii.gz").absolute()), str(Path("b/labels.nii.gz").absolute()))


@pytest.mark.parametrize("case", ["", "ct.nii.gz,labels.nii.gz", "=a,b", "name=a", "name=a,b,c"])
def test_anything_else_to_watch_is_refused(case: str) -> None:
    with pytest.raises(InputError, match="NAME=CT,LABELS"):
        _watched(case)
