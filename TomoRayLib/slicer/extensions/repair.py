"""The repair of packages that the worker cannot load: what to do next, and doing it.

Each step is taken once: what was tried is remembered, in Slicer's settings as some steps need a restart, until the
packages can be loaded again.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any

import slicer
import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.base.package_faults import Fault
from TomoRayLib.base.requirements import TORCH, Requirement

KEY = "TomoRay/RepairsTried"  # in the settings of this Slicer version: steps by package
AGAIN = ("--force-reinstall", "--no-deps")  # pip's words for it
OF_SLICER = frozenset(("numpy", "scipy", "SimpleITK", "vtk", "vtkmodules", "pydicom", "PIL", "pip"))


class Step(Enum):
    """What can be done about a package; the values are what the settings hold."""

    INSTALL = "install"  # remove it and install it again
    BLOCKED = "blocked"  # that failed while its files may be in use: it is tried once more after a restart
    RESTART = "restart"  # files in use are free afterwards
    RUNTIME = "runtime"  # Microsoft's libraries, which PyTorch needs on Windows
    CPU_BUILD = "cpu"  # the PyTorch without CUDA, which has the fewest libraries
    EXTENSION = "extension"  # the extension PyTorch is not there
    ADMINISTRATOR = "administrator"
    SLICER = "slicer"  # a package that belongs to Slicer
    BY_HAND = "by hand"


@dataclass(frozen=True)
class Advice:
    """What to do next: a sentence, and the text of the button that does it (None: a person has to)."""

    step: Step
    sentence: str
    button: str | None = None


def next_step(package: str, fault: Fault, tried: Collection[Step], can_be_in_use: bool, platform: str) -> Step:
    """Return the first step that was not tried.

    Args:
        package: Import name of the package.
        fault: What is wrong with it.
        tried: The steps that were taken.
        can_be_in_use: True if its files may be open in Slicer, so that a restart would help.
        platform: As ``sys.platform``.
    """
    steps = _steps(package, fault, can_be_in_use, platform)
    if Step.BLOCKED in tried:
        steps = [Step.RESTART, *steps]
    return next(step for step in steps if step not in tried)


def _steps(package: str, fault: Fault, can_be_in_use: bool, platform: str) -> list[Step]:
    """The steps in their order. The last one is never taken by TomoRay."""
    if package in OF_SLICER:
        return [Step.SLICER]
    if fault is Fault.FORBIDDEN:
        return [Step.ADMINISTRATOR]
    steps = [Step.INSTALL]
    if can_be_in_use and fault is not Fault.SYSTEM:
        steps.append(Step.RESTART)
    if package == "torch" and fault is not Fault.SYSTEM:
        if platform == "win32" and fault is Fault.LIBRARY:
            steps.append(Step.RUNTIME)
        if platform != "darwin":  # which has one build
            steps.append(Step.CPU_BUILD)
    return [*steps, Step.BY_HAND]


def advice(package: str, fault: Fault) -> Advice:
    """Return what to do next about a package that the worker cannot load."""
    in_use = package in sys.modules or sys.platform == "win32"
    step = next_step(package, fault, tried(package), in_use, sys.platform)
    if package == "torch" and step in (Step.INSTALL, Step.CPU_BUILD) and _pytorch() is None:
        step = Step.EXTENSION
    name = "PyTorch" if package == "torch" else package
    sentence = {
        Step.INSTALL: _("Press Repair {name}: it is removed and installed again."),
        Step.RESTART: _("Its files may be in use. Restart Slicer, and press Synthesize before other modules use it."),
        Step.RUNTIME: _(
            "Installing it again did not help. Install Microsoft's Visual C++ Redistributable (x64) from "
            "microsoft.com, and press Synthesize again."
        ),
        Step.CPU_BUILD: _(
            "Installing it again did not help. The build for the CPU alone needs fewer libraries, and a synthesis on "
            "the CPU takes less than a minute."
        ),
        Step.EXTENSION: _("Install the extension PyTorch (Extensions Manager), restart Slicer, and press Synthesize."),
        Step.ADMINISTRATOR: _("Ask whoever administers this computer to allow Slicer's Python to load it."),
        Step.SLICER: _("It is a part of Slicer: install Slicer again."),
        Step.BY_HAND: _(
            "All that TomoRay can do was tried. Start Slicer anew, remove {name} before anything else is opened, "
            "install another version of it, or install Slicer again; and please report it with the log under Advanced."
        ),
    }[step]
    button = {
        Step.INSTALL: _("Repair {name}"),
        Step.RESTART: _("Restart Slicer"),
        Step.RUNTIME: _("I have installed it"),
        Step.CPU_BUILD: _("Install the CPU build of {name}"),
    }.get(step)
    return Advice(step, sentence.format(name=name), button.format(name=name) if button is not None else None)


def take(step: Step, package: str, requirement: Requirement) -> str:
    """Take a step that has a button, and remember that it was taken.

    Returns what went wrong, in a few words; empty if nothing did. Whether the package can be loaded now has to be
    probed in either case.
    """
    problem = ""
    try:
        if step is Step.RESTART:
            remember(package, step)
            slicer.util.restart()
            return ""
        if package == "torch" and step in (Step.INSTALL, Step.CPU_BUILD):
            _install_torch("cpu" if step is Step.CPU_BUILD else None)
        elif step is Step.INSTALL:
            slicer.util.pip_install([*AGAIN, str(requirement)])
    except Exception as error:  # the extension and pip raise what they like
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        logging.warning("TomoRay: repair of %s: %s", package, error)
    in_use = package in sys.modules or sys.platform == "win32"
    is_blocked = problem and in_use and step is Step.INSTALL and Step.RESTART not in tried(package)
    remember(package, Step.BLOCKED if is_blocked else step)
    return problem


def _install_torch(backend: str | None) -> None:
    """Remove PyTorch, as pip keeps a damaged one that has the right version, and install it again."""
    logic = _pytorch()
    if logic is None:
        return
    logic.uninstallTorch()
    logic.installTorch(askConfirmation=False, forceComputationBackend=backend, torchVersionRequirement=TORCH.versions)


def _pytorch() -> Any:
    """The logic of the extension PyTorch, None without it."""
    try:
        import PyTorchUtils
    except ImportError:
        return None
    return PyTorchUtils.PyTorchUtilsLogic()


def tried(package: str) -> frozenset[Step]:
    """Return the steps that were taken for a package since it could be loaded last."""
    known = {step.value: step for step in Step}
    return frozenset(known[name] for name in _all_tried().get(package, ()) if name in known)


def remember(package: str, step: Step) -> None:
    """Note that a step was taken."""
    everything = _all_tried()
    everything[package] = sorted({*everything.get(package, ()), step.value})
    _write(everything)


def forget() -> None:
    """Note that all packages can be loaded: the next fault is a new one."""
    if _all_tried():
        _write({})


def _all_tried() -> dict[str, list[str]]:
    try:
        content = json.loads(str(slicer.app.revisionUserSettings().value(KEY) or "{}"))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _write(everything: dict[str, list[str]]) -> None:
    slicer.app.revisionUserSettings().setValue(KEY, json.dumps(everything))
