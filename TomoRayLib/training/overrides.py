"""Single settings of a run given next to its configuration: its length, seed, stages, start and watched cases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.training.config_file import SEED_STEP, RunConfig, StageConfig, WatchedCase


@dataclass(frozen=True)
class Overrides:
    """Settings that replace those of a configuration; None or empty keeps them.

    ``minutes`` is the budget of all stages together, each keeping its share. ``stages`` are the names of those to
    train. ``start_from`` is for the first of them. ``watched`` joins the configuration's own.
    """

    minutes: float | None = None
    seed: int | None = None
    workers: int | None = None
    stages: tuple[str, ...] = ()
    start_from: str | None = None
    watched: tuple[WatchedCase, ...] = ()


def overridden(config: RunConfig, changes: Overrides) -> RunConfig:
    """The configuration with ``changes``.

    Raises InputError for a stage that does not exist, and for minutes if a stage counts steps or epochs.
    """
    stages = config.stages
    if changes.seed is not None:
        stages = tuple(_seeded(stage, changes.seed) for stage in stages)
    if changes.stages:
        stages = _chosen(stages, changes.stages)
    if changes.minutes is not None:
        stages = _lasting(stages, changes.minutes)
    if changes.workers is not None:
        stages = tuple(_with_training(stage, workers=changes.workers) for stage in stages)
    if changes.start_from is not None:
        stages = (_with_training(stages[0], start_from=changes.start_from), *stages[1:])
    return replace(config, stages=stages, data=replace(config.data, watched=config.data.watched + changes.watched))


def _with_training(stage: StageConfig, **values: Any) -> StageConfig:
    return replace(stage, training=replace(stage.training, **values))


def _seeded(stage: StageConfig, seed: int) -> StageConfig:
    return replace(_with_training(stage, seed=seed), stream=replace(stage.stream, seed=seed))


def _chosen(stages: tuple[StageConfig, ...], names: tuple[str, ...]) -> tuple[StageConfig, ...]:
    """The stages of these names, each with the samples that it has among all of them."""
    known = [stage.name for stage in stages]
    if unknown := sorted(set(names) - set(known)):
        raise InputError(f"Expected stages of {known}, got {unknown}; choose one or more of these.", field="stages")
    kept = [(number, stage) for number, stage in enumerate(stages) if stage.name in names]
    return tuple(
        replace(stage, stream=replace(stage.stream, seed=stage.stream.seed + SEED_STEP * (before - now)))
        for now, (before, stage) in enumerate(kept)
    )


def _lasting(stages: tuple[StageConfig, ...], minutes: float) -> tuple[StageConfig, ...]:
    counted = [stage.name for stage in stages if stage.epochs is not None or stage.training.steps is not None]
    if counted:
        raise InputError(
            f"Expected stages with a budget in minutes, got {counted} with steps or epochs; leave the minutes out, or "
            f"change the configuration.",
            field="minutes",
        )
    total = sum(stage.training.minutes for stage in stages)
    return tuple(_with_training(stage, minutes=stage.training.minutes * minutes / total) for stage in stages)
