"""What the command says if it cannot begin: a package is broken, its folder is gone, or a word is empty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.broken_environments import Environment

ROOT = Path(__file__).resolve().parents[3]
START = "import sys; sys.argv = ['tomoray', *{arguments}]; from TomoRayLib.cli.start import run; run()"


def tomoray(*arguments: str, module: str = "TomoRayLib.cli", **more) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", env=environment, timeout=120, check=False, **more
    )


@pytest.mark.skipif(sys.platform != "linux", reason="makes environments by links")
@pytest.mark.parametrize("package", ["typer", "rich", "numpy"])
def test_a_package_that_the_command_itself_needs_is_named(tmp_path: Path, package: str) -> None:
    environment = Environment(tmp_path, (package,))
    environment.remove(package)
    ended = environment.run(START.format(arguments=["models"]))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error The Python package {package} is"), ended.stderr
    ended = environment.run(START.format(arguments=["models", "--json"]))
    event = json.loads(ended.stdout)
    assert (event["event"], event["package"]) == ("error", package)
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be deleted")
@pytest.mark.parametrize("words", [("cli", "project", "ct.nrrd", "--out", "out"), ("worker", "job.json")])
def test_a_working_folder_that_was_deleted_is_a_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    def delete_it() -> None:
        os.chdir(gone)
        gone.rmdir()

    ended = tomoray(*words[1:], module=f"TomoRayLib.{words[0]}", preexec_fn=delete_it)
    assert ended.returncode == 2
    assert "Expected to be run in a folder that exists" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("words", [("--out", ""), ("--out=",)])
def test_an_empty_word_is_refused_and_not_taken_for_this_folder(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = tomoray("demo", "--offline", *words, cwd=tmp_path)
    assert ended.returncode == 2
    assert "Expected a value after --out, got an empty text" in ended.stderr
    assert list(tmp_path.iterdir()) == []
