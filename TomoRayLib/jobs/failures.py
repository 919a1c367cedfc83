"""Every failure of a job as one event and an exit code."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.memory import is_out_of_memory
from TomoRayLib.jobs.events import Emit, ExitCode, Failed

NOTHING_WRITTEN = "nothing was written"
OUT_OF_MEMORY = "Out of memory. Close other programs, or run this on the CPU."


def run_guarded(work: Callable[[], Any], emit: Emit, left_behind: str = NOTHING_WRITTEN) -> ExitCode:
    """Do ``work``; a failure of any kind becomes one ``Failed`` event.

    Args:
        work: What to do.
        emit: Receives the ``Failed`` event, if there is one.
        left_behind: What an interrupted work leaves, as the second half of a sentence.

    Returns:
        The exit code of the process.
    """
    try:
        work()
        return ExitCode.DONE
    except KeyboardInterrupt:
        failure = Failed(f"Interrupted; {left_behind}.", ExitCode.INTERRUPTED)
    except SystemExit:
        failure = Failed(f"Terminated; {left_behind}.", ExitCode.TERMINATED)
    except Exception as error:
        failure = failed_by(error)
    emit(failure)
    return failure.code


def failed_by(error: Exception) -> Failed:
    """Return what to tell a user of an exception: a sentence, the setting to change, and details for a report."""
    if isinstance(error, InputError) and error.__cause__ is not None and is_out_of_memory(error.__cause__):
        return Failed(str(error), ExitCode.OUT_OF_MEMORY, error.field, str(error.__cause__))
    if isinstance(error, (InputError, OutputError)):
        return Failed(str(error), ExitCode.INPUT, getattr(error, "field", None))
    if is_out_of_memory(error):  # the details say which memory: the GPU's mentions CUDA
        return Failed(OUT_OF_MEMORY, ExitCode.OUT_OF_MEMORY, "device", str(error))
    details = "".join(traceback.format_exception(error))
    if isinstance(error, ModuleNotFoundError) and not (error.name or "TomoRayLib").startswith("TomoRayLib"):
        package = str(error.name).partition(".")[0]
        message = f"The Python package {package} is not installed. Install it and try again."
        return Failed(message, ExitCode.INTERNAL_ERROR, None, details, package)
    message = f"Internal error in TomoRay ({type(error).__name__}: {error}). Please report it with the details."
    return Failed(message, ExitCode.INTERNAL_ERROR, None, details)
