"""Damaged files of every kind that TomoRay reads: each is read, or refused in a sentence, within bounds.

Two processes read them. One that dies, takes more than 10 s of a processor for a file, or more than 2 GB, is ended and
started again after that file, which is then lost: named by its kind and number, and not kept.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign import Result
from processes import cpu_seconds

SEED = 19
SHORT, FULL = 1_000, 20_000
CHILDREN = 2
MOST_DEATHS = 200  # of the processes that read, until it is no campaign any more
MOST_SECONDS, MOST_MB = 10.0, 2000.0
MOST_WAIT_S = 120.0  # for a line, on a machine that does much else
HERE = Path(__file__).resolve().parent
EXPECTED = f"read or refused in a sentence, at most {MOST_SECONDS:.0f} s and {MOST_MB / 1000:.0f} GB"
GROUPS = ("CT", "mask and names", "radiograph", "DICOM", "weights and settings", "predictions")


@dataclass
class _Tally:
    """What became of the files of one group."""

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    libraries: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    largest_mb: float = 0.0
    lost: list[str] = field(default_factory=list)

    @property
    def figure(self) -> str:
        text = f"{self.outcomes['refused']} refused; slowest {self.slowest:.1f} s, most memory {self.largest_mb:.0f} MB"
        crashes = ", ".join(f"{library} {count} times" for library, count in sorted(self.libraries.items()))
        return f"{text}; crashes outside of TomoRay, contained: {crashes}" if crashes else text


def results(full: bool, folder: Path) -> Iterator[Result]:
    """Damage files by numbers; a row for each group of kinds."""
    count = int(os.environ.get("TOMORAY_FUZZ_FILES", FULL if full else SHORT))
    seed = int(os.environ.get("TOMORAY_FUZZ_SEED", SEED))
    lines: queue.Queue[dict[str, Any]] = queue.Queue()
    runners = [
        threading.Thread(target=_run, args=(folder, seed, first, count, lines), daemon=True)
        for first in range(CHILDREN)
    ]
    for runner in runners:
        runner.start()
    tallies = {group: _Tally() for group in GROUPS}
    ended = 0
    while ended < CHILDREN:
        line = lines.get()
        if "ended" in line:
            ended += 1
            continue
        _count(tallies[group_of(line["kind"])], line)
    tried = sum(tally.tried for tally in tallies.values())
    if tried != count:  # the processes that read ended again and again
        tallies[GROUPS[0]].lost.append(f"{tried} of {count} files were tried")
    for group, tally in tallies.items():
        yield Result(f"damaged files: {group}", EXPECTED, tally.tried, tally.lost, tally.figure)


def group_of(kind: str) -> str:
    """The row that a kind of file is counted in."""
    first = kind.split()[0]
    if first in ("CT", "radiograph", "DICOM"):
        return first
    if first in ("mask.seg.nrrd", "names") and kind != "names of cases":
        return "mask and names"
    return "predictions" if first in ("array", "surface", "points", "predictions") else "weights and settings"


def _count(tally: _Tally, line: dict[str, Any]) -> None:
    tally.tried += 1
    tally.outcomes[line["outcome"]] += 1
    tally.slowest = max(tally.slowest, line.get("seconds", 0.0))
    tally.largest_mb = max(tally.largest_mb, line.get("mb", 0.0), line.get("reader_mb", 0.0))
    if line["outcome"] == "contained":
        tally.libraries[line["library"]] += 1
    why = line.get("why", "")
    if line["outcome"] != "lost" and line.get("seconds", 0.0) > MOST_SECONDS:
        why = f"it took {line['seconds']:.1f} s"
    if why:
        tally.lost.append(f"{line['kind']}, number {line['number']}: {why}")


def _run(folder: Path, seed: int, first: int, count: int, lines: queue.Queue[dict[str, Any]]) -> None:
    """Keep one child at work on every ``CHILDREN``-th number, and start another after one that was lost."""
    deaths = 0
    while first < count and deaths < MOST_DEATHS:
        last = _one_child(folder, seed, first, count, lines)
        first, deaths = last + CHILDREN, deaths + 1
    lines.put({"ended": True})


def _one_child(folder: Path, seed: int, first: int, count: int, lines: queue.Queue[dict[str, Any]]) -> int:
    """The last number that a child tried: at its end, or when it was ended."""
    command = [
        sys.executable,
        str(HERE / "fuzz_child.py"),
        str(folder),
        str(seed),
        str(first),
        str(count),
        str(CHILDREN),
    ]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    said: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.Thread(target=_listen, args=(child, said), daemon=True).start()
    begun: dict[str, Any] | None = None
    last, at, used = first - CHILDREN, time.monotonic(), 0.0
    try:
        while True:
            line = _next(said, 0.5)
            if line == {}:  # nothing was said
                spent = cpu_seconds(child.pid) - used
                if begun is not None and (spent > MOST_SECONDS or time.monotonic() - at > MOST_WAIT_S):
                    why = f"it took more than {min(spent, MOST_SECONDS):.0f} s and did not end"
                    lines.put({"number": begun["begun"], "kind": begun["kind"], "outcome": "lost", "why": why})
                    return int(begun["begun"])
                continue
            if line is None:
                if begun is None:
                    return count if last + CHILDREN >= count else last
                why = f"the process that read it ended with {child.wait()}"
                lines.put({"number": begun["begun"], "kind": begun["kind"], "outcome": "lost", "why": why})
                return int(begun["begun"])
            if "begun" in line:
                begun, at, used = line, time.monotonic(), cpu_seconds(child.pid)
            elif "number" in line:
                begun, last = None, line["number"]
                if max(line["mb"], line["reader_mb"]) > MOST_MB:
                    why = f"{max(line['mb'], line['reader_mb']):.0f} MB of memory"
                    lines.put({**line, "outcome": "lost", "why": why})
                    return int(last)
                lines.put(line)
    finally:
        child.kill()
        child.wait()


def _listen(child: subprocess.Popen[bytes], said: queue.Queue[dict[str, Any] | None]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        said.put(json.loads(line))
    said.put(None)


def _next(said: queue.Queue[dict[str, Any] | None], seconds: float) -> dict[str, Any] | None:
    """The next line; an empty one if there is none within the time, None at the end."""
    try:
        return said.get(timeout=seconds)
    except queue.Empty:
        return {}
