"""Wall time and peak memory of whole commands, by this checkout and by the build of before, in turn.

    python Testing/Benchmarks/commands.py [--against 63c38ef] [--runs 9] [--only demo,pair] [--out FOLDER]

Every command is a process of its own, as a user starts it, with this Python and its packages. After a run of each that
warms the caches, both checkouts run it in turn; the order changes from pair to pair. Quote the median of the ratios of
the pairs, now / before, not the seconds. The exit code is 1 if a mark is missed. Needs an idle machine and git: the
build of before is checked out of this repository's history into a temporary folder.

Each pair also times a fixed reference computation (``--reference`` alone prints its seconds): seconds divided by it
compare machines and days, which the stored seconds of ``commands.csv`` do not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from TomoRayLib.base.text_formats import csv_text  # noqa: E402

BEFORE = "63c38ef"
GB = 1e6  # kilobytes
HEADINGS = (
    f"{'':9} {'before, s':>10} {'now, s':>8} {'ratio (range)':>20} {'mark':>6} {'GB':>6} {'now':>6} {'ratio':>6} "
    f"{'mark':>6}"
)
START = "import sys; from TomoRayLib.cli import main; sys.argv[0] = 'tomoray'; sys.exit(main())"


@dataclass(frozen=True)
class Command:
    """A command line with its marks: the most that it may take of the build of before's time and memory, or seconds.

    ``{out}`` in ``words`` is a new folder, ``{inputs}`` the folder of ``make_inputs``. ``code`` is the exit code that
    tells that it did what it should.
    """

    name: str
    words: tuple[str, ...]
    time_mark: float | None = None
    memory_mark: float | None = None
    seconds_mark: float | None = None
    code: int = 0


COMMANDS = (
    Command("demo", ("demo", "--out", "{out}"), 0.40, 0.65),
    Command(
        "pair",
        ("synthesize", "--ap", "{inputs}/ap.nrrd", "--lateral", "{inputs}/lat.nrrd", "--out", "{out}"),
        0.60,
        0.80,
    ),
    Command("project", ("project", "{inputs}/ct.nrrd", "--out", "{out}", "--size", "256", "256"), 0.50),
    Command("help", ("--help",), seconds_mark=0.4),
    Command("models", ("models",), seconds_mark=0.4),
    Command("missing", ("synthesize", "--ct", "{inputs}/missing.nii.gz", "--out", "{out}"), seconds_mark=0.6, code=2),
)


@dataclass(frozen=True)
class Run:
    """What one run took."""

    seconds: float
    peak_gb: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default=BEFORE, help="commit of the build of before")
    parser.add_argument("--runs", type=int, default=9, help="pairs of each command")
    parser.add_argument("--only", default="", help="names of commands, with commas between them")
    parser.add_argument("--out", type=Path, help="folder for commands.csv, with every run")
    parser.add_argument("--reference", action="store_true", help="only time the reference computation")
    arguments = parser.parse_args()
    if arguments.reference:
        print(f"{reference_seconds():.3f} s")
        return 0
    wanted = [name for name in arguments.only.split(",") if name]
    chosen = [command for command in COMMANDS if not wanted or command.name in wanted]
    with tempfile.TemporaryDirectory() as folder:
        before = checkout_of(arguments.against, Path(folder) / "before")
        inputs = make_inputs(Path(folder) / "inputs")
        rows, missed = [], 0
        print(HEADINGS)
        for command in chosen:
            pairs = [paired(command, before, inputs, Path(folder), number) for number in range(arguments.runs + 1)][1:]
            rows += [(command.name, *pair_row(*pair)) for pair in pairs]
            missed += show(command, pairs)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        columns = ("command", "before_s", "now_s", "before_gb", "now_gb", "reference_s")
        (arguments.out / "commands.csv").write_text(csv_text(columns, rows), encoding="utf-8")
    return 1 if missed else 0


def paired(command: Command, before: Path, inputs: Path, folder: Path, number: int) -> tuple[Run, Run, float]:
    """Both runs of a pair, and the seconds of the reference computation beside them."""
    order = (before, REPOSITORY) if number % 2 else (REPOSITORY, before)
    runs = {place: run_of(command, place, inputs, folder) for place in order}
    return runs[before], runs[REPOSITORY], reference_seconds()


def run_of(command: Command, checkout: Path, inputs: Path, folder: Path) -> Run:
    """One run of a command by the package of a checkout. Raises RuntimeError if it does not end as it should."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        words = [word.format(out=f"{out}/result", inputs=inputs) for word in command.words]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", START, *words],
            cwd=checkout,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        said = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != command.code:
        raise RuntimeError(f"{' '.join(words)} in {checkout} ended with {process.returncode}:\n{said.decode()}")
    return Run(seconds, usage.ru_maxrss / GB)


