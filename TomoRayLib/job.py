"""One piece of work, as it is written to ``job.json`` and read by the worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from TomoRayLib.acquisition import GeometryOptions
from TomoRayLib.errors import InputError
from TomoRayLib.target import FIELDS_OF_VIEW_MM, Quantisation


@dataclass(frozen=True)
class SynthesisJob:
    """Radiographs (``ap``, ``lateral``) or a CT (``ct``, perhaps with ``segmentation``) to a synthetic CT in ``out``.

    All paths as text. ``flip_*`` mirrors a radiograph left to right, ``invert`` makes bone bright. ``precision`` is
    "auto" or "float32". Raises InputError for a combination that makes no sense.
    """

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
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> SynthesisJob:
        """The job in a JSON text. Raises InputError for unknown keys, so that a typing error is not ignored."""
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"Expected a job as JSON, got text that is none ({error}).") from None
        if not isinstance(content, Mapping):
            raise InputError("Expected a job as a JSON object of names and values.")
        values = _known(content, cls, "job")
        if not isinstance(values.get("out"), str):
            raise InputError("Expected the job to name its output folder, 'out', as text.")
        try:
            values["geometry"] = GeometryOptions(**_known(values.get("geometry") or {}, GeometryOptions, "geometry"))
            return cls(**values)
        except TypeError as error:
            raise InputError(f"Expected a job with values of the right kind ({error}).") from None

    @classmethod
    def read(cls, path: Path) -> SynthesisJob:
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"Expected a job file at {path}, which cannot be read ({error}).") from None


def _known(content: Mapping[str, Any], kind: type, what: str) -> dict[str, Any]:
    names = {item.name for item in fields(kind)}
    unknown = sorted(set(content) - names)
    if unknown:
        raise InputError(f"The {what} has the unknown keys {unknown}; known are {sorted(names)}.")
    return dict(content)
