"""Runs one job: ``python -m TomoRayLib.worker job.json`` prints one JSON object per line and writes the results.

Jobs: see ``jobs.job``. Lines and exit codes: see ``jobs.events``. The command line and Slicer run this.
"""

from __future__ import annotations

from TomoRayLib.base.search_path import check_working_folder, leave_out_working_folder

if __name__ == "__main__":
    leave_out_working_folder()

import os
import select
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from TomoRayLib.base.endings import take_over
from TomoRayLib.jobs.events import DELETE_WITH_PARENT, STOP_WITH_PARENT, Emit, Ending, Event, ExitCode, Failed, to_json
from TomoRayLib.jobs.failures import run_guarded

if TYPE_CHECKING:
    from TomoRayLib.jobs.job_files import Job


def print_event(event: Event) -> None:
    """Print one event as a line of JSON on standard output."""
    print(to_json(event), flush=True)


def run_job(job: Job, emit: Emit) -> None:
    """Run one job of any kind; only the modules that it needs are loaded."""
    from TomoRayLib.jobs.data_check_job import DataCheckJob
    from TomoRayLib.jobs.evaluation_job import EvaluationJob
    from TomoRayLib.jobs.job import DemonstrationJob, ProjectionJob, SegmentationJob

    if isinstance(job, DemonstrationJob):
        from TomoRayLib.jobs.demonstration import write_demonstration

        write_demonstration(job, emit)
    elif isinstance(job, ProjectionJob):
        from TomoRayLib.jobs.projection import run_projection

        run_projection(job, emit)
    elif isinstance(job, SegmentationJob):
        from TomoRayLib.jobs.segmentation import run_segmentation

        run_segmentation(job, emit)
    elif isinstance(job, EvaluationJob):
        from TomoRayLib.jobs.evaluation import run_evaluation

        run_evaluation(job, emit)
    elif isinstance(job, DataCheckJob):
        from TomoRayLib.jobs.data_check import run_data_check

        run_data_check(job, emit)
    else:
        from TomoRayLib.jobs.synthesis import run_synthesis

        run_synthesis(job, emit)


def _stop_with_parent(gone: threading.Event) -> None:
    """End this process when the one that started it is gone, which closes our standard input."""
    while os.read(0, 1):  # not through sys.stdin, whose lock would abort the interpreter at its end
        pass
    gone.set()
    os.kill(os.getpid(), signal.SIGTERM)


def _is_parent_gone(gone: threading.Event) -> bool:
    """Whether nobody holds the other end of our standard input any more, even if the thread has not seen it yet."""
    if not gone.is_set() and os.environ.get(STOP_WITH_PARENT) and sys.platform != "win32":
        return bool(select.select([0], [], [], 0)[0])
    return gone.is_set()


def _tell_early_end(code: int) -> None:
    """Print the event of an end before the work began; called by a signal."""
    sentence = f"{'Interrupted' if code == ExitCode.INTERRUPTED else 'Terminated'}; nothing was written."
    os.write(1, f"{to_json(Failed(sentence, ExitCode(code)))}\n".encode())


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        print("usage: python -m TomoRayLib.worker job.json", file=sys.stderr)
        return ExitCode.INPUT

    ending, parent_gone = Ending(print_event), threading.Event()

    def work() -> None:
        if os.environ.get(STOP_WITH_PARENT):  # from here on a termination is raised, and what follows is cleaned away
            threading.Thread(target=_stop_with_parent, args=(parent_gone,), daemon=True).start()
        check_working_folder()
        from TomoRayLib.jobs.job_files import (
            read_job,  # not above: without numpy, which it imports, an event has to say so
        )

        run_job(read_job(Path(arguments[0])), ending)

    take_over(_tell_early_end)
    try:
        return run_guarded(work, print_event) or ending.code
    finally:
        folder = os.environ.get(DELETE_WITH_PARENT)
        if folder and _is_parent_gone(parent_gone):  # nobody else is left to delete the patient's images in it
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    from TomoRayLib.base.one_job_process import run_one_job
    from TomoRayLib.base.streams import make_lasting

    make_lasting()
    run_one_job(main)
