"""PyTorch and the other requirements of the worker, installed on demand.

Nothing here imports torch: the worker does, in its own process. What is installed is looked up in metadata; whether it
can be loaded is asked of the worker's own Python, see ``worker.probe``.
"""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.package_faults import Fault, PackageFault
from TomoRayLib.base.requirements import TORCH, Unmet, installed_version, read_requirements, unmet
from TomoRayLib.slicer.worker.failures import Failure, failure_of_package


class DamagedPackage(InputError):
    """A package of which only traces are there: pip takes it for installed. ``failure`` says so for the panel."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def torch_problem() -> str | None:
    """Return why PyTorch cannot be used as it is, in a sentence; None if it can. Looks at metadata only."""
    found = unmet(TORCH)
    if found is None:
        return None
    if found.found is None:
        return _("PyTorch is not installed in Slicer.")
    return _("PyTorch {found} is too old; TomoRay needs {least} or newer.").format(
        found=found.found, least=TORCH.versions.removeprefix(">=")
    )


def ensure(requirements: Path) -> None:
    """Make sure that the worker can run: PyTorch through the PyTorch extension, the rest through ``slicer.packaging``.

    Slicer asks before it installs anything. Call it on the main thread, when the user has pressed Synthesize. Raises
    InputError with what to do if something is still missing, DamagedPackage if it has to be removed first.
    """
    problem = torch_problem()
    if problem is not None:
        _install_torch(problem)
    ensure_packages(requirements)


def problem(requirements: Path) -> str | None:
    """Return why the worker cannot run as things are, in a sentence; None if it can."""
    lacking = _lacking(requirements)
    return torch_problem() or (_sentence(lacking) if lacking else None)


def _install_torch(problem: str) -> None:
    traces = installed_version("torch")
    if traces is not None and unmet(TORCH) == Unmet(TORCH):
        raise DamagedPackage(failure_of_package(PackageFault("torch", Fault.INCOMPLETE, f"metadata of {traces} alone")))
    try:
        import PyTorchUtils
    except ImportError:
        raise InputError(
            _(
                "{problem} Install the extension PyTorch (Extensions Manager, search for PyTorch), restart Slicer, and "
                "press Synthesize again."
            ).format(problem=problem)
        ) from None
    reason = ""
    try:
        PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH.versions)
    except Exception as error:  # the extension raises errors of pip, numpy, imports, ...
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    importlib.invalidate_caches()
    still = torch_problem()
    if still is None:  # what was raised on importing it here, the probe will tell of the worker's Python
        return
    if reason:
        raise InputError(
            _(
                "PyTorch could not be installed ({reason}). Open the module PyTorch Utils, install it there, and press "
                "Synthesize again."
            ).format(reason=reason)
        )
    raise InputError(_("{problem} Nothing was started.").format(problem=still))


def ensure_packages(requirements: Path) -> None:
    """Make sure that the packages of a requirements file are there, in versions that will do. Slicer asks before it
    installs any.

    Raises InputError with what to do if one is still missing.
    """
    lacking = _lacking(requirements)
    if not lacking:
        return
    names = " ".join(str(one.requirement) for one in lacking)
    advice = _(
        'Install {names} with Slicer\'s Python: in the Python console, slicer.util.pip_install("{names}").'
    ).format(names=names)
    try:
        from slicer import packaging
    except ImportError:  # before Slicer 5.12
        raise InputError(f"{_sentence(lacking)} {advice}") from None
    try:
        packaging.pip_ensure(packaging.load_requirements(str(requirements)), requester="TomoRay")
    except (RuntimeError, subprocess.CalledProcessError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            _("{names} could not be installed ({reason}). {advice}").format(
                names=", ".join(one.requirement.name for one in lacking), reason=reason, advice=advice
            )
        ) from None
    still = _lacking(requirements)
    if still:
        raise InputError(f"{_sentence(still)} {advice}")


def _lacking(requirements: Path) -> list[Unmet]:
    """What of a requirements file is not there, or too old or too new."""
    found = (unmet(requirement) for requirement in read_requirements(requirements))
    return [one for one in found if one is not None]


def _sentence(lacking: list[Unmet]) -> str:
    parts = [
        _("{name} is not installed").format(name=one.requirement.name)
        if one.found is None
        else _("{name} {found} is installed, and {needed} is needed").format(
            name=one.requirement.name, found=one.found, needed=one.requirement.versions
        )
        for one in lacking
    ]
    return f"{'; '.join(parts)}."
