"""The oldest versions that TomoRay promises to run with: derived, explained, Slicer's among them."""

from __future__ import annotations

import re

import pytest

from support.repository_tools import ROOT, tool


def promised() -> dict[str, str]:
    """The oldest version of each package that TomoRay and its extras need."""
    oldest = tool("oldest")
    lines = oldest.requirements(ROOT / "pyproject.toml")
    pins = oldest.constraints(lines, torch=False) + oldest.constraints(lines, torch=True)[1:]
    return dict(pin.split(";")[0].strip().split("==") for pin in pins)


def test_oldest_versions_are_pinned_to_the_floors_of_pyproject() -> None:
    oldest = tool("oldest")
    lines = ["numpy>=1.26", "torch>=2.10", "lightning>=2.4,!=2.6.2", "tomli>=2; python_version < '3.11'"]
    assert oldest.constraints(lines, torch=False) == [
        "numpy==1.26",
        "lightning==2.4",
        "tomli==2; python_version < '3.11'",
    ]
    assert oldest.constraints(lines, torch=True)[0] == 'torch==2.10+cpu; sys_platform == "linux"'
    assert {"numpy", "torch", "pydicom", "numba", "distributed", "highdicom", "lightning"} <= set(promised())


def test_requirement_without_an_oldest_version_is_refused() -> None:
    with pytest.raises(SystemExit, match="Give it a floor"):
        tool("oldest").constraints(["numpy"], torch=False)


def test_every_oldest_version_is_explained() -> None:
    """The table in CONTRIBUTING.md has a row for each package, with the version of pyproject.toml."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    explained = dict(re.findall(r"^\| ([A-Za-z0-9]+) \| ([0-9.]+) \| \S", text, re.MULTILINE))
    assert explained == promised()


def test_slicers_requirements_start_no_later_than_those_of_the_package() -> None:
    for name in ("requirements.txt", "requirements-dicom.txt"):
        for line in (ROOT / "Resources" / name).read_text(encoding="utf-8").splitlines():
            found = re.match(r"([a-z]+)>=([0-9.]+)", line)
            assert line.startswith("#") or found, line
            if found:
                assert promised()[found[1]] == found[2]
