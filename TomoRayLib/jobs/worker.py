"""Runs one job: ``python -m TomoRayLib.worker job.json`` prints one JSON object per line and writes the results.

Jobs: a synthesis, a projection (radiographs of a CT), or the demonstration case (see ``job``). Events: ``stage`` (name,
number, of, seconds_left), ``note`` and ``warning`` (a sentence for the reader), ``result`` (folder, files, metrics,
seconds) and ``error`` (message, code). Exit codes: 0 done, 1 a fault of the program, 2 an input or an output place that
cannot be used, 3 out of memory, 130 interrupted, 143 terminated. The command line and Slicer run this.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.progress import Emit
from TomoRayLib.jobs.job import DemonstrationJob, Job, ProjectionJob, read_job

STOP_WITH_PARENT = "TOMORAY_STOP_WITH_PARENT"  # set where standard input is a pipe that the parent keeps open
EXIT_DONE, EXIT_FAULT, EXIT_INPUT, EXIT_MEMORY, EXIT_INTERRUPTED, EXIT_TERMINATED = 0, 1, 2, 3, 130, 143


NOTHING_WRITTEN = "nothing was written"


def run_guarded(work: Callable[[], Any], emit: Emit, left_behind: str = NOTHING_WRITTEN) -> int:
    """Do ``work``; every failure becomes one ``error`` event and an exit code.

    ``left_behind`` says, after a semicolon, what an interrupted work leaves.
    """
    try:
        work()
        return EXIT_DONE
    except (InputError, OutputError) as error:
        return _failed(emit, str(error), EXIT_INPUT)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            return _fault(emit, error)
        message = "There is not enough memory for this. Close other programs, or run it on the CPU (--device cpu)."
        return _failed(emit, message, EXIT_MEMORY, details=str(error))  # which memory: the GPU's says CUDA
    except KeyboardInterrupt:
        return _failed(emit, f"Interrupted; {left_behind}.", EXIT_INTERRUPTED)
    except SystemExit as stop:
        return _failed(emit, f"Terminated; {left_behind}.", int(stop.code or EXIT_TERMINATED))
    except Exception as error:
        return _fault(emit, error)


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


def _failed(emit: Emit, message: str, code: int, details: str = "") -> int:
    event = {"event": "error", "message": message, "code": code}
    emit({**event, "details": details} if details else event)
    return code


def _fault(emit: Emit, error: BaseException) -> int:
    details = "".join(traceback.format_exception(error))
    message = f"A fault in TomoRay ({type(error).__name__}: {error}). Please report it with the details."
    emit({"event": "error", "message": message, "code": EXIT_FAULT, "details": details})
    return EXIT_FAULT


def _stop(*_: object) -> None:
    """SIGTERM as an exception: what was begun is cleaned away, and the reader gets a last event."""
    raise SystemExit(EXIT_TERMINATED)


def print_event(event: dict[str, Any]) -> None:
    """One event as a line of JSON on standard output."""
    print(json.dumps(event), flush=True)


def run_job(job: Job, emit: Emit) -> None:
    """Run one job of any kind."""
    if isinstance(job, DemonstrationJob):
        from TomoRayLib.jobs.demonstration import write_demonstration

        write_demonstration(job, emit)
        return
    from TomoRayLib.jobs.synthesis import run_projection, run_synthesis

    if isinstance(job, ProjectionJob):
        run_projection(job.ct, job.out, job.geometry, ("ap", "lat"), emit, segmentation=job.segmentation)
    else:
        run_synthesis(job, emit)


def _stop_with_parent() -> None:
    """End this process when the one that started it is gone, which closes our standard input."""
    while os.read(0, 1):  # not through sys.stdin, whose lock would abort the interpreter at its end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        print("usage: python -m TomoRayLib.worker job.json", file=sys.stderr)
        return EXIT_INPUT

    def work() -> None:
        run_job(read_job(Path(arguments[0])), print_event)

    signal.signal(signal.SIGTERM, _stop)
    if os.environ.get(STOP_WITH_PARENT):
        threading.Thread(target=_stop_with_parent, daemon=True).start()

    return run_guarded(work, print_event)
