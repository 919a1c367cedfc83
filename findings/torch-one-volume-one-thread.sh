#!/usr/bin/env bash
# PyTorch samples and enlarges one volume on one thread of the processor, however many threads it has.
#
# Guess: grid_sample and interpolate share their work among torch's threads, as convolutions do: a volume of 192^3
# voxels is enough for all of them.
# What happens: both share it by the batch alone. One image or one volume is computed by one thread, two by two; the
# trilinear enlarging does so for channels-last volumes, the order in which 3D convolutions are fast. No word says it.
# Why it matters: a network that lifts two radiographs into a volume, or a U-Net that enlarges one, runs on one case at
# a time in a clinic. These two steps then take as long on thirty-two cores as on one.
#
# Counted in threads that did at least a fifth of the work, by the system's own accounting (/proc, Linux), so that neither
# the machine's speed nor its load matters; a convolution beside it shows that threads are there.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 torch==2.13.0
cd "$work"
export CUDA_VISIBLE_DEVICES= OMP_WAIT_POLICY=passive  # threads that wait do not count as working
"$work/venv/bin/python" -I - <<'PYTHON'
import time
from pathlib import Path

import torch
import torch.nn.functional as F

torch.set_num_threads(2)
print("torch", torch.__version__, "with", torch.get_num_threads(), "threads")


def ticks():
    """Time of the processor that each thread of this process has had."""
    lines = {task.name: (task / "stat").read_text().rsplit(")", 1)[1].split() for task in Path("/proc/self/task").iterdir()}
    return {thread: int(fields[11]) + int(fields[12]) for thread, fields in lines.items()}


def threads_at_work(run):
    run()
    before, began = ticks(), time.process_time()
    while time.process_time() - began < 2.0:
        run()
    worked = [after - before.get(thread, 0) for thread, after in ticks().items()]
    return sum(share > 0.2 * sum(worked) for share in worked)


def sampled(count):
    image, places = torch.rand(count, 8, 224, 224), torch.rand(count, 1536, 192, 2) * 2 - 1
    return lambda: F.grid_sample(image, places, align_corners=True)


def enlarged(count):
    volume = torch.rand(count, 8, 48, 48, 48).to(memory_format=torch.channels_last_3d)
    return lambda: F.interpolate(volume, scale_factor=2, mode="trilinear")


layer = torch.nn.Conv3d(16, 16, 3, padding=1)
volume = torch.rand(1, 16, 48, 48, 48)
changed = []
with torch.inference_mode():
    of_layer = threads_at_work(lambda: layer(volume))
    print(f"a convolution of one volume: {of_layer} threads")
    if of_layer != 2:
        raise SystemExit("CHANGED: recorded two threads for a convolution of one volume")
    for name, make in (("grid_sample", sampled), ("trilinear interpolate, channels last", enlarged)):
        one, two = threads_at_work(make(1)), threads_at_work(make(2))
        print(f"{name}: one by {one} thread(s), two together by {two}")
        if (one, two) != (1, 2):
            changed.append(f"CHANGED: {name}: recorded one thread for one, two for two")

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
