"""Versions are compared as pip compares them, and what is installed is looked up without loading it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement as Judge

from TomoRayLib.base.requirements import LEAST_TORCH, Requirement, parsed, read_requirements, unmet

REPOSITORY = Path(__file__).resolve().parents[3]
SPECIFIERS = (
    ">=2.6",
    ">=0.4.3",
    ">=0.28,<1",
    "<2",
    ">2.6",
    "==2.13",
    "!=2.5.1",
    "~=2.6",
    "~=0.4.3",
    "==2.*",
    "<=2.6.0",
)
VERSIONS = (
    *("0.4.2", "0.4.3", "0.4.10", "0.27.9", "0.28", "0.28.0", "0.28.2", "0.99", "1", "1.0", "1.0.0", "2", "2.0.0"),
    *("2.4.1", "2.5.1", "2.5.1+cu124", "2.6", "2.6.0", "2.6.0+cpu", "2.10.0", "2.13.0+cpu", "3.0", "2.6.0.post1"),
    *("2.6.0rc1", "2.7.0.dev20250201", "1.0rc1"),
)


@pytest.mark.parametrize("specifier", SPECIFIERS)
def test_versions_are_compared_as_pip_does(specifier: str) -> None:
    requirement, judge = parsed(f"package{specifier}"), Judge(f"package{specifier}")
    for version in VERSIONS:
        expected = judge.specifier.contains(version, prereleases=True)
        assert requirement.is_met_by(version) is expected, version


def test_the_files_of_the_repository_are_read_as_pip_reads_them() -> None:
    for path in (REPOSITORY / "Resources").glob("requirements*.txt"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        assert lines
        for read, line in zip(read_requirements(path), lines, strict=True):
            judge = Judge(line)
            assert read.name == judge.name
            assert set(filter(None, read.versions.split(","))) == {str(one) for one in judge.specifier}


def test_torch_is_asked_for_in_one_version_everywhere() -> None:
    """The floor of the library is not below that of Slicer, which refuses what is older."""
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    (asked,) = re.findall(r'"torch>=([0-9.]+)"', project)
    assert parsed(f"torch>={LEAST_TORCH}").is_met_by(asked)


def test_what_is_installed_is_told_by_version_and_not_by_presence() -> None:
    from importlib.metadata import version

    assert unmet(Requirement("numpy", ">=1.26")) is None
    too_old = unmet(Requirement("numpy", ">=1000"))
    assert too_old is not None
    assert too_old.found == version("numpy")
    gone = unmet(Requirement("no_such_package"))
    assert gone is not None
    assert gone.found is None


def test_a_package_without_metadata_counts_and_nothing_is_loaded(tmp_path: Path) -> None:
    package = tmp_path / "unlisted"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('it was loaded')", encoding="utf-8")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from TomoRayLib.base.requirements import Requirement, unmet\n"
        "print(unmet(Requirement('unlisted', '>=3')), 'unlisted' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=REPOSITORY, check=True, timeout=60)
    assert run.stdout.strip() == "None False"
