"""The cases of an evaluation: found, given their methods, and checked against the people that the methods know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_files import read_text
from TomoRayLib.evaluation.case_facts import SOURCE
from TomoRayLib.evaluation.case_scoring import CaseTask, ScoredModel
from TomoRayLib.evaluation.known_people import known_pictures
from TomoRayLib.evaluation.predictions import PredictionFolder, read_predictions
from TomoRayLib.evaluation.prepared import CaseFiles, CaseSettings
from TomoRayLib.evaluation.roles import Known, LeakGuard, People
from TomoRayLib.evaluation.stage_store import StageStore
from TomoRayLib.images.cohort_finder import (
    Cohort,
    CohortCase,
    UnlabelledCase,
    counted_reasons,
    find_cases,
    only_named,
    source_of,
)
from TomoRayLib.images.study_finder import find_studies, is_study
from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.metrics.statistics import MODEL_ROW
from TomoRayLib.synthesis.model_run import choose_model
from TomoRayLib.synthesis.own_labels import is_segmenter_there
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.weights import ModelEntry, find_model

AnyCase = CohortCase | UnlabelledCase

STAGES = "stages"  # folder of computed stages, in the output folder


@dataclass(frozen=True)
class Methods:
    """What is compared: models of the registry, each under its row, and folders of predictions. ``atlas`` is the model
    whose mean atlas is the baseline."""

    models: Mapping[str, ModelEntry]
    predictions: tuple[PredictionFolder, ...]
    atlas: ModelEntry

    @property
    def names(self) -> tuple[str, ...]:
        """The rows, in printing order."""
        return (*self.models, *(one.name for one in self.predictions))

    @property
    def people(self) -> dict[str, People]:
        """The people that each method knows, by the model's id or the name of the predictions."""
        known = {entry.id: People.from_json_dict(entry.people) for entry in self.models.values()}
        for one in self.predictions:
            known[one.name] = People(one.description.trained_on, one.description.chosen_on)
        return known


def methods_of(job: EvaluationJob) -> Methods:
    """Return what a job compares. Raises InputError for an unknown model and for predictions without description."""
    predictions = tuple(read_predictions(Path(folder)) for folder in job.predictions)
    ids: tuple[str | None, ...] = job.model or (() if predictions else (None,))
    entries = [find_model(one) for one in ids]
    models = {entries[0].id if len(entries) > 1 else MODEL_ROW: entries[0]} if entries else {}
    models |= {entry.id: entry for entry in entries} if len(entries) > 1 else {}
    names = [*models, *(one.name for one in predictions)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"Expected a name of its own for each method, got {', '.join(twice)} twice.", "predictions")
    return Methods(models, predictions, entries[0] if entries else find_model())


def cohort_of(job: EvaluationJob) -> Cohort:
    """Find the cases: studies with scouts in the folder, or its labelled CTs. Raises InputError if there is neither."""
    own_labels = job.segment and is_segmenter_there()
    return _cohort(job, own_labels)


def chosen_of(job: EvaluationJob, cohort: Cohort) -> Cohort:
    """Return the cases of a cohort that the job's list names, or all. Raises InputError for unknown names."""
    return cohort if job.cases is None else only_named(cohort, names_in(Path(job.cases)))


def _cohort(job: EvaluationJob, own_labels: bool) -> Cohort:
    studies = find_studies(Path(job.folder), include_unlabelled=own_labels)
    if studies is None:
        return find_cases(Path(job.folder), job.include_gl, include_unlabelled=own_labels)
    if job.geometry != GeometryOptions():
        raise InputError(
            "Expected no geometry with studies, the headers of whose scouts state it; leave it out.", "geometry"
        )
    if not studies.cases and not studies.unlabelled:
        raise InputError(
            f"Expected studies with scouts and segmentations in {job.folder}, found none that can be scored"
            f"{counted_reasons(studies)}. How to name segmentations is in docs/evaluation.md."
        )
    return studies


