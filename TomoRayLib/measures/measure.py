"""One measure: its value with the lines that show it, or why it cannot be measured."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
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
        lines_mm: Lines that show it, ends in LPS mm: one of a length (of a length along a curve several, end to end),
            two of an angle (``line_angles.angle_of_lines`` gives the value), none of a ratio.
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
            "lines_mm": lines_for_json(self.lines_mm),
        }


def measured(key: str, subject: str, value: float, *lines_mm: Line) -> Measure:
    """Return a measure with a value. Raises ValueError for one that is no number."""
    if not math.isfinite(value):
        raise ValueError(f"Expected a finite {key} of {subject}, got {value}.")
    return Measure(key, subject, float(value), None, lines_mm)


def not_measurable(key: str, subject: str, because: str) -> Measure:
    """Return a measure without a value. ``because`` is the end of a sentence."""
    return Measure(key, subject, None, NOT_MEASURABLE.format(because=because))


def lines_for_json(lines_mm: Iterable[Line]) -> list[list[list[float]]]:
    """Lines as lists of their ends, LPS mm to 1 um: short lines keep their angle."""
    return [[[round(float(x), 3) + 0.0 for x in end] for end in line] for line in lines_mm]


def subject_renamed(subject: str, names: Mapping[str, str]) -> str:
    """Return a subject with each of its vertebrae under another name; names that are not given stay.

    >>> subject_renamed("T12/L1", {"T12": "L1", "L1": "L2"})
    'L1/L2'
    """
    return re.sub(r"[A-Z]\d+", lambda found: names.get(found[0], found[0]), subject)
