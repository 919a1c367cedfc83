"""Pieces of work, as they are written to ``job.json`` and read by the worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from TomoRayLib.anatomy.grey_levels import FIELDS_OF_VIEW_MM, Quantisation
from TomoRayLib.base.errors import InputError
from TomoRayLib.synthesis.acquisition import GeometryOptions

AnyJob = TypeVar("AnyJob", "SynthesisJob", "ProjectionJob", "DemonstrationJob")


@dataclass(frozen=True)
class SynthesisJob:
    """Radiographs (``ap``, ``lateral``) or a CT (``ct``, perhaps with ``segmentation``) to a synthetic CT in ``out``.

    All paths as text. ``flip_*`` mirrors a radiograph left to right, ``invert`` makes bone bright. ``precision`` is
    "auto" or "float32". Without ``comparison`` a CT is only rendered, never scored. Raises InputError for a combination
    that makes no sense.
    """

    kind: ClassVar[str] = "synthesis"

    out: str
    ap: str | None = None
    lateral: str | None = None
    ct: str | None = None
    segmentation: str | None = None
    geometry: GeometryOptions = field(default_factory=GeometryOptions)
    flip_ap: bool = False
    flip_lateral: bool = False
    invert: bool = False
    model: str | None = None
    device: str = "auto"
    precision: str = "auto"
    fov_mm: float = 256.0
    quantisation: str = Quantisation.LINEAR.value
    comparison: bool = True
    report: bool = True
    title: str | None = None
    demonstration_note: str | None = None

    def __post_init__(self) -> None:
        radiographs = (self.ap is not None) + (self.lateral is not None)
        if self.ct is not None and radiographs:
            raise InputError("Expected radiographs or a CT, got both; give --ap and --lateral, or --ct.")
        if self.ct is None and radiographs != 2:
            raise InputError("Expected two radiographs (--ap and --lateral) or a CT (--ct); give one or the other.")
        if self.segmentation is not None and self.ct is None:
            raise InputError("A segmentation belongs to a CT; give --ct with it, or leave it out.")
        if self.ct is not None and (self.flip_ap or self.flip_lateral or self.invert):
            raise InputError("Mirroring and inverting are for radiographs; leave them out with a CT.")
        if self.fov_mm not in FIELDS_OF_VIEW_MM:
            raise InputError(f"Expected a field of view of 256 or 192 mm, got {self.fov_mm}; choose one of these.")
        if self.quantisation not in [choice.value for choice in Quantisation]:
            choices = [choice.value for choice in Quantisation]
            raise InputError(f"Expected a quantisation of {choices}, got {self.quantisation!r}; choose one of these.")
        if self.precision not in ("auto", "float32"):
            raise InputError(f"Expected the precision auto or float32, got {self.precision!r}; choose one of these.")

    def to_json(self) -> str:
        return _to_json(self)

    @classmethod
    def from_json(cls, text: str) -> SynthesisJob:
        """The job in a JSON text. Raises InputError for unknown keys, so that a typing error is not ignored."""
        content = dict(_object(text))
        content.pop("kind", None)
        return cls._of(content)

    @classmethod
    def _of(cls, content: Mapping[str, Any]) -> SynthesisJob:
        values = _known(content, cls, "job")
        return _made(cls, values)

    @classmethod
    def read(cls, path: Path) -> SynthesisJob:
        return cls.from_json(_text(path))


@dataclass(frozen=True)
class ProjectionJob:
    """Radiographs (DRRs) of a CT into ``out``, centred on the vertebrae of ``segmentation``, without one on the CT."""

    out: str
    ct: str
    segmentation: str | None = None
    geometry: GeometryOptions = field(default_factory=GeometryOptions)

    kind: ClassVar[str] = "projection"

    def to_json(self) -> str:
        return _to_json(self)


@dataclass(frozen=True)
class DemonstrationJob:
    """The demonstration case as files: from ``cache``, fetched into it, or a phantom written to ``out``."""

    out: str
    cache: str
    offline: bool = False

    kind: ClassVar[str] = "demonstration"

    def to_json(self) -> str:
        return _to_json(self)


Job = SynthesisJob | ProjectionJob | DemonstrationJob


def read_job(path: Path) -> Job:
    """The job in a file, of the kind that its "kind" names (a synthesis where it names none).

    Raises InputError for a file that cannot be read, an unknown kind, and unknown or missing keys.
    """
    content = dict(_object(_text(path)))
    kind = content.pop("kind", SynthesisJob.kind)
    if kind == SynthesisJob.kind:
        return SynthesisJob._of(content)
    kinds: dict[str, type[ProjectionJob] | type[DemonstrationJob]] = {
        ProjectionJob.kind: ProjectionJob,
        DemonstrationJob.kind: DemonstrationJob,
    }
    if kind not in kinds:
        raise InputError(
            f"Expected a job of the kind {[SynthesisJob.kind, *kinds]}, got {kind!r}; choose one of these."
        )
    chosen: Any = kinds[kind]
    job: Job = _made(chosen, _known(content, chosen, "job"))
    return job


def _to_json(job: Job) -> str:
    return json.dumps({"kind": job.kind, **asdict(job)}, indent=2)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Expected a job file at {path}, which cannot be read ({error}).") from None


def _object(text: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"Expected a job as JSON, got text that is none ({error}).") from None
    if not isinstance(content, Mapping):
        raise InputError("Expected a job as a JSON object of names and values.")
    return content


def _made(kind: type[AnyJob], values: dict[str, Any]) -> AnyJob:
    """A job of ``kind`` from plain values."""
    if not isinstance(values.get("out"), str):
        raise InputError("Expected the job to name its output folder, 'out', as text.")
    try:
        if "geometry" in values:
            values["geometry"] = GeometryOptions(**_known(values["geometry"] or {}, GeometryOptions, "geometry"))
        return kind(**values)
    except TypeError as error:
        raise InputError(f"Expected a job with values of the right kind ({error}).") from None


def _known(content: Mapping[str, Any], kind: type, what: str) -> dict[str, Any]:
    names = {item.name for item in fields(kind)}
    unknown = sorted(set(content) - names)
    if unknown:
        raise InputError(f"The {what} has the unknown keys {unknown}; known are {sorted(names)}.")
    return dict(content)
