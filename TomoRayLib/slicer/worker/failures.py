"""Failures of a run, each as a sentence and a remedy for the person at the screen."""

from __future__ import annotations

import signal
import traceback
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.gpu_faults import GpuFault, gpu_fault
from TomoRayLib.base.package_faults import Fault, PackageFault
from TomoRayLib.jobs.events import ExitCode, Failed
from TomoRayLib.slicer.worker.controls import with_control

LOG_TAIL_LINES = 60
NEED_GB = 1.1  # most memory of a synthesis from a CT on the CPU, see docs/performance.md
DECLARES = "header declares"  # in the sentence on a file that declares more than memory holds (images.declared_size)


@dataclass(frozen=True)
class Failure:
    """``sentence`` says what happened, ``remedy`` what to do (may be empty), ``log`` is for a report.

    ``offer_cpu``: the GPU has failed or had too little memory, and the CPU would do. ``package`` is the import name of
    a Python package that cannot be loaded, and ``fault`` what is wrong with it.
    """

    sentence: str
    remedy: str = ""
    log: str = ""
    offer_cpu: bool = False
    package: str | None = None
    fault: Fault | None = None

    @property
    def text(self) -> str:
        return f"{self.sentence} {self.remedy}".strip()


def failure_of_worker(error: Failed | None, exit_code: int | None, log: str, device: str) -> Failure:
    """Return what the end of a worker means.

    Args:
        error: The event in which it ended, None if it died without one.
        exit_code: Its exit code.
        log: What it printed apart from events.
        device: The device that the job asked for.
    """
    details = error.details if error is not None else ""
    whole_log = "\n".join(part for part in (details, *log.splitlines()[-LOG_TAIL_LINES:]) if part)
    if error is not None and error.package is not None:
        fault = _member(Fault, error.fault) or Fault.MISSING
        return failure_of_package(PackageFault(error.package, fault), whole_log)
    gpu = _member(GpuFault, error.fault) if error is not None else None
    if gpu is not None:
        return _gpu_failed(gpu, whole_log)
    if error is not None and error.code == ExitCode.OUT_OF_MEMORY and DECLARES in error.message:
        return Failure(with_control(error.message, error.field), "", whole_log)  # a file's fault, with figures
    if exit_code == ExitCode.OUT_OF_MEMORY or _was_terminated(error, exit_code, log):
        return _out_of_memory(exit_code, device, whole_log)
    if error is not None and error.code == ExitCode.INTERNAL_ERROR:
        return Failure(error.message, _("They are in the log under Advanced."), whole_log)
    if error is not None:  # a GPU that was asked for and is not there, say
        on_gpu = error.field == "device" and device.startswith("cuda")
        return Failure(with_control(error.message, error.field), "", whole_log, offer_cpu=on_gpu)
    return Failure(
        _("The worker ended unexpectedly (exit code {code}).").format(code=exit_code),
        _("Try again; if it happens again, report it with the log under Advanced."),
        whole_log,
        offer_cpu=device.startswith("cuda") or (device == "auto" and gpu_fault(log) is not None),
    )


def failure_of_exception(error: Exception, log: str = "") -> Failure:
    """Return what an exception in Slicer's own process means, before the worker started or after it ended."""
    if isinstance(error, InputError):
        return Failure(with_control(str(error), error.field), "", log)
    if isinstance(error, OutputError):
        return Failure(str(error), "", log)
    if isinstance(error, OSError):
        return Failure(
            _("The temporary folder cannot be used: {reason}.").format(reason=error.strerror or str(error)),
            _("Free some space, or choose another temporary folder in Slicer."),
            log,
        )
    details = "".join(traceback.format_exception(error))
    return Failure(
        internal_error_sentence(error), _("Please report it with the log under Advanced."), f"{details}{log}"
    )


def internal_error_sentence(error: Exception) -> str:
    """Name an error that nobody foresaw."""
    return _("Internal error in TomoRay ({kind}: {reason}).").format(kind=type(error).__name__, reason=error)


