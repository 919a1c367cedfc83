"""Every failure of a job as one event and an exit code."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from TomoRayLib.base.early_import import failed_beside
from TomoRayLib.base.endings import asked_code, begin_work, end_work
from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.files import written_folders
from TomoRayLib.base.gpu_faults import GpuFault, gpu_fault
from TomoRayLib.base.memory import is_out_of_memory
from TomoRayLib.base.output_errors import NO_SPACE, is_no_answer
from TomoRayLib.base.package_faults import Fault, PackageFault, package_fault, pip_name
from TomoRayLib.jobs.events import Emit, ExitCode, Failed

NOTHING_WRITTEN = "nothing was written"
_NO_TEMPORARY_FOLDER = "No usable temporary directory"  # Python's words if nothing can be written to any
OUT_OF_MEMORY = "Out of memory. Close other programs, or run this on the CPU."
GPU_SENTENCES = {
    GpuFault.NO_KERNEL: "The installed PyTorch has no code for this GPU ({said}). Choose the device cpu, or install a "
    "PyTorch that is built for this GPU.",
    GpuFault.DRIVER: "The GPU's driver is missing, too old, or does not answer ({said}). Choose the device cpu, or "
    "update the driver.",
    GpuFault.OTHER: "The GPU has failed ({said}). Choose the device cpu.",
}


def run_guarded(work: Callable[[], Any], emit: Emit, left_behind: str = NOTHING_WRITTEN) -> ExitCode:
    """Do ``work``; a failure of any kind becomes one ``Failed`` event.

    Args:
        work: What to do.
        emit: Receives the ``Failed`` event, if there is one.
        left_behind: What an interrupted work leaves, as the second half of a sentence.

    Returns:
        The exit code of the process.
    """
    before = len(written_folders())
    begin_work()
    try:
        work()
        end_work()
        return ExitCode.DONE
    except KeyboardInterrupt:
        failure = _stopped(ExitCode.INTERRUPTED, left_behind, before)
    except (Exception, SystemExit) as error:
        asked = asked_code()  # whatever a half imported library made of it
        if isinstance(error, SystemExit) and error.code == ExitCode.TERMINATED:
            asked = ExitCode.TERMINATED
        failure = failed_by(error) if asked is None else _stopped(ExitCode(asked), left_behind, before)
    end_work()
    emit(failure)
    return failure.code


def _stopped(code: ExitCode, left_behind: str, before: int) -> Failed:
    """What to tell of work that was asked to end; ``before`` is the number of folders that were written before it."""
    how = "Interrupted" if code == ExitCode.INTERRUPTED else "Terminated"
    written = ", ".join(str(folder) for folder in written_folders()[before:])
    return Failed(f"{how}; {f'written before that, and whole: {written}' if written else left_behind}.", code)


def failed_by(error: BaseException) -> Failed:
    """Return what to tell a user of an exception: a sentence, the setting to change, and details for a report."""
    if isinstance(error, InputError) and error.__cause__ is not None and is_out_of_memory(error.__cause__):
        return Failed(str(error), ExitCode.OUT_OF_MEMORY, error.field, str(error.__cause__))
    if isinstance(error, (InputError, OutputError)):
        return Failed(str(error), ExitCode.INPUT, getattr(error, "field", None))
    if isinstance(error, OSError) and (error.errno in NO_SPACE or _NO_TEMPORARY_FOLDER in str(error)):
        where = error.filename or "the temporary folder"
        return Failed(
            f"Expected free space for {where}, got a full disk; free some, or set TMPDIR to a folder with room.",
            ExitCode.INPUT,
            details=str(error),
        )
    if isinstance(error, OSError) and is_no_answer(error):
        where = "" if error.filename is None else f" for {error.filename}"
        return Failed(
            f"Expected the disk or network drive to answer{where}, got {error.strerror!r}; connect it again, or copy "
            "the files to another one.",
            ExitCode.INPUT,
            details=str(error),
        )
    if is_out_of_memory(error):  # the details say which memory: the GPU's mentions CUDA
        return Failed(OUT_OF_MEMORY, ExitCode.OUT_OF_MEMORY, "device", str(error))
    details = "".join(traceback.format_exception(error))
    broken = _broken_package(error)
    if broken is not None:
        message = f"{_package_sentence(broken)} {package_remedy(broken)}"
        return Failed(message, ExitCode.INTERNAL_ERROR, None, details, broken.package, broken.fault.value)
    fault = gpu_fault(f"{type(error).__name__}: {error}")
    if fault is not None:
        message = GPU_SENTENCES[fault].format(said=str(error).strip().splitlines()[0])
        return Failed(message, ExitCode.INTERNAL_ERROR, "device", details, None, fault.value)
    message = f"Internal error in TomoRay ({type(error).__name__}: {error}). Please report it with the details."
    return Failed(message, ExitCode.INTERNAL_ERROR, None, details)


def package_remedy(broken: PackageFault) -> str:
    """Return what to do about a package outside of Slicer, in a sentence."""
    name = pip_name(broken.package)
    again = f"python -m pip install --force-reinstall --no-deps {name}"
    return {
        Fault.MISSING: "Install it and try again.",
        Fault.NUMPY: f"Install a version of it that fits: python -m pip install --upgrade {name}.",
        Fault.OLD: f"Install a newer one: python -m pip install --upgrade {name}.",
        Fault.SYSTEM: "Install an earlier version of it.",
        Fault.FORBIDDEN: "Ask whoever administers this computer to allow it.",
    }.get(broken.fault, f"Install it again: {again}.")


def _package_sentence(broken: PackageFault) -> str:
    """Name a package that cannot be loaded, and what is wrong with it."""
    said = "" if broken.fault is Fault.MISSING else f" ({broken.said})"
    return f"The Python package {broken.package} {broken.fault.words}{said}."


def _broken_package(error: BaseException) -> PackageFault | None:
    """The package that cannot be loaded, if an error says so, as the first attempt to load it said it."""
    broken = package_fault(error)
    if broken is None:
        return None
    earlier = [package_fault(one) for one in failed_beside()]
    return next((one for one in earlier if one is not None and one.package == broken.package), broken)
