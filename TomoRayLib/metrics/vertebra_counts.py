"""Counts of vertebrae found and named: a labelled prediction against the true labels.

A vertebra is *found* if a predicted one has its centroid within ``FOUND_WITHIN_MM`` of the true centroid, each used
once, nearest pairs first. It is *named right* if both have the same VerSe number, and *named right up to a common
shift* if it would be after adding one whole number to all predicted numbers: neighbours are then told apart and in
order, but counted from the wrong end. T13 (28) lies outside the row of numbers and is right under its own name alone.

Only whole vertebrae count: a cut one has no centroid to be found. The limit is about half of the smallest distance of
thoracic centroids, so no vertebra is found by its neighbour; VerSe's challenge takes 20 mm (Sekuboyina et al. 2021,
https://doi.org/10.1016/j.media.2021.102166).

Arrays are ``(z, y, x)``, ``spacing_mm`` is ``(x, y, z)``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.vertebrae import T13_LABEL
from TomoRayLib.metrics.surface import Vector3, checked_spacing_mm
from TomoRayLib.metrics.vertebra import Labels, vertebra_boxes

FOUND_WITHIN_MM = 10.0

Centroids = dict[int, NDArray[np.float64]]  # VerSe number -> (z, y, x) in mm


@dataclass(frozen=True)
class FoundAndNamed:
    """How many whole true vertebrae one case or several have, and how many of them were found and named right.

    ``extra`` counts predicted vertebrae that are the nearest of no true one, whole or cut, within the limit.
    """

    whole: int
    found: int
    named: int
    named_up_to_shift: int
    extra: int

    @property
    def found_share(self) -> float:
        """Share of the whole vertebrae that were found; NaN without any."""
        return self.found / self.whole if self.whole else math.nan

    @property
    def named_share(self) -> float:
        """Share of the whole vertebrae that were found under their own name; NaN without any."""
        return self.named / self.whole if self.whole else math.nan

    @property
    def named_up_to_shift_share(self) -> float:
        """Share of the whole vertebrae found under their own name, all names moved alike; NaN without any."""
        return self.named_up_to_shift / self.whole if self.whole else math.nan


@dataclass(frozen=True)
class VertebraCounts(FoundAndNamed):
    """The counts of one case. ``shift`` is what the predicted numbers are too high by for ``named_up_to_shift`` (0 if
    nothing was found)."""

    shift: int

    def to_json_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


def count_vertebrae(
    prediction: Labels,
    truth: Labels,
    spacing_mm: Vector3,
    cut: Iterable[int] = (),
    limit_mm: float = FOUND_WITHIN_MM,
) -> VertebraCounts:
    """Count the whole vertebrae of the truth that a labelled prediction finds and names.

    Args:
        prediction: VerSe numbers ``(z, y, x)``, 0 elsewhere.
        truth: VerSe numbers ``(z, y, x)`` on the same grid.
        spacing_mm: Voxel spacing (x, y, z) in mm.
        cut: Numbers of true vertebrae that the scan shows in part, though they end inside this volume.
        limit_mm: The distance of centroids that still counts as found.

    Returns:
        The counts. Vertebrae that touch the first or last slice along the body are cut as well.

    Raises:
        ValueError: If the shapes differ, or a spacing or the limit is not above 0.
    """
    check_shapes(prediction, truth)
    if not limit_mm > 0:
        raise ValueError(f"limit_mm must be above 0; got {limit_mm}. Use {FOUND_WITHIN_MM} mm.")
    true_places, predicted_places = (centroids_mm(labels, spacing_mm) for labels in (truth, prediction))
    return counts_of(true_places, predicted_places, {*cut, *labels_cut_by_ends(truth)}, limit_mm)


def check_shapes(prediction: Labels, truth: Labels) -> None:
    """Raise ValueError unless both are volumes of one shape."""
    if prediction.shape != truth.shape or truth.ndim != 3:
        raise ValueError(
            f"The prediction must have the truth's shape (z, y, x) = {truth.shape}; got {prediction.shape}. "
            f"Resample it to the truth's grid first."
        )


def counts_of(
    true_places: Centroids, predicted_places: Centroids, incomplete: Collection[int], limit_mm: float = FOUND_WITHIN_MM
) -> VertebraCounts:
    """Count as ``count_vertebrae`` from centroids in mm; ``incomplete`` are the true vertebrae that are not whole."""
    pairs = nearest_pairs(true_places, predicted_places, limit_mm)
    whole = [label for label in true_places if label not in incomplete]
    found = {label: pairs[label] for label in whole if label in pairs}
    shift, named_up_to_shift = common_shift(found)
    return VertebraCounts(
        whole=len(whole),
        found=len(found),
        named=sum(true == predicted for true, predicted in found.items()),
        named_up_to_shift=named_up_to_shift,
        extra=len(predicted_places) - len(pairs),
        shift=shift,
    )


def centroids_mm(labels: Labels, spacing_mm: Vector3) -> Centroids:
    """Compute the centroid of each vertebra.

    Args:
        labels: VerSe numbers ``(z, y, x)``.
        spacing_mm: Voxel spacing (x, y, z) in mm.

    Returns:
        By VerSe number, from cranial to caudal: (z, y, x) in mm from the centre of the first voxel.

    Raises:
        ValueError: If a spacing is not above 0.
    """
    steps = np.asarray(checked_spacing_mm(spacing_mm)[::-1])
    places = {}
    for label, box in vertebra_boxes(labels).items():
        start = np.array([side.start for side in box])
        places[label] = (np.argwhere(labels[box] == label).mean(axis=0) + start) * steps
    return places


def labels_cut_by_ends(labels: Labels) -> frozenset[int]:
    """VerSe numbers in the first and the last slice along the body; slabs that cut processes at the sides do not count.

    ``labels`` is ``(z, y, x)``, z along the body.
    """
    return frozenset(int(label) for end in (labels[0], labels[-1]) for label in np.unique(end) if label)


def nearest_pairs(truth: Centroids, prediction: Centroids, limit_mm: float = FOUND_WITHIN_MM) -> dict[int, int]:
    """True to predicted number: pairs within the limit, the nearest first, each vertebra once."""
    near = sorted(
        (distance_mm, true, predicted)
        for true, place in truth.items()
        for predicted, other in prediction.items()
        if (distance_mm := float(np.linalg.norm(place - other))) <= limit_mm
    )
    pairs: dict[int, int] = {}
    for _, true, predicted in near:
        if true not in pairs and predicted not in pairs.values():
            pairs[true] = predicted
    return pairs


def common_shift(found: dict[int, int]) -> tuple[int, int]:
    """(shift, pairs that it explains) for the most frequent difference of numbers; of equal ones the smallest."""
    differences = Counter(
        predicted - true
        for true, predicted in found.items()
        if (true == predicted) or T13_LABEL not in (true, predicted)
    )
    if not differences:
        return 0, 0
    return min(differences.items(), key=lambda item: (-item[1], abs(item[0]), item[0]))
