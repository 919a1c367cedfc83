"""One evaluation: a folder of CTs with vertebra segmentations in, scores of every case and their summary out.

Every case is a synthesis (``synthesis.case_result``): both radiographs are rendered from the CT, or are its scouts if
the folder holds DICOM studies; the synthetic CT is made from them and compared with the real one. A case that fails is
listed with its reason and does not stop the others. Scores are kept case by case, so that an evaluation that was
stopped can be resumed.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import TomoRayLib
from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.files import check_writable, staged_folder
from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.images.cohort_finder import (
    Cohort,
    CohortCase,
    UnlabelledCase,
    counted_reasons,
    find_cases,
    only_named,
)
from TomoRayLib.images.masks.label_names import names_of_labels
from TomoRayLib.images.study_finder import find_studies, is_study
from TomoRayLib.jobs.events import Emit, Event, Finished, Note, Warned
from TomoRayLib.jobs.failures import failed_by
from TomoRayLib.jobs.job import EvaluationJob
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.jobs.provenance import PACKAGES, sha256_of_input, version_of
from TomoRayLib.jobs.synthesis import case_result, expected_seconds
from TomoRayLib.metrics.statistics import CaseScore, summarise
from TomoRayLib.report.cohort_page import CohortResult
from TomoRayLib.report.cohort_tables import TABLE_NAMES, write_tables
from TomoRayLib.synthesis.model_run import ChosenModel, choose_model
from TomoRayLib.synthesis.own_labels import is_segmenter_there
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.stated_geometry import DEFAULT_PRESET
from TomoRayLib.weights import ModelEntry, find_segmenter

AnyCase = CohortCase | UnlabelledCase

SCOUTS = "scouts of the CT (real X-rays)"
RECORDS = "cases"  # folder of one JSON file per scored case
SECONDS_A_CASE = 20.0  # on two cores
NEED_BYTES = 50 * 1024 * 1024


def run_evaluation(job: EvaluationJob, emit: Emit) -> Path:
    """Score a cohort and write its tables.

    Args:
        job: The cohort, the settings and the output folder.
        emit: Receives the events: one stage for each case, notes, warnings and ``Finished``.

    Returns:
        The output folder.

    Raises:
        InputError: For a folder without usable cases, and if not one case could be scored.
        OutputError: If the output folder cannot be written.
    """
    begun = time.monotonic()
    check_writable(job.out, NEED_BYTES)
    own_labels = job.segment and is_segmenter_there()
    cohort = _cohort(job, own_labels)
    if job.cases is not None:
        cohort = only_named(cohort, names_in(Path(job.cases)))
    model = choose_model(job.model, job.device, job.precision)
    cases: tuple[AnyCase, ...] = (*cohort.cases, *cohort.unlabelled)
    of_studies = any(is_study(case) for case in cases)
    if of_studies and any(case.ct == cohort.folder for case in cases):
        emit(Note("All folders of DICOM files have one Study Instance UID: they are taken as one study."))
    settings = scoring_settings(job, model) | ({"radiographs": SCOUTS} if of_studies else {})
    count = "1 case" if len(cases) == 1 else f"{len(cases)} cases"
    unlabelled = f", of which {len(cohort.unlabelled)} get labels by TomoRay" if cohort.unlabelled else ""
    emit(Note(f"{count}{unlabelled}. Left out{counted_reasons(cohort) or ': nothing'}."))
    scores, failed = _score_all(job, cases, settings, emit)
    result = CohortResult(
        title=f"{cohort.folder.resolve().name}, {model.entry.id}",
        scores=tuple(scores),
        failed=tuple(failed),
        left_out=tuple((cohort.relative(item.path), item.reason) for item in cohort.left_out),
        settings=_shown_settings(settings, model.entry, job),
    )
    with staged_folder(job.out) as folder:
        write_tables(folder, result)
    if not scores:
        raise InputError(
            f"Expected at least one of {len(cases)} cases to be scored, got none; the first reason: "
            f"{failed[0][0]}: {failed[0][1]} All are in {Path(job.out) / 'not_scored.csv'}."
        )
    emit(_finished(job, result, time.monotonic() - begun))
    return Path(job.out)


def _cohort(job: EvaluationJob, own_labels: bool) -> Cohort:
    """The studies with scouts in the folder, or its labelled CTs. Raises InputError if there is neither."""
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


def _score_all(
    job: EvaluationJob, cases: Sequence[AnyCase], settings: dict[str, Any], emit: Emit
) -> tuple[list[CaseScore], list[tuple[str, str]]]:
    """Return the scores of the cases that have some, and names and reasons of the others."""
    stages = Stages({case.name: SECONDS_A_CASE for case in cases}, emit)
    scores: list[CaseScore] = []
    failed: list[tuple[str, str]] = []
    for case in cases:
        with stages.stage(case.name):
            try:
                scores.append(_score(job, case, settings, emit))
            except OutputError:
                raise
            except Exception as error:  # whatever is wrong with one case must not cost the others
                failure = failed_by(error)
                failed.append((case.name, failure.message))
                details = "".join(traceback.format_exception(error))
                emit(Warned(f"{case.name} failed: {failure.message}", failure.field, details))
    return scores, failed


def scoring_settings(job: EvaluationJob, model: ChosenModel) -> dict[str, Any]:
    """Return everything but the case itself that a score depends on, as it comes back from JSON."""
    entry = model.entry
    geometry = asdict(job.geometry)
    if job.geometry.file is not None:
        geometry["file"] = sha256_of_input(Path(job.geometry.file))
    settings = {
        "tomoray": TomoRayLib.__version__,
        "model": {"id": entry.id, "weights_sha256": entry.sha256, "atlas_sha256": entry.atlas_sha256},
        "device": model.device.partition(":")[0],
        "precision": model.precision_name,
        "fov_mm": job.fov_mm,
        "quantisation": job.quantisation,
        "labels": job.labels,
        "window_hu": {"center": BONE_WINDOW.center_hu, "width": BONE_WINDOW.width_hu},
        "geometry": geometry,
    }
    as_read: dict[str, Any] = json.loads(json.dumps(settings))
    return as_read


def names_in(path: Path) -> list[str]:
    """Return the names in a text file, one a line, without empty lines and what follows #. Raises InputError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Expected a text file of case names at {path}, which cannot be read ({error}).", "cases"
        ) from None
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def _score(job: EvaluationJob, case: AnyCase, settings: dict[str, Any], emit: Emit) -> CaseScore:
    """The scores of one case: those kept from an earlier run, if they may be used, else new ones, which are kept."""
    path = Path(job.out) / RECORDS / f"{case.name}.json"
    segmentation = segmentation_of(case)
    files = {"study" if is_study(case) else "ct": case.ct}
    files |= {} if segmentation is None else {"segmentation": segmentation}
    made_with = {
        "settings": settings if segmentation else {**settings, "segmenter_sha256": find_segmenter().sha256},
        "inputs_sha256": {name: sha256_of_input(file) for name, file in files.items()},
        "label_names": _label_names(segmentation) if segmentation else [],
    }
    metrics = _kept_metrics(path, made_with) if job.resume else None
    if metrics is not None:
        emit(Note(f"{case.name}: scored before, kept."))
    else:
        record = {"case": case.name, "subject": case.subject, "made_with": made_with, **_scored(job, case, emit)}
        write_json(path, record)
        metrics = record["metrics"]
    return CaseScore.from_metrics(case.name, case.subject, metrics)


