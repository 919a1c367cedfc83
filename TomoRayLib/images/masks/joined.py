"""Two vertebrae under one label: larger than all others, and farther from its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from math import dist
from statistics import median

from TomoRayLib.anatomy.numberings import Part, expected_step_mm, expected_volume_cm3, missing_levels
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, vertebra_labels_in

# Of 37 real label maps no vertebra is more than 1.16 times as large, relative to its usual volume, as its neighbours
# and the median of the others; of two joined ones 98 % are 1.35 times as large and more. Neighbours lie up to 1.21
# times the usual distance apart. Vertebrae that are cut by the scan are no farther, though smaller.
LARGER, FARTHER = 1.35, 1.2
FEWEST = 3


def joined_vertebrae(parts: Mapping[int, Part], name: str) -> str | None:
    """Look for a vertebra that may be two.

    Args:
        parts: The vertebrae by VerSe label.
        name: The name of the mask at the beginning of the warning.

    Returns:
        A warning with the names of those found; None if there is none, or fewer than three vertebrae.
    """
    labels = [label for label in vertebra_labels_in(parts) if label in parts]
    if len(labels) < FEWEST:
        return None
    larger = {label: _times_larger(labels, place, parts) for place, label in enumerate(labels)}
    found = [label for label in labels if larger[label] > LARGER and _has_room(label, labels, parts)]
    if not found:
        return None
    named = ", ".join(f"{NAME_OF_LABEL[label]} ({larger[label]:.1f} times as large)" for label in found)
    return (
        f"{name}: larger than its neighbours and farther from them, as two vertebrae in one label: {named}. Check it."
    )


def _times_larger(labels: list[int], place: int, parts: Mapping[int, Part]) -> float:
    """The volume relative to the usual one, as a ratio to that of the larger neighbour or the others' median."""
    shares = [parts[label].volume_cm3 / expected_volume_cm3(label) for label in labels]
    beside = shares[max(0, place - 1) : place] + shares[place + 1 : place + 2]
    return shares[place] / max(*beside, median(shares[:place] + shares[place + 1 :]))


def _has_room(label: int, labels: list[int], parts: Mapping[int, Part]) -> bool:
    """True if a level is missing beside the vertebra, or a neighbour lies farther from it than usual."""
    missing = missing_levels(labels)
    if label - 1 in missing or label + 1 in missing:
        return True
    steps = ((label - 1, label), (label, label + 1))
    usual_mm = {pair: expected_step_mm(*pair) for pair in steps if set(pair) <= parts.keys()}
    return any(
        mm is not None and dist(parts[a].middle_mm, parts[b].middle_mm) > FARTHER * mm
        for (a, b), mm in usual_mm.items()
    )
