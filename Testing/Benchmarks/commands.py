"""Wall time and peak memory of whole commands, by this checkout and by the build of before, in turn.

    python Testing/Benchmarks/commands.py [--against 63c38ef] [--runs 9] [--only demo,pair] [--out FOLDER]

Every command is a process of its own, as a user starts it, with this Python and its packages. After a run of each that
warms the caches, both checkouts run it in turn; the order changes from pair to pair. Quote the median of the ratios of
the pairs, now / before, not the seconds: it needs an idle machine. The build of before is checked out of this
repository's history into a temporary folder. The exit code is 1 if a mark is missed.

*evaluate* is the time of a case after the first one: 20 phantoms of one size less one of them, over 19. Its peak memory
is that of the largest process.

``commands.json`` holds what a release took, in multiples of a fixed computation that is timed beside every pair. The
last column is today's multiple over that: a report of what became slower, on whatever machine. ``--keep`` writes it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
KEPT = Path(__file__).with_suffix(".json")
BEFORE = "63c38ef"
KILOBYTES_OF_GB = 1e6
COHORT = 20
HEADINGS = (
    *("command  ", "before, s", " now, s", "      ratio (range)", " mark"),
    *("GB before", " now", "ratio", "mark", "kept"),
)


@dataclass(frozen=True)
class Command:
    """A command line with its marks: the most that it may take of the build of before's time and memory, or seconds.

    ``{out}`` in ``words`` is a new folder, ``{inputs}`` the folder that ``INPUTS`` fills. ``code`` is the exit code
    that tells that it did what it should. ``less`` is the same command for one case, ``cases`` by how many more it has.
    """

    name: str
    words: str
    time_mark: float | None = None
    memory_mark: float | None = None
    seconds_mark: float | None = None
    code: int = 0
    less: str | None = None
    cases: int = 1
    most_runs: int = 99


COMMANDS = (
    Command("demo", "demo --out {out}", 0.40, 0.65),
    Command("pair", "synthesize --ap {inputs}/ap.nrrd --lateral {inputs}/lat.nrrd --out {out}", 0.60, 0.80),
    Command("project", "project {inputs}/ct.nrrd --out {out} --size 256 256", 0.50),
    Command("help", "--help", seconds_mark=0.4),
    Command("models", "models", seconds_mark=0.4),
    Command("missing", "synthesize --ct {inputs}/missing.nii.gz --out {out}", seconds_mark=0.6, code=2),
    Command(
        "evaluate",
        f"evaluate {{inputs}}/cohort{COHORT} --out {{out}}",
        0.40,
        less="evaluate {inputs}/cohort1 --out {out}",
        cases=COHORT - 1,
        most_runs=3,
    ),
)

INPUTS = f"""
import os, sys
from pathlib import Path
import numpy as np
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration import case_files, default_cache, fetch_demonstration
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.synthesis import run_synthesis

folder = Path(sys.argv[1])
case = fetch_demonstration(default_cache(dict(os.environ)))
with case_files(case) as (ct, labels):
    run_synthesis(SynthesisJob(out=str(folder), ct=str(ct), segmentation=str(labels)), lambda event: None)
