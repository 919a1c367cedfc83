"""Kills: at each file operation of a writer and of real commands, at random times, and of what a worker works for."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from campaign import Result
from killed_commands import (
    Ended,
    Fault,
    contents,
    data_of,
    environment,
    fresh_copy,
    hear_interrupts,
    is_whole,
    rubbish,
    run_command,
    tidied,
)

HERE = Path(__file__).resolve().parent
SEED = 19
WHOLE = "the earlier result or the new one, whole, once the next run has begun; a user's files; no rubbish"
CLEANED = "nothing or a whole result, no rubbish, and a sentence; exit code 130 or 143"
USERS = ("notes.txt",)


def results(full: bool, folder: Path) -> Iterator[Result]:
    """Yield what became of each kind of kill."""
    if sys.platform == "win32":
        yield Result("kills are not tried on Windows", WHOLE, 0)
        return
    yield from _of_writers(1 if full else 5, folder / "light")
    inputs = inputs_in(folder / "inputs")
    yield _of_command("project", 20 if full else 2, folder / "project", inputs)
    if full:
        yield _of_command("synthesize", 14, folder / "synthesize", inputs)
        yield _of_demonstrations(8, folder / "demo")
        yield _of_evaluations(8, folder / "evaluate", inputs)
    yield from _asked_to_end(24 if full else 3, folder / "signals", inputs)
    yield _of_applications(10 if full else 1, folder / "application", inputs)


def _of_writers(stride: int, folder: Path) -> Iterator[Result]:
    """A kill at each ``stride``-th operation of the functions that all results are written with."""
    folder.mkdir()
    command = [sys.executable, str(HERE / "light_kills.py"), str(folder), str(stride)]
    values = environment(folder, None)
    done = subprocess.run(command, env=values, stdout=subprocess.PIPE, check=True, encoding="utf-8")
    for row in json.loads(done.stdout):
        yield Result(f"SIGKILL at file operations: {row['kind']}", WHOLE, row["tried"], row["lost"])


def inputs_in(folder: Path) -> Path:
    """Write a small labelled CT, two of a cohort, and a small network to run on them; return the folder."""
    from support.labelled_cts import written
    from support.tiny_model import write_tiny_model

    written(folder / "ct.nrrd", folder / "labels.nrrd")
    for name, labels in (("sub-a", (20, 21, 22, 23)), ("sub-b", (20, 21))):
        written(folder / "cohort" / f"{name}_ct.nii.gz", folder / "cohort" / f"{name}_seg.nii.gz", labels)
    write_tiny_model(folder / "models")
    return folder


def arguments_of(command: str, inputs: Path, out: Path) -> list[str]:
    """Return the arguments of a command that reads what ``inputs_in`` made and writes into ``out``."""
    ct, labels = str(inputs / "ct.nrrd"), str(inputs / "labels.nrrd")
    given = {
        "project": ["project", ct, "--out", str(out)],
        "synthesize": ["synthesize", "--ct", ct, "--segmentation", labels, "--out", str(out)],
        "segment": ["segment", ct, "--out", str(out)],
        "evaluate": ["evaluate", str(inputs / "cohort"), "--out", str(out), "--no-segment", "--workers", "1"],
    }
    return given[command]


def _of_command(command: str, trials: int, folder: Path, inputs: Path) -> Result:
    """Kill a command that writes into a folder with an earlier result, at operations spread over all of its."""
    folder.mkdir()
    values, earlier = environment(folder, inputs / "models"), folder / "earlier" / "out"
    first = run_command(arguments_of(command, inputs, earlier), values)
    assert first.code == 0, first.err
    out = fresh_copy(earlier, folder / "trial")
    count = folder / "count"
    run_command(arguments_of(command, inputs, out), values, fault_at=Fault(0, out.parent, count=count))
    operations = int(count.read_text(encoding="utf-8"))
    numbers = sorted({1 + round(place * (operations - 1) / (trials - 1)) for place in range(trials)})
    lost = []
    for number in numbers:
        out = fresh_copy(earlier, folder / "trial")
        before = contents(out)
        ended = run_command(arguments_of(command, inputs, out), values, fault_at=Fault(number, out.parent))
        left = tidied(out, values)
        name = f"{command} at operation {number} of {operations}"
        if ended.code != -signal.SIGKILL and number < operations:
            lost.append(f"{name}: ended with {ended.code} by itself")
        elif contents(out) != before and not (is_whole(out, USERS) and data_of(out) == data_of(earlier)):
            lost.append(f"{name}: neither the earlier result nor the new one")
        elif left or not (out / USERS[0]).is_file():
            lost.append(f"{name}: left {left}, or a user's file is gone")
    kind = f"SIGKILL of tomoray {command} over an earlier result, at its {operations} file operations"
    return Result(kind, WHOLE, len(numbers), lost)


def _of_demonstrations(trials: int, folder: Path) -> Result:
    """Kill ``tomoray demo``, which keeps the phantom and its labels in a temporary folder, at random times."""
    chance, lost = random.Random(SEED), []
    for number in range(trials):
        out = fresh_copy(None, folder)
        values = environment(folder, None)
        delay_s = chance.uniform(1.0, 9.0)
        run_command(["demo", "--offline", "--out", str(out)], values, [(delay_s, signal.SIGKILL)])
        left = tidied(out, values)
        if left or (out.exists() and not is_whole(out)):
            lost.append(f"demo, trial {number}, after {delay_s:.1f} s: left {left}")
    kind = "SIGKILL of tomoray demo at random times"
    return Result(kind, "nothing or a whole result; no temporary folder once the next run has begun", trials, lost)


def _of_evaluations(trials: int, folder: Path, inputs: Path) -> Result:
    """Kill ``tomoray evaluate`` and resume it: the tables are those of a run that nobody killed."""
    folder.mkdir()
    values = environment(folder, inputs / "models")
    whole = folder / "whole" / "out"
    undisturbed = run_command(
        arguments_of("evaluate", inputs, whole), values, fault_at=Fault(0, whole.parent, count=folder / "count")
    )
    assert undisturbed.code == 0, undisturbed.err
    operations = int((folder / "count").read_text(encoding="utf-8"))
    numbers = [1 + round((place + 0.5) * operations / trials) for place in range(trials)]
    lost = []
    for number in numbers:
        out = fresh_copy(None, folder / "trial")
        arguments = arguments_of("evaluate", inputs, out)
        run_command(arguments, values, fault_at=Fault(number, out.parent))
        resumed = run_command([*arguments, "--resume"], values)
        if resumed.code != 0:
            lost.append(f"evaluate at operation {number} of {operations}: resumed with {resumed.code}: {resumed.err}")
        elif _tables(out) != _tables(whole) or rubbish(out.parent):
            lost.append(f"evaluate at operation {number} of {operations}: other tables, or {rubbish(out.parent)} left")
    kind = f"SIGKILL of tomoray evaluate at its {operations} file operations, then --resume"
    return Result(kind, "tables equal to the byte, no rubbish", len(numbers), lost)


def _tables(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.csv"))}


def _asked_to_end(trials: int, folder: Path, inputs: Path) -> Iterator[Result]:
    """Send Ctrl-C and SIGTERM, once and twice, at random times."""
    chance, slowest_s = random.Random(SEED), 0.0
    for kind, numbers in {
        "SIGTERM": (signal.SIGTERM,),
        "Ctrl-C": (signal.SIGINT,),
        "Ctrl-C twice": (signal.SIGINT, signal.SIGINT),
    }.items():
        lost, tried = [], max(1, trials // 3)
        for number in range(tried):
            out = fresh_copy(None, folder)
            values = environment(folder, inputs / "models")
            waits = [chance.uniform(0.1, 5.0), *(chance.choice([0.0, 0.01, 0.1, 0.5]) for _ in numbers[1:])]
            as_json = number % 2 == 1
            arguments = [*arguments_of("synthesize", inputs, out), *(["--json"] if as_json else [])]
            began = time.monotonic()
            ended = run_command(arguments, values, list(zip(waits, numbers, strict=True)))
            slowest_s = max(slowest_s, time.monotonic() - began - sum(waits))
            wrong = _wrong_ending(ended, out, as_json, waits[0])
            if wrong:
                times = ", ".join(f"{wait_s:.2f} s" for wait_s in waits)
                lost.append(f"{kind} after {times}: {wrong}")
        figure = f"slowest end {slowest_s:.1f} s after the signal"
        yield Result(f"{kind} at random times of a synthesis", CLEANED, tried, lost, figure)


def _wrong_ending(ended: Ended, out: Path, as_json: bool, after_s: float) -> str:
    """What is wrong with how a command ended that was asked to; empty if nothing is."""
    left = rubbish(out.parent)
    if left:
        return f"left {left}"
    if out.exists() and not is_whole(out):
        return "half a result"
    if "Traceback" in ended.err and after_s > 0.3:
        return f"a traceback: {ended.err[-200:]}"
    said = ended.out if as_json else ended.err
    sentence = any(word in said for word in ("Interrupted; ", "Terminated; "))
    early = ended.code in (-signal.SIGINT, -signal.SIGTERM) and after_s < 0.3  # before Python had begun our code
    if ended.code == 0 or early:
        return ""
    return "" if ended.code in (130, 143) and sentence else f"exit code {ended.code}: {said[-200:]}"


APPLICATION = """
import sys, time
from pathlib import Path
from TomoRayLib.base.held_folders import HeldFolder, own_names, sweep
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.slicer.worker.process import WorkerProcess
temporary, inputs = Path(sys.argv[1]), sys.argv[2]
sweep(temporary, own_names("tomoray-"))
if inputs:
    folder = HeldFolder(temporary, "tomoray-").path
    for name in ("ct", "labels"):
        (folder / f"{name}.nrrd").write_bytes((Path(inputs) / f"{name}.nrrd").read_bytes())
    job = SynthesisJob(str(folder / "out"), ct=str(folder / "ct.nrrd"), segmentation=str(folder / "labels.nrrd"))
    worker = WorkerProcess(job, folder, sys.executable, temporary=True)
    print(worker.pid, flush=True)
    while True: time.sleep(1)
