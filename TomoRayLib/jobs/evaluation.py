"""Cohorts: a folder of CTs with vertebra segmentations in, scores of every case and their summary out.

Every case runs the main job (``case.case_result``): both radiographs are rendered from the CT, the synthetic CT is made
of them and compared with the real one. A case that fails is listed with its reason and does not stop the others. What
was scored is kept case by case, so an evaluation that was stopped can go on.
"""

from __future__ import annotations

import json
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import TomoRayLib
from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, Quantisation
from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.files import check_writable, staged_folder, write_atomically
from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.images.cohort import CohortCase, counted_reasons, find_cases, only_named
from TomoRayLib.images.files import write_volume
from TomoRayLib.images.structure_masks import read_structures
from TomoRayLib.jobs.events import Emit, Event, Finished, Note, Warned
from TomoRayLib.jobs.failures import failed_by
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.jobs.provenance import PACKAGES, sha256_of, version_of
from TomoRayLib.jobs.results import CaseResult
from TomoRayLib.jobs.synthesis import SECONDS_FROM_CT, case_result
from TomoRayLib.metrics.statistics import CaseScore, summarise
from TomoRayLib.networks.registry import ModelEntry, find_model
from TomoRayLib.report.cohort_page import CohortResult
from TomoRayLib.report.cohort_tables import TABLE_NAMES, write_tables
from TomoRayLib.synthesis.acquisition import DEFAULT_PRESET, GeometryOptions
from TomoRayLib.synthesis.model_run import choose_device, fast_precision

RECORDS = "cases"  # folder of one JSON file per scored case
SECONDS_A_CASE = 20.0  # on two cores
NEED_BYTES = 50 * 1024 * 1024


@dataclass(frozen=True)
class EvaluationJob:
    """A cohort to be scored: the cases below ``folder``, tables into ``out``. All paths as text.

    ``cases`` is a file of case names, one a line (a split), or None for all. ``include_gl`` takes in VerSe's ``sub-gl``
    images. ``resume`` skips what is scored in ``out`` already with the same model, settings and files. The rest is as
    in ``SynthesisJob``.
    """

    folder: str
    out: str
    cases: str | None = None
    include_gl: bool = False
    resume: bool = False
    model: str | None = None
    device: str = "auto"
    precision: str = "auto"
    fov_mm: float = 256.0
    quantisation: str = Quantisation.LINEAR.value
    geometry: GeometryOptions = field(default_factory=GeometryOptions)

    def __post_init__(self) -> None:
        self.case_job(Path("ct"), Path("segmentation"))  # refuses settings that make no sense
        if Path(self.out).resolve() == Path(self.folder).resolve():
            raise InputError(f"Expected an output folder beside the cases, got {self.out}, which holds the cases.")

    def case_job(self, ct: Path, segmentation: Path) -> SynthesisJob:
        """The main job of one case. Raises InputError for settings that make no sense."""
        return SynthesisJob(
            out=self.out,
            ct=str(ct),
            segmentation=str(segmentation),
            geometry=self.geometry,
            model=self.model,
            device=self.device,
            precision=self.precision,
            fov_mm=self.fov_mm,
            quantisation=self.quantisation,
            report=False,
        )


def run_evaluation(job: EvaluationJob, emit: Emit) -> Path:
    """Score a cohort and return its folder of tables.

    Raises InputError for a folder without usable cases and where not one case could be scored, OutputError where
    ``job.out`` cannot be written.
    """
    begun = time.monotonic()
    check_writable(job.out, NEED_BYTES)
    cohort = find_cases(Path(job.folder), job.include_gl)
    if job.cases is not None:
        cohort = only_named(cohort, names_in(Path(job.cases)))
    entry = find_model(job.model)
    settings = scoring_settings(job, entry)
    emit(Note(f"{len(cohort.cases)} cases. Left out{counted_reasons(cohort) or ': nothing'}."))
    stages = Stages({case.name: SECONDS_A_CASE for case in cohort.cases}, emit)
    scores: list[CaseScore] = []
    failed: list[tuple[str, str]] = []
    for case in cohort.cases:
        with stages.stage(case.name):
            try:
                scores.append(_score(job, case, settings, emit))
            except OutputError:
                raise
            except Exception as error:  # whatever is wrong with one case must not cost the others
                failed.append((case.name, failed_by(error).message))
                details = "".join(traceback.format_exception(error))
                emit(Warned(f"{case.name} failed: {failed[-1][1]}", details=details))
    result = CohortResult(
        title=f"{cohort.folder.resolve().name}, {entry.id}",
        scores=tuple(scores),
        failed=tuple(failed),
        left_out=tuple((cohort.relative(item.path), item.reason) for item in cohort.left_out),
        settings=_shown_settings(settings, entry, job),
    )
    with staged_folder(job.out) as folder:
        write_tables(folder, result)
    if not scores:
        raise InputError(
            f"Expected at least one of {len(cohort.cases)} cases to be scored, got none; the first reason: "
            f"{failed[0][0]}: {failed[0][1]} All are in {Path(job.out) / 'not_scored.csv'}."
        )
    emit(_finished(job, result, time.monotonic() - begun))
    return Path(job.out)


