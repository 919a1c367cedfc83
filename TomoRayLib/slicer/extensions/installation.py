"""PyTorch and the other requirements of the worker, installed on demand.

Nothing here imports torch: the worker does, in its own process.
"""

from __future__ import annotations

import importlib.util
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError

LEAST_TORCH = "2.4"


def torch_problem() -> str | None:
    """Return why PyTorch cannot be used as it is, in a sentence; None if it can. Looks at metadata only."""
    if importlib.util.find_spec("torch") is None:
        return _("PyTorch is not installed in Slicer.")
    try:
        found = version("torch")
    except PackageNotFoundError:
        return None  # there, though not installed by pip
    if _numbers(found) < _numbers(LEAST_TORCH):
        return _("PyTorch {found} is too old; TomoRay needs {least} or newer.").format(found=found, least=LEAST_TORCH)
    return None


def ensure(requirements: Path) -> None:
    """Make sure that the worker can run: PyTorch through the PyTorch extension, the rest through ``slicer.packaging``.

    Slicer asks before it installs anything. Call it on the main thread, when the user has pressed Synthesize. Raises
    InputError with what to do if something is still missing.
    """
    problem = torch_problem()
    if problem is not None:
        _install_torch(problem)
    ensure_packages(requirements)


def problem(requirements: Path) -> str | None:
    """Return why the worker cannot run as things are, in a sentence; None if it can."""
    missing = [name for name in requirement_names(requirements) if importlib.util.find_spec(name) is None]
    return torch_problem() or (_("{names} is not installed.").format(names=", ".join(missing)) if missing else None)


def _install_torch(problem: str) -> None:
    try:
        import PyTorchUtils
    except ImportError:
        raise InputError(
            _(
                "{problem} Install the extension PyTorch (Extensions Manager, search for PyTorch), restart Slicer, and "
                "press Synthesize again."
            ).format(problem=problem)
        ) from None
    try:
        PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=f">={LEAST_TORCH}")
    except Exception as error:  # the extension raises errors of pip, numpy, imports, ...
        raise InputError(
            _(
                "PyTorch could not be installed ({reason}). Open the module PyTorch Utils, install it there, and press "
                "Synthesize again."
            ).format(reason=str(error).splitlines()[0] if str(error) else type(error).__name__)
        ) from None
    importlib.invalidate_caches()
    still = torch_problem()
    if still is not None:
        raise InputError(_("{problem} Nothing was started.").format(problem=still))


def ensure_packages(requirements: Path) -> None:
    """Make sure that the packages of a requirements file are there. Slicer asks before it installs any.

    Raises InputError with what to do if one is still missing.
    """
    missing = [name for name in requirement_names(requirements) if importlib.util.find_spec(name) is None]
    if not missing:
        return
    advice = _(
        'Install {names} with Slicer\'s Python: in the Python console, slicer.util.pip_install("{names}").'
    ).format(names=" ".join(missing))
    try:
        from slicer import packaging
    except ImportError:  # before Slicer 5.12
        raise InputError(advice) from None
    try:
        packaging.pip_ensure(packaging.load_requirements(str(requirements)), requester="TomoRay")
    except (RuntimeError, subprocess.CalledProcessError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            _("{names} could not be installed ({reason}). {advice}").format(
                names=", ".join(missing), reason=reason, advice=advice
            )
        ) from None
    importlib.invalidate_caches()
    still = [name for name in missing if importlib.util.find_spec(name) is None]
    if still:
        raise InputError(advice)


def requirement_names(requirements: Path) -> list[str]:
    """The names in a requirements file; package and import name are the same for what TomoRay needs."""
    lines = (line.split("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [line.split(">")[0].split("=")[0].split("<")[0].strip() for line in lines if line]


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.13.0+cpu" is (2, 13)."""
    parts: Any = text.split("+")[0].split(".")[:2]
    return tuple(int("".join(sign for sign in part if sign.isdecimal()) or 0) for part in parts)
