"""A job in a Python whose packages are broken, and one whose GPU fails, end in a sentence with what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.broken_environments import Environment
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.jobs.events import Failed, from_json, to_json
from TomoRayLib.jobs.failures import failed_by
from TomoRayLib.jobs.job import SynthesisJob

REPOSITORY = Path(__file__).resolve().parents[3]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="breaks libraries of Linux by links")


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ct") / "ct.nrrd"
    write_volume(path, phantom_volumes()[0], compressed=False)
    return path


def failure_in(environment: Environment, ct: Path, folder: Path) -> Failed:
    """The event in which the real worker ends there."""
    job = folder / "job.json"
    out = folder / "results"
    job.write_text(SynthesisJob(out=str(out), ct=str(ct), report=False).to_json(), encoding="utf-8")
    run = subprocess.run(
        [str(environment.python), "-m", "TomoRayLib.worker", str(job)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        timeout=120,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert not out.exists()
    event = from_json(run.stdout.splitlines()[-1])
    assert isinstance(event, Failed)
    assert "Internal error" not in event.message
    return event


@linux_only
def test_the_worker_says_that_a_library_of_torch_is_gone(tmp_path: Path, ct: Path) -> None:
    environment = Environment(tmp_path)
    environment.remove("torch/lib/libc10.so")
    said = failure_in(environment, ct, tmp_path)
    assert (said.package, said.fault) == ("torch", "library")
    assert "torch is installed, but a shared library" in said.message
    assert "libc10.so" in said.message
    assert "pip install --force-reinstall --no-deps torch" in said.message


@linux_only
def test_the_worker_says_that_torch_is_damaged_as_after_an_interrupted_installation(tmp_path: Path, ct: Path) -> None:
    environment = Environment(tmp_path)
    environment.remove("torch/nn")
    said = failure_in(environment, ct, tmp_path)
    assert (said.package, said.fault) == ("torch", "incomplete")
    assert "damaged" in said.message


@linux_only
def test_the_worker_says_that_safetensors_is_damaged(tmp_path: Path, ct: Path) -> None:
    environment = Environment(tmp_path)
    environment.remove("safetensors/_safetensors_rust*")
    said = failure_in(environment, ct, tmp_path)
    assert (said.package, said.fault) == ("safetensors", "incomplete")


@linux_only
def test_the_command_line_says_it_too(tmp_path: Path, ct: Path) -> None:
    environment = Environment(tmp_path)
    environment.replace("torch/lib/libc10.so", b"")
    words = ["synthesize", "--ct", str(ct), "--out", str(tmp_path / "out")]
    run = subprocess.run(
        [str(environment.python), "-c", "from TomoRayLib.cli import run; run()", *words],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"},
        timeout=120,
        check=False,
    )
    assert run.returncode == 1
    assert "The Python package torch is installed, but damaged" in run.stderr
    assert "file too short" in run.stderr
    assert "Internal error" not in run.stderr


def test_a_gpu_that_fails_names_the_device_and_the_cpu() -> None:
    failed = failed_by(RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA"))
    assert failed.field == "device"
    assert failed.fault == "gpu-other"
    assert "device-side assert triggered). Choose the device cpu." in failed.message
    kernel = failed_by(RuntimeError("CUDA error: no kernel image is available for execution on the device"))
    assert kernel.fault == "gpu-no-kernel"
    assert "no code for this GPU" in kernel.message


def test_too_little_memory_on_the_gpu_stays_what_it_is() -> None:
    failed = failed_by(RuntimeError("CUDA error: out of memory"))
    assert failed.code == 3
    assert failed.fault is None


def test_the_fault_goes_through_the_pipe_to_slicer() -> None:
    failed = failed_by(RuntimeError("Numpy is not available"))
    assert (failed.package, failed.fault) == ("torch", "numpy")
    assert from_json(to_json(failed)) == failed
    assert json.loads(to_json(failed))["fault"] == "numpy"
