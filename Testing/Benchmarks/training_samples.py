"""Samples for training at 48^3 a second, made by this checkout and by another one, in turn.

    git worktree add --detach /path/to/before COMMIT
    python Testing/Benchmarks/training_samples.py --data DATA --against /path/to/before [--rounds 9]

Two processes are open, one with each checkout's package, one thread each, with the same spines and bodies of DATA. In
each round both make one phantom, its X-rays and their looks from the same random numbers, one after the other; the
order changes from round to round. Each round has numbers of its own. The seconds are of the processor, so that other
work on the machine counts little. Quote the ratio of the sums; the mark is 1.5.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BODIES = ("tcga_de_a4ma_torso", "acrin_flt_001_abdomen_pelvis")
SPINES = ("verse004_seg", "verse252_seg", "verse623_seg")
PARTS = ("phantom", "X-ray", "look")

MAKER = """
import sys, time
from pathlib import Path
import numpy as np, torch
from TomoRayLib.training.data.samples import StreamConfig, sample_of_shot, shot_of_scene
from TomoRayLib.training.phantoms.bodies import load_body
from TomoRayLib.training.phantoms.scene import compose_scene
from TomoRayLib.training.phantoms.spines import load_spine
torch.set_num_threads(1)
data, spines, bodies = Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3].split(",")
xrays, looks = int(sys.argv[4]), int(sys.argv[5])
spines = [load_spine(data / "labelmaps" / f"{name}.nii.gz") for name in spines]
bodies = [load_body(data / "bodies" / f"{name}.nii.gz") for name in bodies]
config = StreamConfig(size=48)
print("ready", flush=True)
for line in sys.stdin:
    number = int(line)
    rng = np.random.default_rng(number)
    times = [time.process_time()]
    spine, body = spines[number % len(spines)], bodies[number % len(bodies)]
    scene = compose_scene(spine, body, rng, config.scene, config.phantom)
    times.append(time.process_time())
    shots = [shot_of_scene(scene, np.random.default_rng((number, shot)), config) for shot in range(xrays)]
    times.append(time.process_time())
    for at, shot in enumerate(shots):
        for look in range(looks):
            sample_of_shot(shot, np.random.default_rng((number, at, look)), config.appearance)
    times.append(time.process_time())
    print(*np.diff(times), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of labelmaps/ and bodies/")
    parser.add_argument("--against", type=Path, required=True, help="a checkout of the build of before")
    parser.add_argument("--rounds", type=int, default=9, help="phantoms by each, after one that warms up")
    parser.add_argument("--uses", type=int, default=6, help="X-rays of each phantom")
    parser.add_argument("--shot-uses", type=int, default=1, help="looks of each X-ray")
    arguments = parser.parse_args()
    checkouts = {"before": arguments.against.resolve(), "now": REPOSITORY}
    makers = {name: maker_of(path, arguments) for name, path in checkouts.items()}
    for maker in makers.values():
        answer_of(maker)
    seconds = timed(makers, arguments.rounds)
    for maker in makers.values():
        maker.stdin.close()
        maker.wait()
    samples = arguments.rounds * arguments.uses * arguments.shot_uses
    made = (arguments.rounds, arguments.rounds * arguments.uses, samples)
    for part, count, *both in zip(PARTS, made, seconds["before"], seconds["now"], strict=True):
        before, now = (total / count for total in both)
        print(f"{part}: {before:.3f} s before, {now:.3f} s now, {before / now:.2f} times as fast")
    before, now = (samples / sum(seconds[name]) for name in ("before", "now"))
    print(f"{samples} samples: {before:.2f} a second before, {now:.2f} now, ratio {now / before:.2f}")


def maker_of(checkout: Path, arguments: argparse.Namespace) -> subprocess.Popen[str]:
    """Start a process that makes samples with a checkout's package."""
    numbers = (str(arguments.uses), str(arguments.shot_uses))
    return subprocess.Popen(
        [sys.executable, "-c", MAKER, str(arguments.data.resolve()), ",".join(SPINES), ",".join(BODIES), *numbers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
    )


def answer_of(maker: subprocess.Popen[str]) -> str:
    """Wait for a line of a process, or end with its exit status."""
    line = maker.stdout.readline()
    if not line:
        raise SystemExit(f"A process that makes samples ended with status {maker.wait()}; its error is above.")
    return line


def timed(makers: dict[str, subprocess.Popen[str]], rounds: int) -> dict[str, list[float]]:
    """Make samples with both, in turn; return each one's seconds for ``PARTS`` after the first round."""
    totals = {name: [0.0] * len(PARTS) for name in makers}
    for number in range(rounds + 1):
        for name in sorted(makers, reverse=bool(number % 2)):
            print(number, file=makers[name].stdin, flush=True)
            taken = [float(one) for one in answer_of(makers[name]).split()]
            if number:
                totals[name] = [total + one for total, one in zip(totals[name], taken, strict=True)]
    return totals


if __name__ == "__main__":
    main()
