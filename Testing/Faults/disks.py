"""Disks that get full or read-only or fail once at each file operation of a writer and of real commands, and folders of
others. Where none may be mounted, a failing one alone is tried."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from campaign import Result
from killed_commands import (
    Fault,
    contents,
    data_of,
    environment,
    fresh_copy,
    is_whole,
    rubbish,
    run_command,
    tidied,
)
from kills import USERS, arguments_of, inputs_in
from operations import FILLER, make_writable, small_disk

HERE = Path(__file__).resolve().parent
SURVIVES = {
    "fill": "the earlier result untouched or the new one whole, at once; a sentence; exit code 2",
    "read-only": "the same, once the disk can be written again and the next run has begun",
    **dict.fromkeys(
        ("fail", "late", "unseen"),
        "the earlier result or the new one, whole; a sentence if it failed; no rubbish after the next run",
    ),
    "no permission": "the folder untouched; a sentence",
}
WORDS = {"fill": "gets full", "read-only": "gets read-only", "fail": "does not answer once"}
WORDS_OF_CALLS = {"late": "renames and tells of an error once", "unseen": "does not say once whether a file is there"}
LIGHT_MB, REAL_MB = 2, 250  # a run asks for up to 200 MB before it begins
COMMANDS = ("project", "synthesize", "evaluate")


def results(full: bool, folder: Path) -> Iterator[Result]:
    """Yield what became of each kind of failing disk."""
    place = folder / "disk"
    stride = 1 if full else 5
    with small_disk(place, LIGHT_MB) as mounted:
        faults = (*WORDS, *WORDS_OF_CALLS) if mounted else ("fail", *WORDS_OF_CALLS)
        yield from _of_writers(stride, place, faults)
    if not mounted:
        yield Result("Full and read-only disks are not tried: none may be mounted here", SURVIVES["fill"], 0)
    inputs = inputs_in(folder / "inputs")
    for command in COMMANDS if full else COMMANDS[:1]:
        for fault in ("fill", "read-only", "fail") if full else ("fill", "fail"):
            if mounted or fault == "fail":
                with small_disk(place, REAL_MB):
                    yield _of_command(command, fault, 7 if full else 2, place, folder, inputs)


def _of_writers(stride: int, disk: Path, faults: Sequence[str]) -> Iterator[Result]:
    command = [sys.executable, str(HERE / "light_disks.py"), str(disk), str(stride), *faults]
    values = environment(disk.parent, None)
    done = subprocess.run(command, env=values, stdout=subprocess.PIPE, check=True, encoding="utf-8")
    for row in json.loads(done.stdout):
        fault, _, what = row["kind"].partition(": ")
        words = {**WORDS, **WORDS_OF_CALLS}
        kind = f"A disk that {words[fault]} at file operations: {what}" if what else "Folders of another user"
        yield Result(kind, SURVIVES[fault], row["tried"], row["lost"])


def _of_command(command: str, fault: str, trials: int, disk: Path, folder: Path, inputs: Path) -> Result:
    """Let the disk fail at operations spread over all of a command's, which writes over an earlier result."""
    values, earlier = environment(folder, inputs / "models"), folder / f"earlier {command}" / "out"
    if not earlier.exists():
        run_command(arguments_of(command, inputs, earlier), values)
    out, count = fresh_copy(earlier, disk / "trial"), folder / "count"
    undisturbed = run_command(arguments_of(command, inputs, out), values, fault_at=Fault(0, disk, count=count))
    assert undisturbed.code == 0, undisturbed.err
    operations = int(count.read_text(encoding="utf-8"))
    numbers = sorted({1 + round(place * (operations - 1) / (trials - 1)) for place in range(trials)})
    lost = []
    for number in numbers:
        sentence = _lost_at(number, command, fault, disk, earlier, inputs, values)
        if sentence:
            lost.append(f"{command}, {fault} at operation {number} of {operations}: {sentence}")
    kind = f"A disk that {WORDS[fault]} during tomoray {command} over an earlier result"
    return Result(kind, SURVIVES[fault], len(numbers), lost)


def _lost_at(
    number: int, command: str, fault: str, disk: Path, earlier: Path, inputs: Path, values: dict[str, str]
) -> str:
    out = fresh_copy(earlier, disk / "trial")
    before = contents(out)
    ended = run_command(arguments_of(command, inputs, out), values, fault_at=Fault(number, disk, fault))
    if fault == "read-only":
        make_writable(disk)
    (disk / FILLER).unlink(missing_ok=True)
    left = rubbish(out.parent) if fault == "fill" else tidied(out, values)
    same = contents(out) == before
    whole = command == "evaluate" or (is_whole(out, USERS) and data_of(out) == data_of(earlier))
    if "Traceback" in ended.err or "Internal error" in ended.err:
        return f"no sentence: {ended.err[-300:]}"
    if left or not (out / USERS[0]).is_file():
        return f"left {left}, or a user's file is gone"
    if ended.code == 2:
        return "" if same or whole else "neither the earlier result nor the new one"
    return "" if ended.code == 0 and whole else f"exit code {ended.code}: {ended.err[-300:]}"
