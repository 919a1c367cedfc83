"""Each true vertebra and what a labelled prediction has in its place: ``vertebra_counts``, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, T13_LABEL
from TomoRayLib.metrics.surface import Vector3
from TomoRayLib.metrics.vertebra_counts import (
    Labels,
    VertebraCounts,
    centroids_mm,
    check_shapes,
    common_shift,
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


def renamed_matches(values: Mapping[str, Any], numbers: Mapping[int, int]) -> dict[str, Any]:
    """Judge the same matches again, the predicted vertebrae having got other numbers.

    Args:
        values: ``counts`` and ``per_vertebra``, as ``MatchedSpine.to_json_dict`` gives them.
        numbers: The new VerSe number of each predicted vertebra by the old one.

    Returns:
        The same keys; which vertebrae were found, and how far off, stays.
    """
    rows = [VertebraMatch(**row) for row in values["per_vertebra"]]
    found_as = {row.label: None if row.found_as is None else numbers[row.found_as] for row in rows}
    whole = {row.label: found for row in rows if row.whole and (found := found_as[row.label]) is not None}
    shift, named_up_to_shift = common_shift(whole)
    named = sum(label == found for label, found in whole.items())
    counts = {**values["counts"], "named": named, "named_up_to_shift": named_up_to_shift, "shift": shift}
    renamed = [
        replace(
            row,
            found_as=found_as[row.label],
            named=found_as[row.label] == row.label,
            named_up_to_shift=_moved(found_as[row.label], row.label, shift) == row.label,
        )
        for row in rows
    ]
    return MatchedSpine(VertebraCounts(**counts), tuple(renamed)).to_json_dict()


def _moved(found_as: int | None, label: int, shift: int) -> int | None:
    """A predicted number moved back by a common shift, in which T13 has no part."""
    return found_as if found_as is None or T13_LABEL in (label, found_as) else found_as - shift


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
        distance_mm = None if found_as is None else round(float(np.linalg.norm(predicted[found_as] - place)), 2)
        whole, named = label not in incomplete, found_as == label
        up_to_shift = _moved(found_as, label, counts.shift) == label
        rows.append(VertebraMatch(label, NAME_OF_LABEL[label], whole, found_as, distance_mm, named, up_to_shift))
    return MatchedSpine(counts, tuple(rows)) if rows else None
