"""The built-in phantom as a case, and what one synthesis makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.synthesis_runs import Events, run_worker
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.jobs.events import ExitCode
from TomoRayLib.jobs.job import SynthesisJob


@pytest.fixture(scope="session")
def a_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ct.nrrd`` and ``labels.nrrd``."""
    folder = tmp_path_factory.mktemp("phantom")
    ct, labels = phantom_volumes()
    write_volume(folder / "ct.nrrd", ct)
    write_volume(folder / "labels.nrrd", labels)
    return folder


@pytest.fixture(scope="session")
def a_finished_case(a_case: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Events]:
    out = tmp_path_factory.mktemp("finished") / "out"
    job = SynthesisJob(out=str(out), ct=str(a_case / "ct.nrrd"), segmentation=str(a_case / "labels.nrrd"))
    code, events, errors = run_worker(job, a_case)
    assert code == ExitCode.DONE, errors
    return out, events
