"""One evaluation: a folder of CTs with vertebra segmentations in, scores of every case and their summary out.

Every case goes through ``evaluation.score_case``, in this process or on workers: both radiographs are rendered from the
CT, or are its scouts if the folder holds DICOM studies; each model makes a synthetic CT, predictions of other methods
are read, and all are compared with the real one. A case that fails is listed with its reason and does not stop the
others. What was computed is kept stage by stage, so that an evaluation that was stopped can be resumed.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.files import check_writable, staged_folder, write_text
from TomoRayLib.base.left_behind import tidy_below
from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.evaluation.case_scoring import CaseTask, score_case
from TomoRayLib.evaluation.dask_pool import cluster_pool, free_memory_bytes, is_dask_there, local_pool
from TomoRayLib.evaluation.earlier_run import add_earlier_rows, check_earlier_run
from TomoRayLib.evaluation.pool import Lost, OneProcess, Pool, worker_count
from TomoRayLib.evaluation.roles import Known, LeakGuard
from TomoRayLib.evaluation.spine_shape import MAYBE, alike_earlier, from_text
from TomoRayLib.evaluation.stage_store import StageStore
from TomoRayLib.images.cohort_finder import Cohort, counted_reasons
from TomoRayLib.images.study_finder import is_study
from TomoRayLib.jobs.disk_reserve import DiskReserve
from TomoRayLib.jobs.evaluation_cases import (
    AnyCase,
    Methods,
    chosen_of,
    cohort_of,
    facts_of_source,
    guard_of,
    known_by_name,
    methods_of,
    names_of,
    predictions_without_case,
    stages_folder,
    tasks_of,
)
from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.jobs.evaluation_settings import THREADS, scoring_settings, shown_settings
from TomoRayLib.jobs.events import Emit, ExitCode, Failed, Finished, Note, StageBegun, Warned, tell
from TomoRayLib.jobs.failures import failed_by
from TomoRayLib.jobs.shared_texts import cohort_without_folders, without_folders
from TomoRayLib.metrics.statistics import EVERYTHING, CaseScore
from TomoRayLib.report.cohort_case_page import case_page
from TomoRayLib.report.cohort_result import CohortResult
from TomoRayLib.report.cohort_tables import write_tables
from TomoRayLib.synthesis.model_run import choose_device
from TomoRayLib.synthesis.unusable_gpu import device_warnings

RECORDS = "cases"  # folder of one JSON file and one page per scored case
RESULTS = "summary.json"  # of an earlier run
SECONDS_A_CASE = 12.0  # on one core
NEED_BYTES = 50 * 1024 * 1024
UNBOUNDED = "Its memory is not bounded: that takes several workers."
NO_DASK = "One case after another: working on several at once needs the Python package distributed (tomoray[cluster])."


@dataclass(frozen=True)
class Outcome:
    """What became of a case on a worker: its record, or how it failed."""

    record: dict[str, Any] | None = None
    failure: Failed | None = None


@dataclass
class _Run:
    """The state of an evaluation while cases come in."""

    job: EvaluationJob
    cohort: Cohort
    everything: Cohort
    cases: Sequence[AnyCase]
    guard: LeakGuard
    emit: Emit
    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    failed: dict[int, list[str]] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    by_shape: set[int] = field(default_factory=set)
    disk_is_full: bool = False


def run_evaluation(job: EvaluationJob, emit: Emit) -> Path:
    """Score a cohort and write its tables.

    Args:
        job: The cohort, the methods, the settings and the output folder.
        emit: Receives the events: one stage for each case that is done, notes, warnings and ``Finished``.

    Returns:
        The output folder.

    Raises:
        InputError: For a folder without usable cases, and if not one case could be scored.
        OutputError: If the output folder cannot be written, or a scheduler is gone; what is scored is kept.
    """
    begun = time.monotonic()
    check_writable(job.out, NEED_BYTES)
    tidy_below(Path(job.out) / RECORDS, Path(stages_folder(job)))
    everything, methods = cohort_of(job), methods_of(job)
    cohort = chosen_of(job, everything)
    if job.against is not None:
        check_earlier_run(Path(job.against), Path(job.out))
    cases: tuple[AnyCase, ...] = (*cohort.cases, *cohort.unlabelled)
    if any(is_study(case) for case in cases) and any(case.ct == cohort.folder for case in cases):
        emit(Note("All folders of DICOM files have one Study Instance UID: they are taken as one study."))
    settings = scoring_settings(job, methods)
    count = "1 case" if len(cases) == 1 else f"{len(cases)} cases"
    unlabelled = f", of which {len(cohort.unlabelled)} get labels by TomoRay" if cohort.unlabelled else ""
    emit(Note(f"{count}{unlabelled}. Left out{counted_reasons(cohort) or ': nothing'}."))
    guard, unknown = guard_of(methods)
    tell(emit, (), (*unknown, *device_warnings(job.device)))
    run = _Run(job, cohort, everything, cases, guard, emit)
    todo, reserve = _unseen(run), DiskReserve(Path(job.out))
    try:
        gone = _score_all(run, tasks_of(job, methods, cases, THREADS), todo)
        reserve.release()
        result = _result(run, methods, settings)
        kept = not result.scores and (Path(job.out) / RESULTS).exists()
        if not kept:
            _remove_stale_records(run, result)
            names = _write(job, result)
    finally:
        reserve.release()
    if gone is not None:
        raise gone
    if not result.scores:
        name, reason = (*result.failed, *result.refused)[0]
        left = f"The earlier results in {job.out} are left as they were."
        told = left if kept else f"All are in {Path(job.out) / 'not_scored.csv'}."
        why = f"got none; the first reason: {name}: {reason} {told}"
        raise InputError(f"Expected at least one of {len(cases)} cases to be scored, {why}")
    for sentence in result.marked_sentences:
        emit(Warned(sentence))
    emit(_finished(job, result, names, time.monotonic() - begun))
    return Path(job.out)


def scored(task: CaseTask) -> Outcome:
    """Score a case on a worker; whatever is wrong with it must not cost the others."""
    try:
        return Outcome(score_case(task))
    except Exception as error:
        failure = failed_by(error)
        details = failure.details or "".join(traceback.format_exception(error))
        return Outcome(failure=Failed(failure.message, failure.code, failure.field, details))


def _unseen(run: _Run) -> list[int]:
    """The places of the cases to be scored: without those that a method knows by name, unless they are asked for."""
    todo = []
    for place, case in enumerate(run.cases):
        known = known_by_name(run.guard, case)
        if known and not run.job.include_seen:
            run.refused[place] = _refused(known)
        else:
            todo.append(place)
    refused = len(run.cases) - len(todo)
    if refused:
        run.emit(
            Warned(
                f"{refused} of {len(run.cases)} cases are not scored: a method was trained or chosen on these people. "
                "They can be scored if that is asked for, and are marked then.",
                "include_seen",
            )
        )
    return todo


def _refused(known: Sequence[Known]) -> str:
    return f"{'; '.join(one.sentence for one in known)}: a score would say nothing about anybody else."


def _score_all(run: _Run, tasks: Sequence[CaseTask], todo: Sequence[int]) -> OutputError | None:
    """Score the cases at the places ``todo``; the error if the workers are gone before the end."""
    if not todo:
        return None
    pool = _pool(run.job, len(todo))
    run.emit(Note(pool.said))
    begun, done = time.monotonic(), 0
    _tell_progress(run.emit, begun, done, len(todo))
    try:
        for number, outcome in pool.run(scored, [tasks[place] for place in todo]):
            _take(run, todo[number], outcome)
            done += 1
            if done < len(todo):
                _tell_progress(run.emit, begun, done, len(todo))
    except OutputError as error:
        return error
    finally:
        pool.close()
        kept = sum("made" not in record["stages"].values() for record in run.records.values())
        if kept:
            count = "1 case was" if kept == 1 else f"{kept} cases were"
            run.emit(Note(f"{count} computed before, and nothing that they depend on has changed."))
    return None


def _tell_progress(emit: Emit, begun: float, done: int, of: int) -> None:
    pace = (time.monotonic() - begun) / done if done else SECONDS_A_CASE
    emit(StageBegun("Scoring", done + 1, of, round(pace * (of - done), 1)))


def _pool(job: EvaluationJob, cases: int) -> Pool:
    """The scheduler's workers, workers on this machine, or this process alone."""
    if job.scheduler is not None:
        if not is_dask_there():
            raise InputError(
                "Expected the Python package distributed for a Dask scheduler, which is not installed; install "
                "tomoray[cluster].",
                "scheduler",
            )
        Path(job.out).mkdir(parents=True, exist_ok=True)
        stages = Path(stages_folder(job))
        stages.mkdir(parents=True, exist_ok=True)
        files = [job.folder, *job.predictions, *([job.geometry.file] if job.geometry.file is not None else [])]
        places = [Path(one).absolute() for one in files]
        return cluster_pool(job.scheduler, [*places, stages, Path(job.out).absolute()])
    on_gpu = choose_device(job.device).startswith("cuda")
    if not is_dask_there():
        return OneProcess(NO_DASK if cases > 1 else OneProcess().said)
    count = worker_count(job.workers, cases, free_memory_bytes(), on_gpu, job.memory_gb)
    if count == 1:
        return OneProcess() if job.memory_gb is None else OneProcess(f"{OneProcess().said} {UNBOUNDED}")
    return local_pool(count, THREADS, job.memory_gb)


