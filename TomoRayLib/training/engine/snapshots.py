"""Averaged weights kept along a run, small enough to keep many: every so many steps, and the best on real people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from TomoRayLib.training.engine.models import Model, describe_network
from TomoRayLib.training.engine.progress import Progress
from TomoRayLib.training.engine.run_files import write_checkpoint
from TomoRayLib.training.engine.validation import ValidationCase

BEST, KEPT = "best.ckpt", "kept"  # a file and a folder of a run
PEOPLE = "mean of the real people"


def mean_over_people(
    scores: Mapping[str, Mapping[str, float]], cases: Sequence[ValidationCase]
) -> dict[str, float] | None:
    """The mean of each score over the labelled CTs among the cases, phantoms left out; None without any.

    A score that a case lacks is averaged over the others.
    """
    people = [scores[case.name] for case in cases if case.real]
    if not people:
        return None
    names = dict.fromkeys(name for one in people for name in one)
    values = {name: [one[name] for one in people if name in one] for name in names}
    return {name: sum(found) / len(found) for name, found in values.items()}


def merit(score: Mapping[str, float]) -> float:
    """What the best weights are chosen by: the mean of cosine similarity and Dice."""
    return (score["cosine_similarity"] + score["dice"]) / 2


def best_merit(out: Path) -> float:
    """The ``merit`` of the best weights that a run's folder holds; minus infinity without any."""
    if not (out / BEST).exists():
        return -math.inf
    return float(torch.load(out / BEST, map_location="cpu", weights_only=True)["merit"])


def snapshot_path(out: Path, steps: int) -> Path:
    """Where the averaged weights of a step are kept."""
    return out / KEPT / f"step-{steps:07d}.ckpt"


def save_snapshot(
    path: Path,
    model: Model,
    ema: AveragedModel,
    progress: Progress,
    sources: list[dict[str, Any]],
    stream: Mapping[str, Any],
    people: Mapping[str, float] | None = None,
) -> None:
    """Write averaged weights in half precision, with all that publishing and a later start read of a checkpoint, but
    nothing to resume from. ``people`` is their mean score."""
    content = {
        "network": describe_network(model.config),
        "ema": {name: value.half() if value.is_floating_point() else value for name, value in ema.state_dict().items()},
        "progress": asdict(progress),
        "sources": sources,
        "stream": dict(stream),
        "merit": None if people is None else merit(people),
    }
    write_checkpoint(path, content)
