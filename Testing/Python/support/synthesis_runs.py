"""Runs of synthesis jobs, in a worker process or in this one, with the events they gave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from TomoRayLib.jobs.events import Event, from_json
from TomoRayLib.jobs.failures import run_guarded
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.synthesis import run_synthesis

Events = list[Event]


def run_worker(job: SynthesisJob, folder: Path) -> tuple[int, Events, str]:
    """Run a job in the real worker process."""
    path = folder / "job.json"
    path.write_text(job.to_json())
    command = [sys.executable, "-m", "TomoRayLib.worker", str(path)]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=300)
    return (
        result.returncode,
        [event for line in result.stdout.splitlines() if (event := from_json(line))],
        result.stderr,
    )


def run_here(job: SynthesisJob) -> tuple[int, Events]:
    """Run a job in this process, with the worker's answers to failures."""
    events: Events = []
    return run_guarded(lambda: run_synthesis(job, events.append), events.append), events