def _scored(job: EvaluationJob, case: AnyCase, emit: Emit) -> dict[str, Any]:
    """Run the synthesis of one case. Raises InputError if it has no scores."""
    begun = time.monotonic()

    def emit_of_case(event: Event) -> None:
        if isinstance(event, Warned):  # notes are in the record
            emit(replace(event, text=f"{case.name}: {event.text}"))

    segmentation = segmentation_of(case)
    case_job = job.case_job(str(case.ct), str(segmentation) if segmentation else None, is_study(case))
    result = case_result(case_job, Stages(expected_seconds(case_job), emit_of_case), emit_of_case)
    metrics = result.metrics_dict()
    if metrics is None:
        raise InputError(result.warnings[-1])
    return {
        "seconds": round(time.monotonic() - begun, 3),
        "notes": list(result.inputs.notes),
        "warnings": list(result.warnings),
        "metrics": metrics,
    }


def segmentation_of(case: AnyCase) -> Path | None:
    """Return the segmentation of a case; None if it is to be labelled by TomoRay."""
    return case.segmentation if isinstance(case, CohortCase) else None


def _label_names(segmentation: Path) -> list[list[Any]]:
    """The names of a label map's numbers, which may be in a table beside it: a changed table gives other scores."""
    names = names_of_labels(segmentation) if segmentation.is_file() else None
    return [[label.number, label.layer, *label.texts] for label in names.labels] if names is not None else []


def _kept_metrics(path: Path, made_with: dict[str, Any]) -> dict[str, Any] | None:
    """The metrics of an earlier run if it was made with the same files and settings, else None."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(record, dict) and record.get("made_with") == made_with
    return record.get("metrics") if same else None


def _shown_settings(settings: dict[str, Any], entry: ModelEntry, job: EvaluationJob) -> dict[str, Any]:
    """The settings, with the model's licence and data and the versions of the packages."""
    data = {item["name"]: item["use"] for item in entry.data}
    geometry = {key: value for key, value in settings["geometry"].items() if value is not None}
    if "radiographs" in settings:
        geometry = {"from": "the headers of the scouts"}
    elif not {"preset", "file"} & set(geometry):
        geometry = {"preset": DEFAULT_PRESET, **geometry}
    return {
        **settings,
        "geometry": geometry,
        "model": {**settings["model"], "licence": entry.licence},
        "model_was_made_from": data,
        "case_list": Path(job.cases).name if job.cases else "all cases",
        "packages": {name: version_of(name) for name in PACKAGES},
    }


def _finished(job: EvaluationJob, result: CohortResult, seconds: float) -> Finished:
    rows = summarise(result.summarised)["all"]
    return Finished(
        {
            "folder": job.out,
            "files": list(TABLE_NAMES),
            "metrics": None,
            "synthetic": True,
            "scored": len(result.summarised),
            "scored_with_own_labels": sum(score.labels_by is not None for score in result.scores),
            "failed": len(result.failed),
            "summary": {row: {key: s.to_json_dict() for key, s in values.items()} for row, values in rows.items()},
            **result.counting_dict(),
            "seconds": round(seconds, 3),
            "peak_memory_mb": peak_memory_mb(),
        }
    )