def names_in(path: Path) -> list[str]:
    """Return the names in a text file, one a line, without empty lines and what follows #. Raises InputError."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            f"Expected a text file of case names at {path}, which cannot be read ({error}).", "cases"
        ) from None
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def segmentation_of(case: AnyCase) -> Path | None:
    """Return the segmentation of a case; None if it is to be labelled by TomoRay."""
    return case.segmentation if isinstance(case, CohortCase) else None


def stages_folder(job: EvaluationJob) -> str:
    """Return the folder in which computed stages are kept."""
    return str(Path(job.stages).absolute() if job.stages is not None else Path(job.out).absolute() / STAGES)


def tasks_of(job: EvaluationJob, methods: Methods, cases: Sequence[AnyCase], threads: int) -> list[CaseTask]:
    """Return the work on each case, as it is sent to a worker: with weights, device and precision as they are here.

    Raises InputError for a device that does not exist.
    """
    chosen = choose_model(methods.atlas.id, job.device, job.precision)
    device, precision = chosen.device.partition(":")[0], "float32" if chosen.precision_name == "float32" else "auto"
    settings = CaseSettings(
        job.geometry, job.labels, job.fov_mm, methods.atlas.size, job.quantisation, device, precision
    )
    return [
        CaseTask(
            name=case.name,
            subject=case.subject,
            files=_files_of(case),
            settings=settings,
            models=tuple(ScoredModel(row, entry.id, entry.sha256) for row, entry in methods.models.items()),
            predictions=methods.predictions,
            atlas=methods.atlas.id,
            atlas_sha256=methods.atlas.atlas_sha256,
            precision_name=chosen.precision_name,
            store=StageStore(stages_folder(job), reuse=job.resume or job.stages is not None),
            threads=threads,
        )
        for case in cases
    ]


def _files_of(case: AnyCase) -> CaseFiles:
    segmentation = segmentation_of(case)
    return CaseFiles(str(case.ct), None if segmentation is None else str(segmentation), is_study(case))


def guard_of(methods: Methods) -> tuple[LeakGuard, tuple[str, ...]]:
    """Return the guard that knows whom the methods have seen, and what it cannot know, in sentences.

    Raises InputError for a damaged file of known people.
    """
    people, pictures = methods.people, known_pictures()
    silent = [name for name, one in people.items() if not one.trained_on and not one.chosen_on]
    sentences = []
    if silent:
        sentences.append(f"{', '.join(silent)}: whom it has seen is not stated, so anybody may be known to it.")
    if not pictures and len(silent) < len(people):
        sentences.append("There are no pictures of known people (known_people.json): their copies are not found.")
    return LeakGuard(people, pictures), tuple(sentences)


def known_by_name(guard: LeakGuard, case: AnyCase) -> tuple[Known, ...]:
    """Return which methods know a case by the names of its files and folders, one by one and two joined, as trainings
    name ``totalsegmentator/example/ct.nii.gz``."""
    segmentation = segmentation_of(case)
    names = [case.name, case.subject]
    for path in (case.ct, *([segmentation] if segmentation is not None else [])):
        parts = [part.split(".")[0] for part in path.parts[-4:]]
        names += [*parts, *(f"{first}_{second}" for first, second in pairwise(parts))]
    return guard.by_name(dict.fromkeys(names))


def facts_of_source(cohort: Cohort, case: AnyCase) -> dict[str, str]:
    """Return the data set that a case is from, as a fact."""
    return {SOURCE: source_of(case.ct.relative_to(cohort.folder))}


def names_of(cohort: Cohort) -> list[tuple[str, str]]:
    """Return name and person of every case of a cohort."""
    labelled = [(case.name, case.subject) for case in cohort.cases]
    return labelled + [(case.name, case.subject) for case in cohort.unlabelled]


def predictions_without_case(method: str, files: Sequence[str]) -> str:
    """Return a sentence on predictions that belong to no case; nothing without any."""
    if not files:
        return ""
    more = ", ..." if len(files) > 3 else ""
    return f"{method}: {len(files)} predictions belong to no case of the cohort ({', '.join(files[:3])}{more})."