def checkout_of(commit: str, folder: Path) -> Path:
    """The files of a commit of this repository, in a new folder."""
    subprocess.run(["git", "clone", "-q", "--no-checkout", str(REPOSITORY), str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "checkout", "-q", commit], check=True)
    return folder


def make_inputs(folder: Path) -> Path:
    """The demonstration's two radiographs, and its CT at 2.5 mm."""
    from TomoRayLib.geometry.grid import Grid
    from TomoRayLib.images.resampling import resample
    from TomoRayLib.images.writing import write_volume
    from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration

    subprocess.run(
        [sys.executable, "-c", START, "demo", "--out", str(folder)], cwd=REPOSITORY, check=True, capture_output=True
    )
    ct = fetch_demonstration(default_cache(dict(os.environ))).ct
    size = tuple(round(n * step / 2.5) for n, step in zip(ct.grid.size, ct.grid.spacing_mm, strict=True))
    coarse = Grid(size, (2.5, 2.5, 2.5), ct.grid.origin_mm, ct.grid.direction)
    write_volume(folder / "ct.nrrd", resample(ct, coarse))
    return folder


def reference_seconds() -> float:
    """The seconds of a fixed computation: sorting and matrix products of numpy, some .3 s on one core."""
    rng = np.random.default_rng(0)
    values, matrix = rng.random(2_000_000), rng.random((400, 400))
    started = time.perf_counter()
    np.sort(values)
    for _ in range(8):
        matrix = matrix @ matrix / np.abs(matrix).sum()
    return time.perf_counter() - started


def pair_row(before: Run, now: Run, reference_s: float) -> tuple[float, ...]:
    return (before.seconds, now.seconds, before.peak_gb, now.peak_gb, reference_s)


def show(command: Command, pairs: Sequence[tuple[Run, Run, float]]) -> int:
    """Print a command's line; the number of marks that it misses."""
    before, now = ([run.seconds for run in column] for column in list(zip(*pairs, strict=True))[:2])
    ratios = [pair[1].seconds / pair[0].seconds for pair in pairs]
    memory = [max(pair[at].peak_gb for pair in pairs) for at in (0, 1)]
    ratio, memory_ratio = statistics.median(ratios), memory[1] / memory[0]
    seconds = statistics.median(now)
    missed = [
        command.time_mark is not None and ratio > command.time_mark,
        command.memory_mark is not None and memory_ratio > command.memory_mark,
        command.seconds_mark is not None and seconds > command.seconds_mark,
    ]
    mark = f"{command.time_mark:.2f}" if command.time_mark else f"{command.seconds_mark:g} s"
    spread = f"{ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    memory_mark = f"{command.memory_mark:.2f}" if command.memory_mark else ""
    print(
        f"{command.name:9} {statistics.median(before):10.2f} {seconds:8.2f} {spread:>20} {mark:>6} "
        f"{memory[0]:6.2f} {memory[1]:6.2f} {memory_ratio:6.2f} {memory_mark:>6}{'  missed' if any(missed) else ''}",
        flush=True,
    )
    return sum(missed)


if __name__ == "__main__":
    sys.exit(main())
