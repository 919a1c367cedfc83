"""Many runs in one process: it must neither grow nor keep files, threads or temporary files, and give the same bytes.

What runs: whole syntheses of the built-in phantom (its CT and labels read from files, radiographs rendered, a 48^3
network fitted on the spot, scores, report, surfaces, DICOM-free results folder), as the worker runs them; and runs that
are refused, as many, whose errors must leave nothing behind either. The full-size network is not run: it takes
seconds a run, and grows by nothing else.
"""

from __future__ import annotations

import gc
import hashlib
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import psutil
from campaign import Result

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from support.tiny_model import write_tiny_model
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.jobs.events import Event, ExitCode
from TomoRayLib.jobs.failures import run_guarded
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.synthesis import run_synthesis

FULL_RUNS, SHORT_RUNS = 500, 24
REFUSED_A_RUN = 1  # refusals between two syntheses
WARM_UP = 3  # runs before memory is looked at: libraries fill their caches
MOST_MB_A_RUN = 0.5  # slope of the memory over the runs; a result has 10 MB
SHORT_MOST_MB_A_RUN = 8.0  # of a few runs: the allocator's steps are larger than anything that leaks
TIMES = re.compile(
    rb'"(made_at|seconds|peak_memory_mb|total)": ?("[^"]*"|[\d.]+|\{[^}]*\})|Made at</[^/]*/[^/]*/t[dr]>', re.DOTALL
)
TABLES_OF_TIMES = re.compile(
    rb'<table class="made"><thead><tr><th colspan="2">(Seconds|General)</th>.*?</table>', re.DOTALL
)


@dataclass(frozen=True)
class State:
    """What a process holds."""

    memory_mb: float
    files: int
    threads: int
    temporary: int


def results(full: bool, folder: Path) -> Iterator[Result]:
    """Run a synthesis again and again in this process."""
    case = folder / "case"
    case.mkdir()
    ct, labels = phantom_volumes()
    write_volume(case / "ct.nrrd", ct)
    write_volume(case / "labels.nrrd", labels)
    write_tiny_model(folder / "models", counts=True)
    (folder / "tmp").mkdir()
    changed = {"TOMORAY_MODELS": str(folder / "models"), "TMPDIR": str(folder / "tmp")}
    with mock.patch.dict(os.environ, changed), mock.patch.object(tempfile, "tempdir", str(folder / "tmp")):
        yield from _runs(FULL_RUNS if full else SHORT_RUNS, MOST_MB_A_RUN if full else SHORT_MOST_MB_A_RUN, folder)


def _runs(count: int, most_mb: float, folder: Path) -> Iterator[Result]:
    case, lost, states = folder / "case", [], []
    first: dict[str, str] = {}
    begun = time.monotonic()
    for number in range(count):
        out = folder / "out"
        job = SynthesisJob(
            str(out), ct=str(case / "ct.nrrd"), segmentation=str(case / "labels.nrrd"), device="cpu", title="phantom"
        )
        events: list[Event] = []
        code = run_guarded(lambda job=job, events=events: run_synthesis(job, events.append), events.append)
        written = _contents(out)
        first = first or written
        if code != ExitCode.DONE or written != first:
            differing = sorted(name for name in first.keys() | written.keys() if first.get(name) != written.get(name))
            lost.append(f"run {number + 1}: exit code {int(code)}, other bytes in {', '.join(differing) or 'nothing'}")
        shutil.rmtree(out, ignore_errors=True)
        for _ in range(REFUSED_A_RUN):
            refused = SynthesisJob(str(out), ct=str(case / "labels.nrrd"), segmentation=str(case / "ct.nrrd"))
            code = run_guarded(lambda job=refused: run_synthesis(job, lambda event: None), lambda event: None)
            if code != ExitCode.INPUT or out.exists():
                lost.append(f"refusal {number + 1}: expected exit code 2 and no folder, got {int(code)}")
        states.append(_state(folder / "tmp"))
    seconds = (time.monotonic() - begun) / count
    yield Result(
        f"syntheses of the built-in phantom by a 48^3 network in one process, {count} runs and as many refusals",
        "the same bytes each time, but for times and memory",
        count,
        lost,
        f"{len(first)} files a run, {seconds:.1f} s",
    )
    yield from _growth(states, most_mb)


def _growth(states: list[State], most_mb: float) -> Iterator[Result]:
    """What the process holds more of at the end than after the first runs."""
    kept = states[WARM_UP:]
    slope = float(np.polyfit(np.arange(len(kept)), [state.memory_mb for state in kept], 1)[0])
    lost = [f"memory grows by {slope:.2f} MB a run"] if slope > most_mb else []
    for name in ("files", "threads", "temporary"):
        before, after = (getattr(state, name) for state in (kept[0], kept[-1]))
        if after > before:
            lost.append(f"{name}: {before} after {WARM_UP} runs, {after} at the end")
    last = kept[-1]
    yield Result(
        f"what that process holds after {len(states)} runs",
        f"memory grows by less than {most_mb:g} MB a run; no more open files, threads or temporary files",
        4,
        lost,
        f"{slope:+.3f} MB a run, {kept[0].memory_mb:.0f} MB after {WARM_UP} runs, {last.memory_mb:.0f} MB at the end; "
        f"{last.files} open files, {last.threads} threads, {last.temporary} temporary files",
    )


def _state(temporary: Path) -> State:
    gc.collect()
    process = psutil.Process()
    deadline = time.monotonic() + 5
    while any(thread.name == "loading beside" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    left = len([path for path in temporary.rglob("*") if path.is_file()])
    return State(process.memory_info().rss / 2**20, process.num_fds(), process.num_threads(), left)


def _contents(folder: Path) -> dict[str, str]:
    """The hash of each file, without times; of the list of files the names alone."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            content = TIMES.sub(b"", path.read_bytes())
            if path.suffix == ".html":
                content = TABLES_OF_TIMES.sub(b"", content)
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    return found
