"""What each measure usually is: mean and SD over the spines of other people, level by level.

It is the baseline of every measure: whoever has seen no picture at all would guess it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from TomoRayLib.measures.agreement import Pair
from TomoRayLib.measures.curves import curve_measures
from TomoRayLib.measures.definitions import DEFINITIONS
from TomoRayLib.measures.measure import Measure
from TomoRayLib.measures.spine import MeasuredSpine
from TomoRayLib.measures.vertebral_body import VertebralBody

FEWEST = 3  # people
BETWEEN_ENDS = ("sagittal_angle_deg", "sagittal_centroid_angle_deg", "spine_length_mm", "coronal_offset_mm")


@dataclass(frozen=True)
class Usual:
    """Mean and SD of one measure of one subject over ``n`` people."""

    mean: float
    sd: float
    n: int

    def to_json_dict(self) -> dict[str, Any]:
        """All of it for ``json.dump``."""
        return {"mean": round(self.mean, 3), "sd": round(self.sd, 3), "n": self.n}


UsualMeasures = Mapping[tuple[str, str], Usual]  # by key and subject


def usual_measures(people: Iterable[Sequence[MeasuredSpine]]) -> dict[tuple[str, str], Usual]:
    """Compute the usual measures of spines.

    Args:
        people: The spines of each person, of one scan or of several.

    Returns:
        Mean and SD over people; several values of one person are averaged first. Stretches are measured between any
        two vertebrae without a gap, so that each length has its own. A largest angle grows with what is in view, so it
        is usual only for the same ends. Subjects of fewer than ``FEWEST`` people are left out.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for spines in people:
        own: dict[tuple[str, str], list[float]] = {}
        for one in (one for spine in spines for one in _with_stretches(spine)):
            if one.value is not None:
                own.setdefault((one.key, one.subject), []).append(one.value)
        for place, values in own.items():
            found.setdefault(place, []).append(float(np.mean(values)))
    return {
        place: Usual(float(np.mean(values)), float(np.std(values, ddof=1)), len(values))
        for place, values in found.items()
        if len(values) >= FEWEST
    }


def _with_stretches(spine: MeasuredSpine) -> list[Measure]:
    """All measures of a spine, and those of each stretch of it; largest angles of the whole alone."""
    labels = list(spine.bodies)
    made = {(one.key, one.subject): one for one in spine.measures}
    for first in range(len(labels)):
        for last in range(first + 1, len(labels)):
            part = labels[first : last + 1]
            if not all(isinstance(spine.bodies[label], VertebralBody) for label in part):
                break
            for one in curve_measures({label: spine.bodies[label] for label in part}):
                if one.key in BETWEEN_ENDS:
                    made.setdefault((one.key, one.subject), one)
    return list(made.values())


def guessed(key: str, pairs: Iterable[Pair], usual: UsualMeasures) -> list[Pair]:
    """Return the same pairs with the usual value in place of the synthetic one; those without one are left out."""
    return [
        Pair(pair.person, pair.subject, pair.truth, usual[place].mean)
        for pair in pairs
        if (place := (key, pair.subject)) in usual
    ]


def usual_to_json(usual: UsualMeasures) -> dict[str, dict[str, Any]]:
    """Return the usual measures as ``{key: {subject: {"mean", "sd", "n"}}}``."""
    written: dict[str, dict[str, Any]] = {key: {} for key in DEFINITIONS}
    for (key, subject), one in usual.items():
        written[key][subject] = one.to_json_dict()
    return {key: subjects for key, subjects in written.items() if subjects}


def usual_from_json(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[tuple[str, str], Usual]:
    """Read what ``usual_to_json`` returns. Raises KeyError or ValueError for something else."""
    read = {
        (key, subject): Usual(float(one["mean"]), float(one["sd"]), int(one["n"]))
        for key, subjects in values.items()
        for subject, one in subjects.items()
    }
    if not all(math.isfinite(one.mean) for one in read.values()):
        raise ValueError("Expected finite usual measures.")
    return read
