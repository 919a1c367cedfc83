"""Each true vertebra and what a labelled prediction has in its place: ``vertebra_counts``, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, T13_LABEL
from TomoRayLib.metrics.surface import Vector3
from TomoRayLib.metrics.vertebra_counts import (
    Labels,
    VertebraCounts,
    centroids_mm,
    check_shapes,
    counts_of,
    labels_cut_by_ends,
    nearest_pairs,
)


@dataclass(frozen=True)
class VertebraMatch:
    """A true vertebra: ``found_as`` is the number of the predicted one in its place, ``distance_mm`` that of both
    centroids; both are None if there is none within the limit. Cut vertebrae (not ``whole``) are in no count."""

    label: int
    name: str
    whole: bool
    found_as: int | None
    distance_mm: float | None
    named: bool
    named_up_to_shift: bool

    @property
    def found(self) -> bool:
        """True if a predicted vertebra lies in its place, under whatever number."""
        return self.found_as is not None


@dataclass(frozen=True)
class MatchedSpine:
    """All true vertebrae from cranial to caudal, and their counts."""

    counts: VertebraCounts
    rows: tuple[VertebraMatch, ...]

    def to_json_dict(self) -> dict[str, Any]:
        """``counts`` and ``per_vertebra`` for ``json.dump``."""
        return {"counts": self.counts.to_json_dict(), "per_vertebra": [asdict(row) for row in self.rows]}


def match_vertebrae(
    prediction: Labels, truth: Labels, spacing_mm: Vector3, cut: Iterable[int] = ()
) -> MatchedSpine | None:
    """Match the vertebrae of a labelled prediction with the true ones.

    Args:
        prediction: VerSe numbers ``(z, y, x)``, 0 elsewhere.
        truth: VerSe numbers ``(z, y, x)`` on the same grid.
        spacing_mm: Voxel spacing (x, y, z) in mm.
        cut: Numbers of true vertebrae that the scan shows in part, though they end inside this volume.

    Returns:
        The matches; None if the truth does not tell vertebrae apart.

    Raises:
        ValueError: As ``count_vertebrae``.
    """
    check_shapes(prediction, truth)
    places, predicted = centroids_mm(truth, spacing_mm), centroids_mm(prediction, spacing_mm)
    pairs, incomplete = nearest_pairs(places, predicted), {*cut, *labels_cut_by_ends(truth)}
    counts = counts_of(places, predicted, incomplete)
    rows = []
    for label, place in places.items():
        found_as = pairs.get(label)
        moved = found_as if found_as is None or T13_LABEL in (label, found_as) else found_as - counts.shift
        distance_mm = None if found_as is None else round(float(np.linalg.norm(predicted[found_as] - place)), 2)
        whole, named = label not in incomplete, found_as == label
        rows.append(VertebraMatch(label, NAME_OF_LABEL[label], whole, found_as, distance_mm, named, moved == label))
    return MatchedSpine(counts, tuple(rows)) if rows else None
