"""A training of seconds as a user starts it: short stages, whose checkpoints are written and read all the time."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from support.labelled_cts import written

ROOT = Path(__file__).resolve().parents[2]
LONGEST_S = 120.0
STAGES, STEPS = 2, 2
HEAD = """
[data]
cohorts = ["cohort"]
held_out = ["b"]
"""
STAGE = """
[[stages]]
name = "stage{number}"
[stages.training]
steps = {steps}
batch_size = 1
precision = "32-true"
workers = {workers}
validate_every_steps = 2
keep_every_steps = 1
[stages.training.network]
image_widths = [4, 4, 8, 8, 8]
volume_widths = [4, 4, 4, 8, 8]
convolutions = [1, 1, 1, 1, 1]
output_size = 32
[stages.stream]
size = 32
kept = 1
scene = {{ spacing_mm = 8 }}
"""


@dataclass(frozen=True)
class Ended:
    """How a training ended, and what it said."""

    code: int
    said: str


def write_training(folder: Path) -> tuple[Path, ...]:
    """Two labelled CTs, and configurations whose samples are made in the training process and in one of their own."""
    for name in ("a", "b"):
        written(folder / "cohort" / f"{name}.nii.gz", folder / "cohort" / f"{name}_seg.nii.gz")
    paths = []
    for workers in (0, 1):
        stages = "".join(STAGE.format(number=number, steps=STEPS, workers=workers) for number in range(STAGES))
        path = folder / f"workers{workers}.toml"
        path.write_text(HEAD + stages, encoding="utf-8")
        paths.append(path)
    return tuple(paths)


def started(config: Path, out: Path, most_bytes: int | None = None) -> subprocess.Popen[str]:
    """Start a training in a process group of its own, as a terminal does; files can grow to ``most_bytes`` at most."""

    def as_in_a_terminal() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs in the background
        if most_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "TomoRayLib.cli", "train", str(config), "--out", str(out)],
        cwd=config.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=as_in_a_terminal,
    )


def wait_until_begun(process: subprocess.Popen[str]) -> None:
    """Wait until the command hears signals: before that a signal ends Python itself, which tells nothing."""
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end; a training that hangs is killed, and says so."""
    try:
        said, _ = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said = f"{process.communicate()[0]}\nIt hung."
    return Ended(process.returncode, said)