def _take(run: _Run, place: int, outcome: Outcome | Lost) -> None:
    """Keep what came of a case; tell its warnings."""
    case = run.cases[place]
    failure = Failed(outcome.sentence, ExitCode.OUT_OF_MEMORY) if isinstance(outcome, Lost) else outcome.failure
    record = None if isinstance(outcome, Lost) else outcome.record
    if failure is not None or record is None:
        sentence = failure.message if failure is not None else "no answer"
        run.failed[place] = [sentence]
        run.emit(Warned(f"{case.name} failed: {sentence}", details=failure.details if failure is not None else None))
        return
    by_name = known_by_name(run.guard, case)
    told = {one.method for one in by_name}
    known = (*by_name, *(one for one in run.guard.by_shape(from_text(record["picture"])) if one.method not in told))
    if known and not run.job.include_seen:
        run.refused[place] = _refused(known)
        run.by_shape.add(place)
        run.emit(Warned(f"{case.name} is not scored: {_refused(known)}", "include_seen"))
        return
    record["known"] = "; ".join(dict.fromkeys(one.sentence for one in known)) or None
    record["facts"] = {**facts_of_source(run.cohort, case), **record["facts"]}
    maybe = () if known else run.guard.by_shape(from_text(record["picture"]), MAYBE)
    if maybe:
        record["warnings"].append(
            f"The spine resembles that of {maybe[0].copy_of}, and {maybe[0].method} was {maybe[0].role.value} that "
            "person: the same scan with other labels?"
        )
    for warning in record["warnings"]:
        run.emit(Warned(f"{case.name}: {warning}"))
    if record["failed"]:
        run.failed[place] = [f"{method}: {reason}" for method, reason in record["failed"].items()]
        for reason in run.failed[place]:
            run.emit(Warned(f"{case.name}, {reason}"))
    run.records[place] = record
    _keep_record(run, case.name, record)


