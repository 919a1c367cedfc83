"""Samples that training at 48^3 takes a second, the network's step included, by this checkout and by another, in turn.

    git worktree add --detach /path/to/before COMMIT
    python Testing/Benchmarks/training_steps.py --data DATA --against /path/to/before [--rounds 9]

Two processes are open, one with each checkout's package, one thread each, with the same spines and bodies of DATA. In
each round both make one phantom, its X-rays and their looks, and train the network with them, batch by batch: the 48^3
stage of the built-in recipe, which is the same from commit 63c38ef on (targets of 96^3, scenes of 2.5 mm, three X-rays
a phantom, two looks each, batches of two). What is in a phantom is each checkout's own. The order changes from round
to round, and each round has random numbers of its own.

The seconds are of the processor, so that other work on the machine counts little. Samples a second on two cores are two
over the seconds of one sample: one process makes samples while another trains, and the second has threads for both
cores. Quote the ratio of the sums and the median of the rounds' ratios; the mark is 2.0 against 63c38ef.

``--whole STEPS`` lets both train in earnest instead, a process that makes samples beside the one that trains, for so
many steps a round, in seconds by the clock: for an idle machine only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).resolve().parents[2]
BODIES = ("tcga_de_a4ma_torso", "acrin_flt_001_abdomen_pelvis", "cmb_crc_01068_chest")
SPINES = ("verse004_seg", "verse252_seg", "verse623_seg", "verse018_seg")
PARTS = ("phantom", "X-ray", "look", "step")
XRAYS, LOOKS, BATCH = 3, 2, 2  # of the built-in recipe's first stage

COMMON = """
import os, sys, tempfile, time
from pathlib import Path
import numpy as np, torch
try:
    from TomoRayLib.training.data.anatomy import Anatomy
    from TomoRayLib.training.data.samples import StreamConfig, sample_of_shot, shot_of_scene
    from TomoRayLib.training.engine.trainer import Trainer, train
    from TomoRayLib.training.engine.trainer_config import TrainingConfig
    from TomoRayLib.training.phantoms.bodies import load_body
    from TomoRayLib.training.phantoms.scene import SceneSize, body_fits, compose_scene
    from TomoRayLib.training.phantoms.spines import load_spine
except ModuleNotFoundError:  # commit 63c38ef
    from TomoRayLib.training import loop
    from TomoRayLib.training.bodies import load_body
    from TomoRayLib.training.datasets import Anatomy, StreamConfig, sample_of_shot, shot_of_scene
    from TomoRayLib.training.loop import TrainingConfig, train
    from TomoRayLib.training.phantom import SceneSize, body_fits, compose_scene
    from TomoRayLib.training.spines import load_spine
    Trainer = None
from TomoRayLib.networks.geolift import GeoLiftConfig
data, spines, bodies = Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3].split(",")
xrays, looks, batch_size, whole = (int(one) for one in sys.argv[4:8])
spines = [load_spine(data / "labelmaps" / f"{name}.nii.gz") for name in spines]
bodies = [load_body(data / "bodies" / f"{name}.nii.gz") for name in bodies]
stream = StreamConfig(size=96, uses=xrays, shot_uses=looks, seed=1, scene=SceneSize(spacing_mm=2.5))
network = GeoLiftConfig(residual_heads=True)
config = TrainingConfig(
    steps=whole or 10**6, finest_level=2, batch_size=batch_size, peak_lr=1e-3, network=network,
    validate_every_steps=10**6,
)
"""

MAKER_AND_TRAINER = """
torch.set_num_threads(1)
torch.manual_seed(1)
if Trainer is not None:
    trainer = Trainer.setup(config, stream, Anatomy(tuple(spines), tuple(bodies)), [], Path(tempfile.mkdtemp()), print)
    step = lambda batch: trainer.step(batch, time.monotonic())
else:
    fabric = loop.launched_fabric(config.precision, os.environ)
    fabric.seed_everything(config.seed)
    network = loop.build_model(network, "cpu")
    trained = loop._parameters_to_train(network, config)
    optimizer = torch.optim.AdamW(trained, lr=config.peak_lr, weight_decay=config.weight_decay, betas=config.betas)
    ema = loop.AveragedModel(network, multi_avg_fn=loop.moving_average(config.ema_decay))
    model, optimizer = fabric.setup(network, optimizer)
    def step(batch):
        loop._step(fabric, model, optimizer, batch, config, None, 1.0)
        ema.update_parameters(model)
