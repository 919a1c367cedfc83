"""What went wrong in the worker, as a sentence and a remedy for the person at the screen."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from slicer.i18n import tr as _

from TomoRayLib.jobs.events import ExitCode, Failed

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


def failure_of(error: Failed | None, exit_code: int | None, log: str, device: str) -> Failure:
    """The failure that a worker's ``error`` event (None where it died without one) and exit code mean.

    ``device`` is what the job asked for; ``log`` what the worker printed besides events.
    """
    message, details = (error.message, error.details) if error is not None else ("", "")
    whole_log = "\n".join(part for part in (details, *log.splitlines()[-LOG_TAIL_LINES:]) if part)
    text = f"{message}\n{whole_log}"
    missing = _missing_package(text)
    if missing == "torch":
        return Failure(
            _("PyTorch is not installed in Slicer."),
            _("Press Synthesize again and agree to install it, or install it in the module PyTorch Utils."),
            whole_log,
        )
    if missing is not None:
        return Failure(
            _("The Python package {package} is missing.").format(package=missing),
            _("Press Synthesize again and agree to install it; without network, install it from a wheel."),
            whole_log,
        )
    if exit_code == ExitCode.OUT_OF_MEMORY or _was_killed(error, exit_code, log):
        return _out_of_memory(exit_code, device, whole_log)
    if error is not None:
        return Failure(in_panel_words(message), "", whole_log)
    return Failure(
        _("The worker ended unexpectedly (exit code {code}).").format(code=exit_code),
        _("Try again; if it happens again, report it with the log under Advanced."),
        whole_log,
    )


def in_panel_words(text: str) -> str:
    """A sentence of the library with the panel's controls in place of the command line's options."""
    for option, control in (
        ("after --invert", _("after Invert")),
        ("--invert", _("tick Invert")),
        ("--flip-ap", _("Mirror (AP)")),
        ("--flip-lateral", _("Mirror (lateral)")),
        ("--isocenter", _("Centre")),
        ("--device cpu", _("CPU under Advanced")),
        ("--pixel-spacing ROW COLUMN", _("Pixel spacing")),
        ("--geometry", _("the geometry")),
    ):
        text = text.replace(option, control)
    return text


def fault_of(details: str) -> Failure:
    """An error that nobody foresaw, with its traceback as log."""
    reason = details.strip().splitlines()[-1] if details.strip() else "?"
    return Failure(
        _("A fault in TomoRay ({reason}).").format(reason=reason),
        _("Please report it with the log under Advanced."),
        details,
    )


def _was_killed(error: Failed | None, exit_code: int | None, log: str) -> bool:
    """True where something outside ended the worker. Slicer's launcher, which PythonSlicer is, says it in words and
    ends with code 1 itself."""
    if exit_code == -int(getattr(signal, "SIGKILL", 9)):
        return True
    return error is None and exit_code == ExitCode.INTERNAL_ERROR and "exit abnormally" in log


def _out_of_memory(exit_code: int | None, device: str, log: str) -> Failure:
    on_gpu = device != "cpu" and ("CUDA" in log or device.startswith("cuda"))
    if on_gpu:
        return Failure(
            _("The GPU has too little free memory for this."),
            _("Choose CPU under Advanced, or close other programs that use the GPU."),
            log,
            offer_cpu=True,
        )
    sentence = _("There is not enough memory: a synthesis needs about 2 GB.")
    if exit_code != ExitCode.OUT_OF_MEMORY:
        sentence = _("The worker was killed from outside, most likely because memory ran out (it needs about 2 GB).")
    return Failure(sentence, _("Close other programs or data sets and try again."), log)


def _missing_package(text: str) -> str | None:
    marker = "No module named '"
    if marker not in text:
        return None
    return text.split(marker, 1)[1].split("'", 1)[0].split(".")[0]
