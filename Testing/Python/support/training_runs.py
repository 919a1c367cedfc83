"""A training of seconds: tiny network, coarse phantoms, and what its files hold."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from support.anatomies import a_coarse_anatomy
from TomoRayLib.networks.geolift import GeoLiftConfig
from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.engine.trainer import train
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.engine.validation import ValidationCase, phantom_cases
from TomoRayLib.training.phantoms.scene import SceneSize

TINY = GeoLiftConfig(
    image_widths=(4, 4, 8, 8, 8), volume_widths=(4, 4, 4, 8, 8), convolutions=(1, 1, 1, 1, 1), output_size=32
)


STREAM = StreamConfig(size=32, uses=100, kept=1, scene=SceneSize(spacing_mm=8.0))


ANATOMY = a_coarse_anatomy()


SECONDS_PER_STEP = 1.0


def a_config(steps: int, **changes: Any) -> TrainingConfig:
    config = TrainingConfig(
        minutes=steps * SECONDS_PER_STEP / 60,
        finest_level=1,
        batch_size=1,
        precision="32-true",
        workers=0,
        validate_every_steps=100,
        network=TINY,
    )
    return dataclasses.replace(config, **changes)


def run(config: TrainingConfig, out: Path, resume: bool = False, report: Callable[[str], None] = print) -> Path:
    cases: list[ValidationCase] = phantom_cases(ANATOMY, STREAM, 1)
    return train(config, STREAM, ANATOMY, cases, out, resume, report)


def content_of(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, weights_only=True)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_equal(first: Any, second: Any) -> None:
    """Equal to the last bit, through all dictionaries and lists."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_equal(first[key], second[key])
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_equal(one, other)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    else:
        assert first == second
