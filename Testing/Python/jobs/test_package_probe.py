"""The probe tells in the worker's own Python whether its packages can be loaded, and which one cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from support.broken_environments import Environment, write_wheel
from TomoRayLib.jobs.package_probe import stamps

REPOSITORY = Path(__file__).resolve().parents[3]
ASKED = ("torch>=2.6", "safetensors>=0.4.3")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="breaks libraries of Linux by links")


def probed(python: Path | str, *asked: str) -> tuple[int, list[dict[str, Any]]]:
    run = subprocess.run(
        [str(python), "-m", "TomoRayLib.jobs.package_probe", *(asked or ASKED)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        timeout=180,
        check=False,
    )
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


def test_a_good_environment(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    code, lines = probed(environment.python)
    assert code == 0
    found = lines[-1]["packages"]
    assert found["fault"] is None
    assert found["versions"] == {"torch": version("torch"), "safetensors": version("safetensors")}
    assert stamps(found["files"]) == found["files"]
    environment.remove("torch/lib/libc10.so")  # its folder tells
    assert stamps(found["files"]) != found["files"]


def test_an_old_version_a_damaged_and_a_missing_package(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    environment.set_version("torch", "2.5.1+cu124")
    code, lines = probed(environment.python)
    assert code == 1
    assert lines[-1]["packages"]["fault"] == "old"
    assert "2.5.1+cu124" in lines[-1]["packages"]["said"]
    environment.remove("safetensors/__init__.py")
    environment.set_version("torch", "2.6.0")
    assert probed(environment.python)[1][-1]["packages"]["package"] == "safetensors"
    environment.remove("torch")
    environment.remove("torch-*.dist-info")
    assert probed(environment.python)[1][-1]["packages"]["fault"] == "missing"


def test_a_library_that_ends_the_process_leaves_the_name_of_its_package(tmp_path: Path) -> None:
    """A library cut off in its middle: the system ends the process that loads it."""
    environment = Environment(tmp_path)
    environment.replace("torch/lib/libc10.so", environment.content("torch/lib/libc10.so")[:100_000])
    code, lines = probed(environment.python)
    assert code < 0
    assert lines == [{"loading": "torch"}]


def test_pip_repairs_what_it_was_given_a_wheel_for(tmp_path: Path) -> None:
    """The environments of these tests are real ones: pip removes the damaged package and installs another."""
    environment = Environment(tmp_path)
    environment.remove("torch/nn")
    index = write_wheel(tmp_path / "wheels").parent
    again = environment.pip("install", "--no-index", "--find-links", str(index), "--no-deps", "torch>=2.6")
    assert "already satisfied" in again.stdout
    assert probed(environment.python)[1][-1]["packages"]["fault"] == "incomplete"
    assert environment.pip("uninstall", "-y", "torch").returncode == 0
    done = environment.pip("install", "--no-index", "--find-links", str(index), "--no-deps", "torch>=2.6")
    assert done.returncode == 0, done.stderr
    code, lines = probed(environment.python)
    assert code == 0, lines