def _keep_record(run: _Run, name: str, record: dict[str, Any]) -> None:
    """Write the record and the page of a case. On a full disk the scores go on in memory."""
    folder = Path(run.job.out) / RECORDS
    try:
        record = without_folders(record, run.job)
        write_json(folder / f"{name}.json", record)
        write_text(folder / f"{name}.html", case_page(record, _png_of(run, record)))
    except OutputError as error:
        if not run.disk_is_full:
            run.emit(Warned(f"{error} Scores of further cases are in the tables alone, which are still written."))
        run.disk_is_full = True


def _remove_stale_records(run: _Run, result: CohortResult) -> None:
    """Delete records that an earlier run, or this one, left of cases that have no score now."""
    scored_cases = {score.name for score in result.scores}
    for case in run.cases:
        if case.name not in scored_cases:
            for ending in (".json", ".html"):
                with suppress(OSError):
                    (Path(run.job.out) / RECORDS / f"{case.name}{ending}").unlink(missing_ok=True)


def _png_of(run: _Run, record: Mapping[str, Any]) -> bytes | None:
    stage = StageStore(stages_folder(run.job)).find(str(record["picture_key"]))
    return stage.arrays["png"].tobytes() if stage is not None and "png" in stage.arrays else None


def _result(run: _Run, methods: Methods, settings: dict[str, Any]) -> CohortResult:
    """Scores in the order of the cases, without copies of one scan under several names."""
    copies = {**_copies(run), **_known_by_others(run)}
    for place, sentence in copies.items():
        run.refused[place] = sentence
        run.emit(Warned(f"{run.cases[place].name}: {sentence}"))
    kept = {place: record for place, record in sorted(run.records.items()) if place not in copies}
    names = names_of(run.everything)
    remarks = [predictions_without_case(one.name, one.without_case(names)) for one in methods.predictions]
    if run.job.against is not None:
        remarks += add_earlier_rows(Path(run.job.against), kept.values())
    remarks = [sentence for sentence in remarks if sentence]
    for sentence in remarks:
        run.emit(Warned(sentence))
    scores = [
        CaseScore.from_metrics(
            record["case"], record["subject"], record["metrics"], record["facts"], record.get("known")
        )
        for record in kept.values()
    ]
    failed = [
        (run.cases[place].name, reason)
        for place, reasons in sorted(run.failed.items())
        if place not in copies
        for reason in reasons
    ]
    return CohortResult(
        title=f"{run.cohort.folder.resolve().name}: {', '.join(_shown_methods(methods))}",
        scores=tuple(scores),
        failed=tuple(failed),
        refused=tuple((run.cases[place].name, reason) for place, reason in sorted(run.refused.items())),
        left_out=tuple((run.cohort.relative(item.path), item.reason) for item in run.cohort.left_out),
        settings=shown_settings(settings, methods, run.job),
        remarks=tuple(remarks),
        pages={score.name: f"{RECORDS}/{score.name}.html" for score in scores},
        case_remarks=tuple((record["case"], warning) for record in kept.values() for warning in record["warnings"]),
    )