def failure_of_package(broken: PackageFault, log: str = "") -> Failure:
    """Return what a package that cannot be loaded means. The remedy is the first one; see ``extensions.repair``."""
    sentence = _("{package} {problem}.").format(package=package_title(broken.package), problem=_words(broken))
    if broken.package == "torch" and broken.fault is Fault.MISSING:
        remedy = _("Press Synthesize again and agree to install it, or install it in the module PyTorch Utils.")
    elif broken.fault is Fault.MISSING:
        remedy = _("Press Synthesize again and agree to install it; without network, install it from a wheel.")
    else:
        remedy = _("It has to be installed again.")
    whole = "\n".join(part for part in (broken.said, log) if part)
    return Failure(sentence, remedy, whole, package=broken.package, fault=broken.fault)


def package_title(package: str) -> str:
    """Name a package as a user knows it."""
    return "PyTorch" if package == "torch" else _("The Python package {package}").format(package=package)


def _words(broken: PackageFault) -> str:
    """What is wrong, as the second half of a sentence."""
    text = {
        Fault.MISSING: _("is not installed"),
        Fault.INCOMPLETE: _("is installed, but damaged: files of it are missing, cut off or of another version"),
        Fault.LIBRARY: _("is installed, but a library that it needs is missing or cannot be loaded"),
        Fault.SYSTEM: _("is installed, but built for a newer operating system than this one"),
        Fault.NUMPY: _("is installed, but built for another version of numpy than Slicer's"),
        Fault.ARCHITECTURE: _("is installed, but built for another kind of processor"),
        Fault.FORBIDDEN: _("is installed, but the operating system does not allow it to be loaded"),
        Fault.OLD: _("is too old"),
        Fault.CRASH: _("is installed, but ends the worker when it is loaded"),
    }[broken.fault]
    if broken.fault is Fault.MISSING and broken.package == "torch":
        return _("is not installed in Slicer")
    return f"{text} ({broken.said})" if broken.fault is Fault.OLD and broken.said else text


def _gpu_failed(fault: GpuFault, log: str) -> Failure:
    sentence = {
        GpuFault.NO_KERNEL: _("This PyTorch has no code for your GPU."),
        GpuFault.DRIVER: _("The GPU's driver is missing, too old, or does not answer."),
        GpuFault.OTHER: _("The GPU has failed."),
    }[fault]
    remedy = {
        GpuFault.NO_KERNEL: _(
            "Choose CPU under Advanced, or install another PyTorch in the module PyTorch Utils: its list of backends "
            "shows which fit."
        ),
        GpuFault.DRIVER: _("Choose CPU under Advanced, or update the driver from the GPU's maker and restart."),
        GpuFault.OTHER: _("Choose CPU under Advanced. The GPU's own words are in the log there."),
    }[fault]
    return Failure(sentence, remedy, log, offer_cpu=True)


def _member(kind: Any, value: str | None) -> Any:
    """The member of an enum with this value, None if it has none."""
    return next((member for member in kind if member.value == value), None)


def _was_terminated(error: Failed | None, exit_code: int | None, log: str) -> bool:
    """True if the operating system ended the worker. Slicer's launcher (PythonSlicer) prints so and exits with 1."""
    if exit_code == -int(getattr(signal, "SIGKILL", 9)):
        return True
    return error is None and exit_code == ExitCode.INTERNAL_ERROR and "exit abnormally" in log


def _out_of_memory(exit_code: int | None, device: str, log: str) -> Failure:
    on_gpu = device != "cpu" and ("CUDA" in log or device.startswith("cuda"))
    if on_gpu:
        return Failure(
            _("The GPU has too little free memory."),
            _("Choose CPU under Advanced, or close other programs that use the GPU."),
            log,
            offer_cpu=True,
        )
    sentence = _("Out of memory: a synthesis needs about {need} GB.").format(need=NEED_GB)
    if exit_code != ExitCode.OUT_OF_MEMORY:
        sentence = _(
            "The worker was terminated by the operating system, most likely because memory ran out (it needs about "
            "{need} GB)."
        ).format(need=NEED_GB)
    return Failure(sentence, _("Close other programs or data sets and try again."), log)