"""


def _of_applications(trials: int, folder: Path, inputs: Path) -> Result:
    """Kill what Slicer is to the worker, alone or with it: the patient's CT in the temporary folder must go."""
    chance, lost = random.Random(SEED), []
    shortest_s = _application_killed(folder, inputs, math.inf, both=False)[0]
    for number in range(trials):
        both, share = number % 2 == 1, chance.uniform(0.05, 0.7)
        for _ in range(5):  # again, if the worker was quicker than before, and ended by itself
            delay_s = share * shortest_s
            worked_s, left = _application_killed(folder, inputs, delay_s, both)
            if left or worked_s >= delay_s:
                break
            shortest_s = worked_s
        else:
            left = [f"no trial: its worker ended by itself before {delay_s:.1f} s, five times"]
        if left:
            lost.append(f"application, trial {number}, after {delay_s:.1f} s: {left} is left")
    kind = "SIGKILL of the application above a worker, every second time of the worker too"
    survives = "the worker ends; the temporary folder with the patient's CT goes, or does as the next run begins"
    return Result(kind, survives, trials, lost)


def _application_killed(folder: Path, inputs: Path, delay_s: float, both: bool) -> tuple[float, list[str]]:
    """Kill an application above a worker after so many seconds, or once the worker has ended by itself.

    Returns:
        Seconds until the worker had ended by itself or was alone, and what is left of it once it ended; after the next
        run began, if ``both`` were killed or the application died when nobody was left to clean up behind it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    values, temporary = environment(folder, inputs / "models"), folder / "slicer"
    temporary.mkdir()
    command = [sys.executable, "-c", APPLICATION, str(temporary)]
    with subprocess.Popen(
        [*command, str(inputs)], env=values, stdout=subprocess.PIPE, encoding="utf-8", preexec_fn=hear_interrupts
    ) as application:
        assert application.stdout is not None
        worker, began = int(application.stdout.readline()), time.monotonic()
        while (worked_s := time.monotonic() - began) < delay_s and _runs(worker):
            time.sleep(0.01)
        application.kill()
        if both:
            os.kill(worker, signal.SIGKILL)
    is_swept = both or worked_s < delay_s
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (_runs(worker) or (not is_swept and any(temporary.iterdir()))):
        time.sleep(0.05)
    if is_swept:
        subprocess.run([*command, ""], env=values, check=True)
    left = sorted(path.name for path in temporary.iterdir())
    return worked_s, [*left, *([f"process {worker}"] if _runs(worker) else [])]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
