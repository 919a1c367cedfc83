"""Failures of a run, each as a sentence and a remedy for the person at the screen."""

from __future__ import annotations

import signal
import traceback
from dataclasses import dataclass

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.jobs.events import ExitCode, Failed
from TomoRayLib.slicer.worker.controls import with_control

LOG_TAIL_LINES = 60


@dataclass(frozen=True)
class Failure:
    """``sentence`` says what happened, ``remedy`` what to do (may be empty), ``log`` is for a report.

    ``offer_cpu``: the GPU had too little memory, and the CPU would do.
    """

    sentence: str
    remedy: str = ""
    log: str = ""
    offer_cpu: bool = False

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
        return _missing_package(error.package, whole_log)
    if exit_code == ExitCode.OUT_OF_MEMORY or _was_terminated(error, exit_code, log):
        return _out_of_memory(exit_code, device, whole_log)
    if error is not None and error.code == ExitCode.INTERNAL_ERROR:
        return Failure(error.message, _("They are in the log under Advanced."), whole_log)
    if error is not None:
        return Failure(with_control(error.message, error.field), "", whole_log)
    return Failure(
        _("The worker ended unexpectedly (exit code {code}).").format(code=exit_code),
        _("Try again; if it happens again, report it with the log under Advanced."),
        whole_log,
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


def _missing_package(package: str, log: str) -> Failure:
    if package == "torch":
        return Failure(
            _("PyTorch is not installed in Slicer."),
            _("Press Synthesize again and agree to install it, or install it in the module PyTorch Utils."),
            log,
        )
    return Failure(
        _("The Python package {package} is not installed.").format(package=package),
        _("Press Synthesize again and agree to install it; without network, install it from a wheel."),
        log,
    )


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
    sentence = _("Out of memory: a synthesis needs about 2 GB.")
    if exit_code != ExitCode.OUT_OF_MEMORY:
        sentence = _(
            "The worker was terminated by the operating system, most likely because memory ran out (it needs about "
            "2 GB)."
        )
    return Failure(sentence, _("Close other programs or data sets and try again."), log)