def _copies(run: _Run) -> dict[int, str]:
    """The places of cases that show the same spine as an earlier one of another person, with a sentence for each."""
    places = sorted(run.records)
    pictures = [from_text(run.records[place]["picture"]) for place in places]
    found: dict[int, str] = {}
    for place, others in zip(places, alike_earlier(pictures), strict=True):
        for other in others:
            first = places[other]
            if first not in found and run.cases[first].subject != run.cases[place].subject:
                found[place] = (
                    f"Has the same labelled spine as {run.cases[first].name}, under another name: it would count "
                    "twice, so it is not scored."
                )
                break
    return found


def _known_by_others(run: _Run) -> dict[int, str]:
    """The places of cases whose person is known by the shape of another scan of theirs."""
    of_person = {run.cases[place].subject: run.refused[place] for place in sorted(run.by_shape)}
    return {
        place: f"Another scan of this person is known. {of_person[run.cases[place].subject]}"
        for place in run.records
        if run.cases[place].subject in of_person
    }


def _shown_methods(methods: Methods) -> list[str]:
    return [*(entry.id for entry in methods.models.values()), *(one.name for one in methods.predictions)]


def _write(job: EvaluationJob, result: CohortResult) -> tuple[str, ...]:
    with staged_folder(job.out) as folder:
        return write_tables(folder, cohort_without_folders(result, job))


def _finished(job: EvaluationJob, result: CohortResult, names: Sequence[str], seconds: float) -> Finished:
    rows = result.summary[EVERYTHING]
    left_out = result.left_out if job.cases is None else ()
    incomplete = bool(job.strict and (result.failed or result.refused or left_out or result.remarks))
    return Finished(
        {
            "folder": job.out,
            "files": list(names),
            "metrics": None,
            "synthetic": True,
            "incomplete": incomplete,
            "scored": len(result.summarised),
            "scored_with_own_labels": sum(score.labels_by is not None for score in result.scores),
            "scored_known": sum(score.known is not None for score in result.scores),
            "failed": result.unscored,
            "refused": len(result.refused),
            "failed_in_part": len({name for name, _ in result.failed}) - result.unscored,
            "left_out": len(result.left_out),
            "summary": {row: {key: s.to_json_dict() for key, s in values.items()} for row, values in rows.items()},
            **result.counting_dict(),
            "seconds": round(seconds, 3),
            "peak_memory_mb": peak_memory_mb(),
        }
    )
