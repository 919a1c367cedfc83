"""A script for torchrun, OUT STEPS: each process trains the tiny network until STEPS and writes what it saw."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from support.training_runs import ANATOMY, STREAM, TINY, a_config
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.training.engine import run_log
from TomoRayLib.training.engine import trainer as loop
from TomoRayLib.training.engine.adversary import AdversaryConfig


def main(out: Path, steps: int) -> None:
    """Train, and write what this process saw and ends with to ``OUT-of-RANK.pt``. The clock of the second process
    stands still, so that it would never save by it."""
    radiographs_seen: list[torch.Tensor] = []
    networks: list[GeoLiftUNet] = []
    real = GeoLiftUNet.forward

    def forward(self: GeoLiftUNet, radiographs: torch.Tensor, cube_to_pixel: torch.Tensor, **rest: Any) -> Any:
        radiographs_seen.append(radiographs.clone())
        networks.append(self)
        return real(self, radiographs, cube_to_pixel, **rest)

    GeoLiftUNet.forward = forward  # type: ignore[method-assign]
    torch.set_num_threads(1)
    config = a_config(1, minutes=1e9, finest_level=0, network=dataclasses.replace(TINY, output_size=48))
    config = dataclasses.replace(config, steps=steps, adversary=AdversaryConfig(weight=0.1, crop=32))
    loop.CHECKPOINT_SECONDS, run_log.EVERY_STEPS = 1e-9, 1
    rank = int(os.environ["RANK"])
    if rank == 1:
        loop.time = SimpleNamespace(monotonic=lambda: 0.0)  # type: ignore[assignment]
    stream = dataclasses.replace(STREAM, size=48)
    loop.train(config, stream, ANATOMY, [], out, resume=out.exists())
    content = {"radiographs": radiographs_seen, "weights": networks[-1].state_dict()}
    torch.save(content, out.with_name(f"{out.name}-of-{rank}.pt"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
