"""Run a configuration: find its data, then train its stages, each from the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import check_writable
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.training.config_file import SEED_STEP, DataConfig, RunConfig, StageConfig
from TomoRayLib.training.data.anatomy import Anatomy, load_anatomy
from TomoRayLib.training.data.held_out import VALIDATION_SUBJECTS
from TomoRayLib.training.data.labelled_bodies import find_labelled_bodies
from TomoRayLib.training.data.licences import (
    WATCHED,
    commercial_use_allowed,
    data_of_model,
    licence_of_model,
    recorded_sources,
)
from TomoRayLib.training.data.training_cases import TrainingCases, describe_left_out, find_training_cases
from TomoRayLib.training.engine.trainer import CHECKPOINT, train
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.engine.validation import (
    ValidationCase,
    check_may_be_scored,
    describe_held_out,
    phantom_cases,
    scored_case,
)


@dataclass(frozen=True)
class RunData:
    """The data of a run: what it trains on, the held-out spines of phantoms, and the real cases that it only scores."""

    training: Anatomy
    validation: Anatomy | None
    scored: list[CohortCase]


def run_config(config: RunConfig, folder: Path, out: Path, report: Callable[[str], None] = print) -> Path:
    """Train all stages of a configuration, one after the other.

    A stage that has a checkpoint goes on from it, so the same call resumes a killed run.

    Args:
        config: The run, as ``config.read_config`` reads it.
        folder: The folder that the configuration's paths start from.
        out: Folder of the run; each stage gets a folder of its name in it.
        report: Receives a line on the data, and on each stage's progress and scores.

    Returns:
        The last stage's checkpoint.

    Raises:
        InputError: A file or a setting cannot be used, the loss is not a number, or memory is exhausted.
        OutputError: ``out`` cannot be written.
    """
    check_writable(out)
    _check_start(config.stages[0], folder)
    data = find_data(config.data, folder, report)
    previous: str | None = None
    for number, stage in enumerate(config.stages):
        settings = settings_of_stage(stage, previous, data.training, folder)
        cases = _validation_cases(config.data, stage, data)
        report(f"Stage {stage.name}: {_budget(settings)}")
        if config.data.permissive:
            _check_permissive(settings, out / stage.name / CHECKPOINT)
        resume = (out / stage.name / CHECKPOINT).exists()
        stream = replace(stage.stream, seed=stage.stream.seed + SEED_STEP * number)
        previous = str(train(settings, stream, data.training, cases, out / stage.name, resume, report))
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
        settings = replace(settings, start_from=str(_start_of(stage, folder)))
    elif previous is not None:
        settings = replace(settings, start_from=previous)
    return settings


def _start_of(stage: StageConfig, folder: Path) -> Path:
    start = folder / (stage.training.start_from or "")
    if not start.is_file():
        raise InputError(
            f"Stage {stage.name}: expected weights to start from in {start}, found none; put them there.",
            field="start_from",
        )
    return start


def _check_start(stage: StageConfig, folder: Path) -> None:
    """Raise InputError for a start that cannot be read, before anything is made."""
    if stage.training.start_from is not None:
        recorded_sources(_start_of(stage, folder))


def find_data(data: DataConfig, folder: Path, report: Callable[[str], None]) -> RunData:
    """Read what a run trains on and what it scores, and report both. Raises InputError for data that cannot be used."""
    watched = [CohortCase(one.name, one.name, folder / one.ct, folder / one.labels) for one in data.watched]
    for case in watched:
        check_may_be_scored(case)
    names = tuple(case.name for case in watched)
    training, validation = Anatomy(), None
    held_out: list[CohortCase] = []
    report(f"Reading {folder}")
    if data.phantoms is not None:
        anatomy = load_anatomy(folder / data.phantoms, data.permissive, data.myo_sim, data.procedural_bodies)
        training, validation = anatomy.split((*VALIDATION_SUBJECTS, *data.held_out, *names))
        report(f"{len(training.spines)} spines and {len(training.bodies)} bodies for phantoms")
        report(describe_held_out(validation))
    cohort = TrainingCases([])
    if data.cohorts:
        folders = [folder / one for one in data.cohorts]
        cohort, held_out = find_training_cases(folders, data.held_out, data.permissive, names)
        report(f"{len(cohort.cases)} labelled CTs to train on, {len(held_out)} held out")
    if data.labelled_bodies is not None and data.phantoms is not None:
        labels, bodies = folder / data.labelled_bodies, folder / data.phantoms / "bodies"
        labelled, left_out = find_labelled_bodies(labels, bodies, (*data.held_out, *names), data.permissive)
        report(f"{len(labelled)} bodies to train on whose own spine is labelled")
        cohort = TrainingCases([*cohort.cases, *labelled], [*cohort.left_out, *left_out])
    if cohort.cases or (data.cohorts and not training.spines):
        cohort.check_usable()
        training = replace(training, cohort=cohort)
    if cohort.left_out:
        report(describe_left_out(cohort.left_out))
    training.check_trainable()
    uses = training.sources()
    listed = "; ".join(f"{item['name']}, {item['licence']}" for item in data_of_model(uses))
    report(f"Trained on: {listed}. A model of these alone is under {licence_of_model(uses)}.")
    return RunData(training, validation, [*held_out, *watched])


def _check_permissive(settings: TrainingConfig, checkpoint: Path) -> None:
    """Raise InputError if the stage goes on from weights that are not known to allow commercial use."""
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


def _validation_cases(config: DataConfig, stage: StageConfig, data: RunData) -> list[ValidationCase]:
    field_size = stage.training.field_size
    cases = [scored_case(one, stage.stream.size, stage.stream.fov_mm, field_size) for one in data.scored]
    if data.validation is not None:
        count = config.phantom_cases if stage.phantom_cases is None else stage.phantom_cases
        cases += phantom_cases(data.validation, stage.stream, count, field_size=field_size)
    return cases


def _budget(settings: TrainingConfig) -> str:
    return f"{settings.steps} steps" if settings.steps is not None else f"{settings.minutes:.0f} minutes"
