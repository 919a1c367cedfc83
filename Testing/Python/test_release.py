"""What is released depends on the commit alone, holds what it should, and is not called safe without an audit."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.repository_tools import ROOT, tool

MACHINE_PATH = re.compile(rb"/(home|root|work|Users)/[A-Za-z0-9_.-]+|[A-Z]:\\Users\\")


@pytest.fixture(scope="module")
def release() -> ModuleType:
    return tool("release")


@pytest.fixture(scope="module")
def builds(release: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What is released, without its bill of materials, built twice in two places."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("needs hatchling")
    place = tmp_path_factory.mktemp("release")
    try:
        one, other = (release.built(place / at, *how, sys.executable) for at, *how in release.PLACES)
    except (release.ReleaseError, OSError) as error:
        if "cmake is missing" in str(error) or "not a git repository" in str(error):
            pytest.skip(str(error))
        raise
    return one, other


@pytest.mark.slow
def test_two_builds_are_equal(builds: tuple[Path, Path], release: ModuleType) -> None:
    release.compare(*builds)
    assert {path.name.split("-")[0] for path in builds[0].iterdir()} == {"tomoray", "TomoRay"}
    assert len(release.checksums(builds[0])) == 3


@pytest.mark.slow
def test_source_archive_gives_the_same_wheel(builds: tuple[Path, Path], tmp_path: Path) -> None:
    source, wheel = next(builds[0].glob("*.tar.gz")), next(builds[0].glob("*.whl"))
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
        epoch = str(int(archive.getmembers()[0].mtime))
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "out")]
    folder = next(tmp_path.glob("tomoray-*"))
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    assert next((tmp_path / "out").glob("*.whl")).read_bytes() == wheel.read_bytes()


def contents(path: Path) -> dict[str, bytes]:
    """The files in a wheel, zip or source archive."""
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path) as archive:
            files = [(member.name, archive.extractfile(member)) for member in archive.getmembers()]
            return {name: file.read() for name, file in files if file is not None}
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist() if not name.endswith("/")}


@pytest.mark.slow
def test_released_files_hold_what_the_repository_holds_and_nothing_of_this_machine(builds: tuple[Path, Path]) -> None:
    listed = subprocess.run(["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    tracked = set(listed.stdout.split("\n"))
    for path in builds[0].iterdir():
        for name, content in contents(path).items():
            in_wheel = name.replace("TomoRayLib/Resources/", "Resources/")
            inner = in_wheel if path.suffix == ".whl" else name.split("/", 1)[1]
            made = ".dist-info/" in name or inner in ("PKG-INFO", "TomoRay.py")
            assert made or inner in tracked, f"{path.name}: {name}"
            if not inner.startswith(("Testing/", "docs/")):  # some tests name such paths on purpose
                assert not MACHINE_PATH.search(content), f"{path.name}: {name}"
    wheel = contents(next(builds[0].glob("*.whl")))
    library = {name for name in tracked if name.startswith("TomoRayLib/")}
    assert library <= set(wheel)
    source = {name.split("/", 1)[1] for name in contents(next(builds[0].glob("*.tar.gz")))}
    assert {"pyproject.toml", "CMakeLists.txt", "TomoRay/TomoRay.py", "tools/setup", "LICENSE", *library} <= source


@pytest.mark.slow
def test_wheel_runs_from_a_folder_of_its_own(builds: tuple[Path, Path], tmp_path: Path) -> None:
    wheel = next(builds[0].glob("*.whl"))
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path), str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    for words, expected in (
        (["-m", "TomoRayLib.cli", "--version"], wheel.name.split("-")[1]),
        (["-m", "TomoRayLib.cli", "models"], "geolift-s-permissive"),
        (["-c", "import TomoRayLib; print(TomoRayLib.__file__)"], str(tmp_path)),
    ):
        run: dict[str, Any] = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
        result = subprocess.run([sys.executable, *words], check=False, **run)
        assert result.returncode == 0, result.stderr
        assert expected in result.stdout


def test_builds_that_differ_are_named_and_refused(release: ModuleType, tmp_path: Path) -> None:
    for place, content in (("one", "a"), ("other", "b")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "same").write_text("same", encoding="utf-8")
        (tmp_path / place / "wheel").write_text(content, encoding="utf-8")
    with pytest.raises(release.ReleaseError, match="differ in wheel:"):
        release.compare(tmp_path / "one", tmp_path / "other")
    release.compare(tmp_path / "one", tmp_path / "one")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"dependencies": [{"name": "numpy", "version": "1", "vulns": []}]}', "no known vulnerability in 1"),
        ('{"dependencies": [{"name": "numpy", "skip_reason": "not found"}]}', "NOT AUDITED: 1 of 1"),
        ("no answer", "NOT AUDITED"),
    ],
)
def test_packages_that_nobody_could_ask_about_are_not_called_safe(
    answer: str, said: str, release: ModuleType, pip_audit: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    release.audit(pip_audit(answer), {"components": [{"type": "library", "name": "numpy", "version": "1+cpu"}]})
    assert said in capsys.readouterr().out


def test_known_vulnerability_stops_the_release(release: ModuleType, pip_audit: Callable[[str], Path]) -> None:
    answer = '{"dependencies": [{"name": "numpy", "version": "1", "vulns": [{"id": "CVE-1"}]}]}'
    with pytest.raises(release.ReleaseError, match=r"numpy 1: CVE-1"):
        release.audit(pip_audit(answer), {"components": [{"type": "library", "name": "numpy", "version": "1"}]})


@pytest.fixture
def pip_audit(tmp_path: Path) -> Callable[[str], Path]:
    """A program that answers as pip-audit does, if it is asked for pins without local versions."""

    def make(answer: str) -> Path:
        path = tmp_path / "python"
        lines = ("#!/bin/sh", 'grep -qx numpy==1 "$4" || exit 3', "cat <<'END'", answer, "END", "")
        path.write_text("\n".join(lines), encoding="utf-8")
        path.chmod(0o755)
        return path

    return make