print("ready", flush=True)
for line in sys.stdin:
    number = int(line)
    rng = np.random.default_rng(number)
    spine = spines[number % len(spines)]
    fitting = [body for body in bodies if body_fits(spine, body)]
    times = [time.process_time()]
    scene = compose_scene(spine, fitting[number % len(fitting)], rng, stream.scene, stream.phantom)
    times.append(time.process_time())
    shots = [shot_of_scene(scene, np.random.default_rng((number, shot)), stream) for shot in range(xrays)]
    times.append(time.process_time())
    samples = [
        sample_of_shot(shot, np.random.default_rng((number, at, look)), stream.appearance)
        for look in range(looks) for at, shot in enumerate(shots)
    ]
    times.append(time.process_time())
    for first in range(0, len(samples), batch_size):
        part = samples[first : first + batch_size]
        step({name: torch.stack([sample[name] for sample in part]) for name in part[0]})
    times.append(time.process_time())
    print(*np.diff(times), flush=True)
"""

WHOLE = """
print("ready", flush=True)
for line in sys.stdin:
    with tempfile.TemporaryDirectory() as out:
        train(config, stream, Anatomy(tuple(spines), tuple(bodies)), [], Path(out) / "run")
        rows = [row.split(",") for row in (Path(out) / "run" / "log.csv").read_text().splitlines()[1:]]
    print((float(rows[-1][1]) - float(rows[0][1])) / (int(rows[-1][0]) - int(rows[0][0])) / batch_size, flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of labelmaps/ and bodies/")
    parser.add_argument("--against", type=Path, required=True, help="a checkout of the build of before")
    parser.add_argument("--rounds", type=int, default=9, help="rounds after one that warms up")
    parser.add_argument("--whole", type=int, default=0, metavar="STEPS", help="train in earnest, by the clock")
    arguments = parser.parse_args()
    checkouts = {"before": arguments.against.resolve(), "now": REPOSITORY}
    workers = {name: process_of(path, arguments) for name, path in checkouts.items()}
    for worker in workers.values():
        answer_of(worker)
    rounds = timed(workers, arguments.rounds)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    told(rounds, ("sample",) if arguments.whole else PARTS, 1 if arguments.whole else XRAYS * LOOKS, arguments.whole)


def process_of(checkout: Path, arguments: argparse.Namespace) -> subprocess.Popen[str]:
    """Start a process that makes samples, and trains, with a checkout's package."""
    numbers = (XRAYS, LOOKS, BATCH, arguments.whole)
    program = COMMON + (WHOLE if arguments.whole else MAKER_AND_TRAINER)
    names = (",".join(SPINES), ",".join(BODIES))
    threads = {} if arguments.whole else {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program, str(arguments.data.resolve()), *names, *map(str, numbers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), **threads},
    )


def answer_of(worker: subprocess.Popen[str]) -> str:
    """Wait for a line of a process, or end with its exit status."""
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"A process that trains ended with status {worker.wait()}; its error is above.")
    return line


def timed(workers: dict[str, subprocess.Popen[str]], rounds: int) -> dict[str, list[list[float]]]:
    """Let both work in turn; each one's seconds for every part, round by round, after the first."""
    taken: dict[str, list[list[float]]] = {name: [] for name in workers}
    for number in range(rounds + 1):
        for name in sorted(workers, reverse=bool(number % 2)):
            print(number, file=workers[name].stdin, flush=True)
            seconds = [float(one) for one in answer_of(workers[name]).split()]
            if number:
                taken[name].append(seconds)
    return taken


def told(rounds: dict[str, list[list[float]]], parts: tuple[str, ...], samples: int, by_clock: bool) -> None:
    """Print seconds a sample of each part, samples a second, and the ratio: by round, its median, and of the sums."""
    before, now = rounds["before"], rounds["now"]
    for index, part in enumerate(parts):
        ours, theirs = (sum(one[index] for one in each) / len(each) / samples for each in (now, before))
        print(f"{part}: {theirs:.4f} s a sample before, {ours:.4f} s now, {theirs / ours:.2f} times as fast")
    ratios = [sum(theirs) / sum(ours) for theirs, ours in zip(before, now, strict=True)]
    print("ratio by round: " + " ".join(f"{ratio:.2f}" for ratio in ratios))
    print(f"median {median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    cores = 1 if by_clock else 2
    rates = [cores * samples * len(each) / sum(map(sum, each)) for each in (before, now)]
    print(f"samples a second on two cores: {rates[0]:.2f} before, {rates[1]:.2f} now, ratio {rates[1] / rates[0]:.2f}")


if __name__ == "__main__":
    main()
