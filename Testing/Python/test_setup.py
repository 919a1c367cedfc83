"""The set-up script says in a sentence what is wrong, and leaves nothing half-made. Nothing is downloaded here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="needs bash")


@pytest.fixture
def a_checkout(tmp_path: Path) -> Path:
    """The files that the set-up needs of the repository, in a folder whose name has a space."""
    checkout = tmp_path / "a checkout"
    for name in ("tools", "constraints"):
        shutil.copytree(ROOT / name, checkout / name)
    shutil.copy(ROOT / "pyproject.toml", checkout)
    return checkout


def _set_up(checkout: Path, profile: str = "demo", **variables: str) -> subprocess.CompletedProcess[str]:
    names = ("PYTHON", "VENV", "SETUP_NEED_MB", "TORCH_CPU_INDEX", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in names and name[:4] != "PIP_"}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "SETUP_NEED_MB": "1", "PYTHON": sys.executable, **variables}
    command = ["bash", str(checkout / "tools" / "setup"), profile]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def _fake_python(folder: Path, version: str, script: str = "exit 1") -> Path:
    """A program that says it is this Python; all else it is asked runs ``script``."""
    path = folder / "a-python"
    path.write_text(f'#!/bin/sh\ncase "$2" in *version_info*) echo {version} ;; *) {script} ;; esac\n')
    path.chmod(0o755)
    return path


def test_python_that_is_too_old_is_named_with_a_remedy(a_checkout: Path, tmp_path: Path) -> None:
    result = _set_up(a_checkout, PYTHON=str(_fake_python(tmp_path, "3.9")))
    assert result.returncode == 2
    assert "needs Python 3.10, 3.11, 3.12 or 3.13" in result.stderr
    assert "is 3.9" in result.stderr
    assert "make demo PYTHON=" in result.stderr
    assert not (a_checkout / ".venv").exists()


def test_python_without_the_oldest_versions_is_named_with_a_remedy(a_checkout: Path, tmp_path: Path) -> None:
    result = _set_up(a_checkout, "oldest", PYTHON=str(_fake_python(tmp_path, "3.12")))
    assert result.returncode == 2
    assert "needs Python 3.10 or 3.11 for its oldest requirements" in result.stderr
    assert "is 3.12" in result.stderr
    assert "make test-oldest PYTHON=" in result.stderr
    assert not (a_checkout / ".venv").exists()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the oldest versions are for Python 3.10 and 3.11")
def test_index_without_the_oldest_torch_leads_to_the_newer_cpu_build(a_checkout: Path) -> None:
    result = _set_up(a_checkout, "oldest", PIP_NO_INDEX="1", TORCH_CPU_INDEX="http://127.0.0.1:9/whl/cpu")
    assert result.returncode == 2
    assert "the oldest torch" in result.stdout
    assert "the newer one of constraints/cpu.txt takes its place" in result.stdout
    assert "make TORCH_CPU_INDEX=URL" in result.stderr
    assert not (a_checkout / ".venv").exists()


def test_missing_python_is_named(a_checkout: Path) -> None:
    result = _set_up(a_checkout, PYTHON="no-such-python")
    assert result.returncode == 2
    assert "no-such-python is not there" in result.stderr


def test_missing_venv_module_names_the_debian_package(a_checkout: Path, tmp_path: Path) -> None:
    result = _set_up(a_checkout, PYTHON=str(_fake_python(tmp_path, "3.12")))
    assert result.returncode == 2
    assert "apt install python3-venv" in result.stderr
    assert not (a_checkout / ".venv").exists()


def test_full_disk_is_said_with_both_figures_before_anything_is_made(a_checkout: Path) -> None:
    result = _set_up(a_checkout, SETUP_NEED_MB="999999999")
    assert result.returncode == 2
    assert "needs 999999999 MB free" in result.stderr
    assert "MB are free" in result.stderr
    assert not (a_checkout / ".venv").exists()


def test_without_network_it_says_so_and_removes_the_new_environment(a_checkout: Path) -> None:
    nobody_listens = "http://127.0.0.1:9/simple"
    result = _set_up(a_checkout, PIP_INDEX_URL=nobody_listens, PIP_RETRIES="1", TORCH_CPU_INDEX=nobody_listens)
    assert result.returncode == 2
    assert "could not reach the package index" in result.stderr
    assert "Check the network" in result.stderr
    assert not (a_checkout / ".venv").exists()
    assert (a_checkout / "output" / "setup.log").is_file()


def test_index_without_the_cpu_build_leads_to_the_cpu_index_and_never_to_the_cuda_build(a_checkout: Path) -> None:
    result = _set_up(a_checkout, PIP_NO_INDEX="1", TORCH_CPU_INDEX="http://127.0.0.1:9/whl/cpu")
    assert result.returncode == 2
    assert "asking http://127.0.0.1:9/whl/cpu" in result.stdout
    assert "make TORCH_CPU_INDEX=URL" in result.stderr
    assert not (a_checkout / ".venv").exists()


def test_environment_of_an_interrupted_set_up_is_made_anew(a_checkout: Path) -> None:
    venv = a_checkout / ".venv"
    venv.mkdir()
    (venv / "tomoray-setup-incomplete").write_text("99999999")  # no process has this number
    (venv / "half").touch()
    result = _set_up(a_checkout, PIP_NO_INDEX="1")
    assert "starting afresh" in result.stdout
    assert not venv.exists()


def test_second_set_up_at_the_same_time_is_refused(a_checkout: Path) -> None:
    venv = a_checkout / ".venv"
    venv.mkdir()
    (venv / "tomoray-setup-incomplete").write_text(str(os.getpid()))
    result = _set_up(a_checkout)
    assert result.returncode == 2
    assert "Another set-up" in result.stderr
    assert venv.exists()


def test_folder_that_is_no_environment_is_left_as_it_is(a_checkout: Path) -> None:
    (a_checkout / ".venv").mkdir()
    (a_checkout / ".venv" / "thesis.txt").write_text("the only copy")
    result = _set_up(a_checkout)
    assert result.returncode == 2
    assert "holds no working Python environment" in result.stderr
    assert (a_checkout / ".venv" / "thesis.txt").read_text(encoding="utf-8") == "the only copy"
