"""Stand-in for Slicer's ``slicer.packaging``: checks requirements truly, records installations, installs nothing."""

from __future__ import annotations

import importlib.metadata
import logging
from pathlib import Path

import slicer
from packaging.requirements import Requirement

installations: list[list[str]] = []  # for tests: what ``pip_install`` was asked for
_in_progress = False


def load_requirements(path) -> list[Requirement]:
    """The requirements of a pip file, without comments and options."""
    lines = [line.split(" #")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def _as_requirements(requirements) -> list[Requirement]:
    if isinstance(requirements, (str, Requirement)):
        requirements = requirements.split() if isinstance(requirements, str) else [requirements]
    return [item if isinstance(item, Requirement) else Requirement(item) for item in requirements]


def _is_met(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        installed = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(installed, prereleases=True)


def pip_check(requirements, **_options) -> bool:
    """True if the installed packages meet all requirements."""
    return all(_is_met(requirement) for requirement in _as_requirements(requirements))


def isPipInstallInProgress() -> bool:
    return _in_progress


def pip_install(requirements, **_options) -> None:
    """Record what would be installed: words of pip's command line, and what stands behind them."""
    words = requirements.split() if isinstance(requirements, str) else list(requirements)
    options = [word for word in words if isinstance(word, str) and word.startswith("-")]
    others = _as_requirements([word for word in words if word not in options])
    installations.append([*options, *(str(requirement) for requirement in others)])


def pip_uninstall(requirements, **_options) -> None:
    """Nothing is removed."""


def pip_ensure(requirements, prompt_install=True, requester=None, skip_in_testing=True, **options) -> None:
    """Ask, then install what is missing. RuntimeError when the user declines; nothing happens in testing mode."""
    missing = [requirement for requirement in _as_requirements(requirements) if not _is_met(requirement)]
    if not missing:
        return
    if skip_in_testing and slicer.app.testingEnabled():
        logging.info("testing mode: %s not installed", missing)
        return
    names = "\n".join(str(requirement) for requirement in missing)
    question = f"{requester or 'A module'} needs Python packages that are not installed:\n{names}\nInstall them now?"
    if prompt_install and not slicer.util.confirmOkCancelDisplay(question, "Install Python packages"):
        raise RuntimeError(f"Installation of {', '.join(str(item) for item in missing)} was declined.")
    pip_install(missing, **options)
