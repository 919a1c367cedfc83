"""A process of ours runs no module that happens to lie in the folder it was started in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from TomoRayLib.base.search_path import SAFE_PATH, environment_without_working_folder

NAMES = ("json", "numpy", "torch", "typer", "dataclasses", "pickle", "csv")
ROOT = Path(__file__).resolve().parents[3]
IS_SAFE = sys.version_info >= (3, 11)  # a Python that can be told not to begin with the working folder


@pytest.fixture
def a_folder_of_traps(tmp_path: Path) -> Path:
    """Modules that would leave a file with their name."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in NAMES:
        text = f"import pathlib; pathlib.Path({str(tmp_path / f'{name}_was_run')!r}).touch()\nraise SystemExit(77)\n"
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def sprung(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.glob("*_was_run")]


def run_in(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != SAFE_PATH}
    environment |= {"PYTHONPATH": str(ROOT), **more}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120
    )


def test_the_traps_are_sprung_by_a_python_that_is_not_told(a_folder_of_traps: Path) -> None:
    assert run_in(a_folder_of_traps, "-c", "import numpy").returncode == 77
    assert sprung(a_folder_of_traps) == ["numpy_was_run"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no folder that a process works in")
def test_our_command_begins_in_a_folder_that_was_deleted(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.mkdir(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]); "
        "os.execv(sys.executable, [sys.executable, '-m', 'TomoRayLib.cli', '--version'])"
    )
    done = run_in(tmp_path, "-c", code, str(tmp_path / "gone"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["TomoRayLib.cli", "TomoRayLib.worker"])
def test_our_commands_run_no_module_of_the_working_folder(a_folder_of_traps: Path, module: str) -> None:
    done = run_in(a_folder_of_traps, "-m", module, "models")
    assert sprung(a_folder_of_traps) == []
    assert done.returncode == (0 if module.endswith("cli") else 2), done.stderr  # the worker wants a job file


@pytest.mark.skipif(not IS_SAFE, reason="before Python 3.11 a child process begins with its working folder")
def test_nor_do_the_processes_that_they_start(a_folder_of_traps: Path) -> None:
    code = (
        "import sys; sys.path.pop(0)\n"
        "from TomoRayLib.base.search_path import leave_out_working_folder\n"
        "leave_out_working_folder()\n"
        "import multiprocessing\n"
        "child = multiprocessing.get_context('spawn').Process(target=print, args=('child',))\n"
        "child.start(); child.join(); sys.exit(child.exitcode)\n"
    )
    done = run_in(a_folder_of_traps, "-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, "child"), done.stderr
    assert sprung(a_folder_of_traps) == []


def test_tomoray_itself_is_found_where_it_is_started_from(tmp_path: Path) -> None:
    done = run_in(ROOT, "-m", "TomoRayLib.cli", "--version", PYTHONPATH="")
    assert done.returncode == 0
    assert done.stdout.startswith("tomoray ")


def test_only_absolute_entries_are_passed_on() -> None:
    given = {"PYTHONPATH": os.pathsep.join(["", str(ROOT), ".", "lib"]), "HOME": "/x"}
    changed = environment_without_working_folder(given)
    assert changed == {"PYTHONPATH": str(ROOT), "HOME": "/x", SAFE_PATH: "1"}
