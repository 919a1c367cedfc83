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
from TomoRayLib.measures.definitions import DEFINITIONS
from TomoRayLib.measures.measure import Measure

FEWEST = 3  # people


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


def usual_measures(spines: Iterable[Sequence[Measure]]) -> dict[tuple[str, str], Usual]:
    """Compute the usual measures of spines, one of each person; subjects with fewer than ``FEWEST`` are left out.

    A largest angle grows with what is in view, so it is usual only for the same ends.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for measures in spines:
        for one in measures:
            if one.value is not None:
                found.setdefault((one.key, one.subject), []).append(one.value)
    return {
        place: Usual(float(np.mean(values)), float(np.std(values, ddof=1)), len(values))
        for place, values in found.items()
        if len(values) >= FEWEST
    }


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
