"""Jobs of every kind from the file ``job.json`` of the worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.mappings import dataclass_from_mapping
from TomoRayLib.base.text_files import json_value, read_text
from TomoRayLib.jobs.data_check_job import DataCheckJob
from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.jobs.job import DemonstrationJob, ProjectionJob, SegmentationJob, SynthesisJob

Job = SynthesisJob | ProjectionJob | SegmentationJob | EvaluationJob | DemonstrationJob | DataCheckJob
_JOBS: tuple[type[Job], ...] = (
    SynthesisJob,
    ProjectionJob,
    SegmentationJob,
    EvaluationJob,
    DemonstrationJob,
    DataCheckJob,
)
KINDS: dict[str, type[Job]] = {kind.kind: kind for kind in _JOBS}


def read_job(path: Path) -> Job:
    """Read a job from a JSON file.

    Args:
        path: The file: an object of the job's fields. The key "kind" names the kind of job; without it, the job is a
            synthesis.

    Returns:
        The job.

    Raises:
        InputError: For a file that cannot be read, an unknown kind, unknown or missing keys and wrong values.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise InputError(f"Expected a job file at {path}, which cannot be read ({error}).") from None
    return job_from_json(text)


def job_from_json(text: str) -> Job:
    """Return the job in a JSON text. Raises InputError as ``read_job`` does."""
    try:
        content = json_value(text)
    except ValueError as error:
        raise InputError(f"Expected a job as JSON, got other text ({error}).") from None
    if not isinstance(content, Mapping):
        raise InputError("Expected a job as a JSON object of names and values.")
    values = {name: value for name, value in content.items() if name != "geometry" or value is not None}
    kind = values.pop("kind", SynthesisJob.kind)
    if kind not in KINDS:
        raise InputError(f"Expected a job of the kind {sorted(KINDS)}, got {kind!r}; choose one of these.")
    return dataclass_from_mapping(KINDS[kind], values, "The job")
