"""One measure: its value with the lines that show it, or why it cannot be measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from TomoRayLib.measures.definitions import DEFINITIONS, MeasureDefinition
from TomoRayLib.measures.vertebra_frame import Floats

Line = tuple[Floats, Floats]
NOT_MEASURABLE = "not measurable, because {because}"


@dataclass(frozen=True, eq=False)
class Measure:
    """One measure of one vertebra ("L1"), level ("L1/L2") or stretch ("T6-L1").

    Args:
        key: Kind of measure, a key of ``DEFINITIONS``.
        subject: What is measured.
        value: In the kind's unit; None if not measurable.
        reason: Why not, ``"not measurable, because ..."``; None with a value.
        lines_mm: Lines that show it, ends in LPS mm: one of a length, two of an angle, none of a ratio.
    """

    key: str
    subject: str
    value: float | None
    reason: str | None = None
    lines_mm: tuple[Line, ...] = ()

    @property
    def definition(self) -> MeasureDefinition:
        """What it is."""
        return DEFINITIONS[self.key]

    def to_json_dict(self) -> dict[str, Any]:
        """All of it for ``json.dump``."""
        return {
            "key": self.key,
            "subject": self.subject,
            "value": None if self.value is None else round(self.value, 4) + 0.0,
            "unit": self.definition.unit,
            "reason": self.reason,
            "lines_mm": [[[round(float(x), 2) + 0.0 for x in end] for end in line] for line in self.lines_mm],
        }


def measured(key: str, subject: str, value: float, *lines_mm: Line) -> Measure:
    """Return a measure with a value. Raises ValueError for one that is no number."""
    if not math.isfinite(value):
        raise ValueError(f"Expected a finite {key} of {subject}, got {value}.")
    return Measure(key, subject, float(value), None, lines_mm)


def not_measurable(key: str, subject: str, because: str) -> Measure:
    """Return a measure without a value. ``because`` is the end of a sentence."""
    return Measure(key, subject, None, NOT_MEASURABLE.format(because=because))
