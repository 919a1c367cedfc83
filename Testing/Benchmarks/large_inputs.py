"""Time and memory of a synthesis from large inputs, and how they grow: no faster than the inputs' voxels or pixels.

    python Testing/Benchmarks/large_inputs.py [--runs 3]

Inputs, made here from the built-in phantom: a CT of 512 x 512 x 1000 voxels of 0.5 mm with its labels, and the same at
1 mm (an eighth of the voxels); two radiographs of 3000 x 3000 pixels, and of 1000 x 1000 (a ninth). Each run is a
process of its own; quote the ratio, large over small. The exit code is 1 if time or memory grow faster than the input.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

INPUTS = """
import sys
from pathlib import Path
import numpy as np
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
folder, (ct, labels) = Path(sys.argv[1]), phantom_volumes()
x, y, z = ct.grid.center_mm
for name, size, mm in (("small", (256, 256, 500), 1.0), ("large", (512, 512, 1000), 0.5)):
    place = tuple(middle - (count - 1) / 2 * mm for middle, count in zip((x, y, z), size))
    grid = Grid(size, (mm,) * 3, place)
    hu = resample(ct, grid).voxels.round().astype(np.int16)
    write_volume(folder / f"{name}_ct.nii.gz", Volume(hu, grid))
    write_volume(folder / f"{name}_labels.nii.gz", resample(labels, grid, Interpolation.NEAREST, fill=0))
"""


@dataclass(frozen=True)
class Task:
    """A command for a small and a large input, and how many times as many voxels or pixels the large one has."""

    name: str
    words: str
    times: float


TASKS = (
    Task(
        "CT of 512 x 512 x 1000 at 0.5 mm",
        "synthesize --ct {inputs}/{size}_ct.nii.gz --segmentation {inputs}/{size}_labels.nii.gz --out {out}",
        8.0,
    ),
    Task(
        "radiographs of 3000 x 3000",
        "synthesize --ap {inputs}/{size}/ap.nrrd --lateral {inputs}/{size}/lat.nrrd --out {out}",
        9.0,
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    grew_faster = False
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder)
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run([sys.executable, "-c", INPUTS, folder], env=environment, check=True)
        for size, pixels, mm in (("small", 1000, 0.429), ("large", 3000, 0.143)):
            shape = f"--size {pixels} {pixels} --pixel-spacing {mm} {mm}"
            run(f"project {inputs}/small_ct.nii.gz --out {inputs}/{size} {shape}")
        print(f"{'':34}|{'small: s, GB':>14}|{'large: s, GB':>14}|{'ratios':>11}|{'input':>6}")
        for task in TASKS:
            taken = {}
            for size in ("small", "large"):
                words = [task.words.format(inputs=inputs, size=size, out=inputs / f"{size}_{n}") for n in range(runs)]
                done = [run(one) for one in words]
                taken[size] = tuple(statistics.median(column) for column in zip(*done, strict=True))
            ratios = [large / small for small, large in zip(taken["small"], taken["large"], strict=True)]
            grew_faster |= max(ratios) > task.times
            cells = [f"{seconds:.1f}, {gigabytes:.2f}" for seconds, gigabytes in (taken["small"], taken["large"])]
            print(f"{task.name:34}|{cells[0]:>14}|{cells[1]:>14}|{ratios[0]:5.1f},{ratios[1]:5.1f}|{task.times:6.0f}")
    return int(grew_faster)


def run(words: str) -> tuple[float, float]:
    """Run a command; return its seconds, and its peak memory in GB."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "TomoRayLib.cli", *words.split()]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"tomoray {words} ended with {process.returncode}.")
    return time.perf_counter() - started, usage.ru_maxrss / 1e6


if __name__ == "__main__":
    sys.exit(main())