grid = case.ct.grid
size = tuple(round(n * step / 2.5) for n, step in zip(grid.size, grid.spacing_mm))
write_volume(folder / "ct.nrrd", resample(case.ct, Grid(size, (2.5, 2.5, 2.5), grid.origin_mm, grid.direction)))
rng, (ct, labels) = np.random.default_rng(0), phantom_volumes()
for number in range({COHORT}):  # with holes of their own: no two are one person's
    blocks = rng.random([-(-n // 4) for n in labels.voxels.shape]) < 0.9
    kept = np.kron(blocks, np.ones((4, 4, 4), bool))[tuple(slice(n) for n in labels.voxels.shape)]
    mask = np.where(kept, labels.voxels, 0).astype(labels.voxels.dtype)
    for cohort in ["cohort{COHORT}"] + (["cohort1"] if number == 0 else []):
        (folder / cohort).mkdir(exist_ok=True)
        write_volume(folder / cohort / f"c{{number:02d}}_ct.nii.gz", ct)
        write_volume(folder / cohort / f"c{{number:02d}}_seg.nii.gz", Volume(mask, labels.grid))
"""

REFERENCE = """
import time
import numpy as np
values, matrix = np.random.default_rng(0).random(2_000_000), np.random.default_rng(1).random((400, 400))
started = time.perf_counter()
np.sort(values)
for _ in range(8):
    matrix = matrix @ matrix / np.abs(matrix).sum()
print(time.perf_counter() - started)
"""


@dataclass(frozen=True)
class Run:
    """What one run took."""

    seconds: float
    peak_gb: float


@dataclass(frozen=True)
class Pair:
    """A run by both checkouts, and the seconds of the reference computation beside them."""

    before: Run
    now: Run
    reference_s: float

    @property
    def ratio(self) -> float:
        return self.now.seconds / self.before.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default=BEFORE, help="commit of the build of before")
    parser.add_argument("--runs", type=int, default=9, help="pairs of each command; of evaluate 3 at most")
    parser.add_argument("--only", default="", help="names of commands, with commas between them")
    parser.add_argument("--out", type=Path, help="folder for commands.csv, with every run")
    parser.add_argument("--keep", action="store_true", help="write commands.json")
    arguments = parser.parse_args()
    wanted = [name for name in arguments.only.split(",") if name]
    chosen = [command for command in COMMANDS if not wanted or command.name in wanted]
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    missed, lines = 0, ["command,before_s,now_s,before_gb,now_gb,reference_s"]
    with tempfile.TemporaryDirectory() as folder:
        before = checkout_of(arguments.against, Path(folder) / "before")
        inputs = Path(folder) / "inputs"
        python(INPUTS, str(inputs))
        print("|".join(HEADINGS))
        for command in chosen:
            runs = min(arguments.runs, command.most_runs)
            pairs = [paired(command, before, inputs, Path(folder), number) for number in range(runs + 1)][1:]
            multiple = statistics.median(pair.now.seconds / pair.reference_s for pair in pairs)
            missed += show(command, pairs, multiple, kept.get(command.name))
            kept[command.name] = round(multiple, 2)
            lines += [
                f"{command.name},{p.before.seconds},{p.now.seconds},{p.before.peak_gb},{p.now.peak_gb},{p.reference_s}"
                for p in pairs
            ]
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "commands.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if arguments.keep:
        KEPT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return 1 if missed else 0


def paired(command: Command, before: Path, inputs: Path, folder: Path, number: int) -> Pair:
    """Run a command by both checkouts, in an order that changes with the number of the pair."""
    order = (before, REPOSITORY) if number % 2 else (REPOSITORY, before)
    runs = {checkout: run_of(command, checkout, inputs, folder) for checkout in order}
    return Pair(runs[before], runs[REPOSITORY], float(python(REFERENCE)))


def run_of(command: Command, checkout: Path, inputs: Path, folder: Path) -> Run:
    """Run a command by the package of a checkout."""
    whole = process_of(command.words, command.code, checkout, inputs, folder)
    if command.less is None:
        return whole
    less = process_of(command.less, command.code, checkout, inputs, folder)
    return Run((whole.seconds - less.seconds) / command.cases, whole.peak_gb)


def process_of(words: str, code: int, checkout: Path, inputs: Path, folder: Path) -> Run:
    """Run one process. Raises RuntimeError if it does not end with the exit code."""
    with tempfile.TemporaryDirectory(dir=folder) as out, tempfile.TemporaryFile() as said:
        command = [sys.executable, "-m", "TomoRayLib.cli", *words.format(out=f"{out}/result", inputs=inputs).split()]
        started = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != code:
            said.seek(0)
            raise RuntimeError(f"{command} in {checkout} ended with {process.returncode}: {said.read().decode()}")
    return Run(seconds, usage.ru_maxrss / KILOBYTES_OF_GB)


def checkout_of(commit: str, folder: Path) -> Path:
    """The files of a commit of this repository, in a new folder."""
    subprocess.run(["git", "clone", "-q", "--no-checkout", str(REPOSITORY), str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "checkout", "-q", commit], check=True)
    return folder


def python(code: str, *words: str) -> str:
    """Run code in a process of its own, so that this one stays small: a new process's peak begins with its parent's."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def show(command: Command, pairs: Sequence[Pair], multiple: float, kept: float | None) -> int:
    """Print a command's line; return how many of its marks it misses."""
    ratios = [pair.ratio for pair in pairs]
    seconds = [statistics.median(getattr(pair, one).seconds for pair in pairs) for one in ("before", "now")]
    memory = [max(getattr(pair, one).peak_gb for pair in pairs) for one in ("before", "now")]
    ratio, memory_ratio = statistics.median(ratios), memory[1] / memory[0]
    missed = [
        command.time_mark is not None and ratio > command.time_mark,
        command.memory_mark is not None and memory_ratio > command.memory_mark,
        command.seconds_mark is not None and seconds[1] > command.seconds_mark,
    ]
    cells = [
        command.name,
        f"{seconds[0]:.2f}",
        f"{seconds[1]:.2f}",
        f"{ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
        f"{command.seconds_mark} s" if command.time_mark is None else f"{command.time_mark:.2f}",
        f"{memory[0]:.2f}",
        f"{memory[1]:.2f}",
        f"{memory_ratio:.2f}",
        "" if command.memory_mark is None else f"{command.memory_mark:.2f}",
        "" if kept is None else f"{multiple / kept:.2f}",
    ]
    aligned = (cell.rjust(len(heading)) for cell, heading in zip(cells, HEADINGS, strict=True))
    print("|".join(aligned) + ("  missed" if any(missed) else ""), flush=True)
    return sum(missed)


if __name__ == "__main__":
    sys.exit(main())
