"""PyTorch and the other requirements of the worker, installed on demand; and where the network can run.

Nothing here imports torch: the worker does, in its own process.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError

LEAST_TORCH = "2.4"
PROBE_S = 3.0
CPU_SECONDS = 22.0  # a synthesis with comparison and report, on two cores
CPU_SHARE_PARALLEL = 0.4  # of it gets faster with more cores


@dataclass(frozen=True)
class Device:
    """A place to run the network: ``name`` as the job takes it, ``label`` for the panel."""

    name: str
    label: str


def torch_problem() -> str | None:
    """Why PyTorch cannot be used as it is, in a sentence; None where it can. Looks at metadata only."""
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

    Slicer asks before it installs anything. Call it on the main thread, when the user pressed Synthesize. Raises
    InputError with what to do where something stays missing.
    """
    problem = torch_problem()
    if problem is not None:
        _install_torch(problem)
    _install_requirements(requirements)


def problem(requirements: Path) -> str | None:
    """Why the worker cannot run as things are, in a sentence; None where it can."""
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
    except Exception as error:  # the extension raises what it likes: pip, numpy and import errors among it
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


def _install_requirements(requirements: Path) -> None:
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
    """The import names in a requirements file, which are the package names for what we need."""
    lines = (line.split("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [line.split(">")[0].split("=")[0].split("<")[0].strip() for line in lines if line]


def devices(measured_cpu_seconds: float | None = None) -> list[Device]:
    """Automatic choice, each GPU with its free memory, and the CPU with the time a synthesis takes there."""
    gpus = [
        Device(
            f"cuda:{number}", _("GPU {number}: {name}, {free:.1f} GB free").format(number=number, name=name, free=free)
        )
        for number, name, free in nvidia_gpus()
    ]
    return [Device("auto", _("Automatic")), *gpus, Device("cpu", _cpu_label(measured_cpu_seconds))]


def nvidia_gpus() -> list[tuple[int, str, float]]:
    """(number, name, free GB) of each NVIDIA GPU, as the driver's own tool tells; empty where there is none."""
    command = ["nvidia-smi", "--query-gpu=index,name,memory.free", "--format=csv,noheader,nounits"]
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) if sys.platform == "win32" else 0
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_S, check=True, creationflags=flags
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_gpus(result.stdout)


def parse_gpus(printed: str) -> list[tuple[int, str, float]]:
    """The lines of ``nvidia-smi``: "0, NVIDIA RTX A4000, 15360" (MiB). Lines of another form are left out."""
    found = []
    for line in printed.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and parts[0].isdecimal() and parts[2].isdecimal():
            found.append((int(parts[0]), parts[1], int(parts[2]) / 1024))
    return found


def cpu_seconds(cores: int) -> float:
    """About how long a synthesis takes on this many cores."""
    return CPU_SECONDS * ((1 - CPU_SHARE_PARALLEL) + CPU_SHARE_PARALLEL * 2 / max(cores, 1))


def _cpu_label(measured_s: float | None) -> str:
    if measured_s is not None:
        return _("CPU: {seconds:.0f} s, as last time").format(seconds=measured_s)
    cores = os.cpu_count() or 1
    return _("CPU: about {seconds:.0f} s on {cores} cores").format(seconds=cpu_seconds(cores), cores=cores)


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.13.0+cpu" is (2, 13)."""
    parts: Any = text.split("+")[0].split(".")[:2]
    return tuple(int("".join(sign for sign in part if sign.isdecimal()) or 0) for part in parts)