def scoring_settings(job: EvaluationJob, entry: ModelEntry) -> dict[str, Any]:
    """Everything but the case itself that a score depends on, as JSON gives it back."""
    device = choose_device(job.device)
    geometry = asdict(job.geometry)
    if job.geometry.file is not None:
        geometry["file"] = _content_hash(Path(job.geometry.file))
    full = job.precision == "float32"
    precision = torch.float32 if full else fast_precision(torch.device(device))
    settings = {
        "tomoray": TomoRayLib.__version__,
        "model": {"id": entry.id, "weights_sha256": entry.sha256, "atlas_sha256": entry.atlas_sha256},
        "device": device.partition(":")[0],
        "precision": str(precision).removeprefix("torch."),
        "fov_mm": job.fov_mm,
        "quantisation": job.quantisation,
        "window_hu": {"center": BONE_WINDOW.center_hu, "width": BONE_WINDOW.width_hu},
        "geometry": geometry,
    }
    as_read: dict[str, Any] = json.loads(json.dumps(settings))
    return as_read


def names_in(path: Path) -> list[str]:
    """The names in a text file, one a line; empty lines and what follows # are left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Expected a text file of case names at {path}, which cannot be read ({error}).") from None
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def _score(job: EvaluationJob, case: CohortCase, settings: dict[str, Any], emit: Emit) -> CaseScore:
    """The scores of one case: the ones kept from before where they may be used, else new ones, which are kept."""
    path = Path(job.out) / RECORDS / f"{case.name}.json"
    inputs = {name: _content_hash(file) for name, file in (("ct", case.ct), ("segmentation", case.segmentation))}
    made_with = {"settings": settings, "inputs_sha256": inputs}
    kept = _kept_metrics(path, made_with) if job.resume else None
    if kept is not None:
        emit(Note(f"{case.name}: scored before, kept."))
        return CaseScore.from_metrics(case.name, case.subject, kept)

    def emit_of_case(event: Event) -> None:
        if isinstance(event, Warned):  # notes are in the record
            emit(replace(event, text=f"{case.name}: {event.text}"))

    begun = time.monotonic()
    with _segmentation_file(case.segmentation) as segmentation:
        result = case_result(job.case_job(case.ct, segmentation), Stages(SECONDS_FROM_CT, emit_of_case), emit_of_case)
    metrics = _metrics_of(result)
    record = {
        "case": case.name,
        "subject": case.subject,
        "made_with": made_with,
        "seconds": round(time.monotonic() - begun, 3),
        "notes": list(result.notes),
        "warnings": list(result.warnings),
        "metrics": metrics,
    }
    with write_atomically(path) as partial:
        partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return CaseScore.from_metrics(case.name, case.subject, metrics)


def _metrics_of(result: CaseResult) -> dict[str, Any]:
    if result.metrics is None:
        raise InputError(result.warnings[-1])
    return result.metrics.to_json_dict()


def _kept_metrics(path: Path, made_with: dict[str, Any]) -> dict[str, Any] | None:
    """The metrics of an earlier run where they were made with the same files and settings; None otherwise."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(record, dict) and record.get("made_with") == made_with
    return record.get("metrics") if same else None


@contextmanager
def _segmentation_file(path: Path) -> Iterator[Path]:
    """A label map in one file: the file itself, or the masks of a folder of structures put together for the while."""
    if path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tomoray-") as folder:
        merged = Path(folder) / f"{path.name}.nrrd"
        write_volume(merged, read_structures(path), compressed=False)
        yield merged


def _content_hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise InputError(f"Expected a file that can be read, got {path} ({error.strerror or error}).") from None


def _shown_settings(settings: dict[str, Any], entry: ModelEntry, job: EvaluationJob) -> dict[str, Any]:
    """The settings with what a reader should know of the model, and the versions behind them."""
    data = {item["name"]: item["use"] for item in entry.data}
    geometry = {key: value for key, value in settings["geometry"].items() if value is not None}
    if not {"preset", "file"} & set(geometry):
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
    rows = summarise(result.scores)["all"]
    return Finished(
        {
            "folder": job.out,
            "files": list(TABLE_NAMES),
            "metrics": None,
            "synthetic": True,
            "scored": len(result.scores),
            "failed": len(result.failed),
            "summary": {row: {key: s.to_json_dict() for key, s in values.items()} for row, values in rows.items()},
            "seconds": round(seconds, 3),
            "peak_memory_mb": peak_memory_mb(),
        }
    )
