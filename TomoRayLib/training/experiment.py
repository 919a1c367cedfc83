"""Running what a configuration describes: data found, stages one after the other, each from the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from TomoRayLib.images import read_labels, read_volume
from TomoRayLib.training.cohort import CaseFiles, describe_left_out, find_cohort
from TomoRayLib.training.config import DataConfig, RunConfig, StageConfig
from TomoRayLib.training.datasets import Anatomy, load_anatomy
from TomoRayLib.training.loop import TrainingConfig, train
from TomoRayLib.training.validation import ValidationCase, phantom_cases, real_case


def run_config(config: RunConfig, folder: Path, out: Path, report: Callable[[str], None] = print) -> Path:
    """Train all stages into ``out`` and return the last checkpoint. Paths of data are relative to ``folder``.

    A stage that has a checkpoint goes on from it, so the same call resumes a killed run.
    """
    training, validation, held_out = _found(config.data, folder, report)
    previous: str | None = None
    for stage in config.stages:
        settings = settings_of_stage(stage, previous, training)
        cases = _validation_cases(config.data, stage, validation, held_out)
        report(f"Stage {stage.name}: {_budget(settings)}")
        resume = (out / stage.name / "last.ckpt").exists()
        previous = str(train(settings, stage.stream, training, cases, out / stage.name, resume, report))
    assert previous is not None
    return Path(previous)


def settings_of_stage(stage: StageConfig, previous: str | None, training: Anatomy) -> TrainingConfig:
    """The stage's training with its budget in steps, starting from the stage before unless it names a start.

    Raises ValueError for epochs without a cohort.
    """
    settings = stage.training
    if stage.epochs is not None:
        if training.cohort is None:
            raise ValueError(f"Stage {stage.name}: epochs need data.cohorts; without, give training.minutes or steps.")
        steps = -(-len(training.cohort.cases) * stage.epochs // settings.batch_size)
        settings = replace(settings, steps=max(1, steps))
    if settings.start_from is None and previous is not None:
        settings = replace(settings, start_from=previous)
    return settings


def _found(
    data: DataConfig, folder: Path, report: Callable[[str], None]
) -> tuple[Anatomy, Anatomy | None, list[CaseFiles]]:
    """(what is trained on, the held-out spines of phantoms, the held-out real cases)."""
    training, validation = Anatomy(), None
    held_out: list[CaseFiles] = []
    if data.phantoms is not None:
        training, validation = load_anatomy(folder / data.phantoms, data.procedural_bodies).split()
        report(f"{len(training.spines)} spines and {len(training.bodies)} bodies for phantoms")
    if data.cohorts:
        cohort, held_out = find_cohort([folder / one for one in data.cohorts], data.held_out)
        report(f"{len(cohort.cases)} labelled CTs to train on, {len(held_out)} held out")
        if cohort.left_out:
            report(describe_left_out(cohort.left_out))
        training = replace(training, cohort=cohort)
    return training, validation, held_out


def _validation_cases(
    data: DataConfig, stage: StageConfig, validation: Anatomy | None, held_out: list[CaseFiles]
) -> list[ValidationCase]:
    cases = [
        real_case(one.name, read_volume(one.ct), read_labels(one.labels), stage.stream.size, stage.stream.fov_mm)
        for one in held_out
    ]
    if validation is not None:
        cases += phantom_cases(validation, stage.stream, data.phantom_cases)
    return cases


def _budget(settings: TrainingConfig) -> str:
    return f"{settings.steps} steps" if settings.steps is not None else f"{settings.minutes:.0f} minutes"
