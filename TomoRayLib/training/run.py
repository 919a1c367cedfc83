"""Running what a configuration describes: data found, stages one after the other, each from the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.cohort import CohortCase
from TomoRayLib.training.config import DataConfig, RunConfig, StageConfig
from TomoRayLib.training.data.anatomy import Anatomy, load_anatomy
from TomoRayLib.training.data.held_out import VALIDATION_SPINES
from TomoRayLib.training.data.licences import (
    WATCHED,
    commercial_use_allowed,
    data_of_model,
    licence_of_model,
    recorded_sources,
)
from TomoRayLib.training.data.training_cases import describe_left_out, find_training_cases
from TomoRayLib.training.engine.trainer import train
from TomoRayLib.training.engine.training_config import TrainingConfig
from TomoRayLib.training.engine.validation import ValidationCase, describe_held_out, phantom_cases, scored_case

SEED_STEP = 1_000_003  # no stage sees the phantoms of another


def run_config(config: RunConfig, folder: Path, out: Path, report: Callable[[str], None] = print) -> Path:
    """Train all stages into ``out`` and return the last checkpoint. Paths of data are relative to ``folder``.

    A stage that has a checkpoint goes on from it, so the same call resumes a killed run.
    """
    training, validation, held_out = _found(config.data, folder, report)
    previous: str | None = None
    for number, stage in enumerate(config.stages):
        settings = settings_of_stage(stage, previous, training, folder)
        cases = _validation_cases(config.data, stage, validation, held_out)
        report(f"Stage {stage.name}: {_budget(settings)}")
        if config.data.permissive:
            _check_permissive(settings, out / stage.name / "last.ckpt")
        resume = (out / stage.name / "last.ckpt").exists()
        stream = replace(stage.stream, seed=stage.stream.seed + SEED_STEP * number)
        previous = str(train(settings, stream, training, cases, out / stage.name, resume, report))
    assert previous is not None
    return Path(previous)


def settings_of_stage(
    stage: StageConfig, previous: str | None, training: Anatomy, folder: Path = Path()
) -> TrainingConfig:
    """The stage's training with its budget in steps, starting from the stage before unless it names a start, which is
    relative to ``folder``.

    Raises InputError for epochs without a cohort, or a start that does not exist.
    """
    settings = stage.training
    if stage.epochs is not None:
        if training.cohort is None:
            raise InputError(f"Stage {stage.name}: epochs need data.cohorts; without, give training.minutes or steps.")
        steps = -(-len(training.cohort.cases) * stage.epochs // settings.batch_size)
        settings = replace(settings, steps=max(1, steps))
    if settings.start_from is not None:
        start = folder / settings.start_from
        if not start.is_file():
            raise InputError(
                f"Stage {stage.name}: expected weights to start from in {start}, found none; put them there."
            )
        settings = replace(settings, start_from=str(start))
    elif previous is not None:
        settings = replace(settings, start_from=previous)
    return settings


def _found(
    data: DataConfig, folder: Path, report: Callable[[str], None]
) -> tuple[Anatomy, Anatomy | None, list[CohortCase]]:
    """(what is trained on, the held-out spines of phantoms, the held-out real cases)."""
    training, validation = Anatomy(), None
    held_out: list[CohortCase] = []
    report(f"Reading {folder}")
    if data.phantoms is not None:
        anatomy = load_anatomy(folder / data.phantoms, data.permissive, data.myo_sim, data.procedural_bodies)
        training, validation = anatomy.split((*VALIDATION_SPINES, *data.held_out))
        report(f"{len(training.spines)} spines and {len(training.bodies)} bodies for phantoms")
        report(describe_held_out(validation))
    if data.cohorts:
        cohort, held_out = find_training_cases([folder / one for one in data.cohorts], data.held_out, data.permissive)
        report(f"{len(cohort.cases)} labelled CTs to train on, {len(held_out)} held out")
        if cohort.cases or not training.spines:
            cohort.check_usable()
            training = replace(training, cohort=cohort)
        if cohort.left_out:
            report(describe_left_out(cohort.left_out))
    training.check_trainable()
    uses = training.sources()
    listed = "; ".join(f"{item['name']}, {item['licence']}" for item in data_of_model(uses))
    report(f"Trained on: {listed}. A model of these alone is under {licence_of_model(uses)}.")
    return training, validation, held_out


def _check_permissive(settings: TrainingConfig, checkpoint: Path) -> None:
    """Raises InputError where the stage goes on from weights that are not known to allow commercial use."""
    before = checkpoint if checkpoint.exists() else settings.start_from
    if before is None:
        return
    uses = recorded_sources(Path(before))
    if not commercial_use_allowed(uses):
        refused = ", ".join(sorted({one.name for one in uses if not one.commercial_use and one.use != WATCHED}))
        raise InputError(
            f"permissive = true, but {before} was trained on data not known to allow commercial use ({refused}). Start "
            f"from nothing, in a new folder, or from the weights of another permissive run."
        )


def _validation_cases(
    data: DataConfig, stage: StageConfig, validation: Anatomy | None, held_out: list[CohortCase]
) -> list[ValidationCase]:
    cases = [scored_case(one, stage.stream.size, stage.stream.fov_mm) for one in held_out]
    if validation is not None:
        cases += phantom_cases(validation, stage.stream, data.phantom_cases)
    return cases


def _budget(settings: TrainingConfig) -> str:
    return f"{settings.steps} steps" if settings.steps is not None else f"{settings.minutes:.0f} minutes"
