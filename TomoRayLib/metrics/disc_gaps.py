"""Disc gaps found: the share of the true spine's discs at which a prediction separates the two vertebrae.

A ray across a disc (``discs``) shows a gap *in the mask* if it runs through bone, at least ``LEAST_GAP_MM`` of no bone,
and bone again; it shows one *in the grey values* if they fall between the two bodies to half of the lower body's peak
or less, each peak being bone at all. A gap is found if more than half of the rays show it. Where the prediction has no
bone there is no gap either: an empty volume has none.

Arrays are ``(z, y, x)`` along the axes of LPS, ``spacing_mm`` is ``(x, y, z)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.masks import Mask
from TomoRayLib.metrics.discs import Disc, Floats
from TomoRayLib.metrics.surface import Vector3

LEAST_GAP_MM = 1.0
LEAST_PEAK = 0.15  # grey value in [0, 1]: half of what a voxel of weak bone (60 HU) has, rounded up
DEPTH_SHARE = 0.5


@dataclass(frozen=True)
class DiscGaps:
    """Counts of the true discs in view and of those that a prediction shows in its mask and in its grey values."""

    discs: int
    in_mask: int
    in_grey: int

    @property
    def mask_share(self) -> float:
        """Share of the discs shown in the mask; NaN without any disc."""
        return self.in_mask / self.discs if self.discs else math.nan

    @property
    def grey_share(self) -> float:
        """Share of the discs shown in the grey values; NaN without any disc."""
        return self.in_grey / self.discs if self.discs else math.nan

    def to_json_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


def disc_gaps(prediction: NDArray[Any], mask: Mask, discs: Iterable[Disc], spacing_mm: Vector3) -> DiscGaps:
    """Count the true discs at which a prediction shows a gap.

    Args:
        prediction: Grey values ``(z, y, x)`` in [0, 1].
        mask: Boolean ``(z, y, x)``, the predicted bone.
        discs: From ``discs.discs_between`` of the true labels.
        spacing_mm: Voxel spacing (x, y, z) in mm.

    Returns:
        The counts.

    Raises:
        ValueError: If the shapes differ or a spacing is not above 0.
    """
    if prediction.shape != mask.shape:
        raise ValueError(
            f"The mask must have the prediction's shape (z, y, x) = {prediction.shape}; got {mask.shape}. "
            f"Resample it to the same grid first."
        )
    in_mask, in_grey = [], []
    for disc in discs:
        bone = disc.along_rays(mask, spacing_mm) > 0.5
        in_mask.append(_more_than_half([shows_gap(ray, disc.step_mm) for ray in bone]))
        in_grey.append(_more_than_half([falls_between(ray) for ray in disc.along_rays(prediction, spacing_mm)]))
    return DiscGaps(len(in_mask), sum(in_mask), sum(in_grey))


def shows_gap(bone: NDArray[np.bool_], step_mm: float) -> bool:
    """True if a ray runs through bone, at least ``LEAST_GAP_MM`` of none, and bone again.

    ``bone`` are the values along the ray, ``step_mm`` apart.
    """
    places = np.flatnonzero(bone)
    gaps_mm = (np.diff(places) - 1) * step_mm
    return bool(np.any(gaps_mm >= LEAST_GAP_MM))


def falls_between(ray: Floats) -> bool:
    """True if the values of a ray fall between two peaks of bone to ``DEPTH_SHARE`` of the lower one or less."""
    before, after = np.maximum.accumulate(ray), np.maximum.accumulate(ray[::-1])[::-1]
    lower_peak = np.minimum(before, after)
    return bool(np.any((lower_peak >= LEAST_PEAK) & (ray <= DEPTH_SHARE * lower_peak)))


def _more_than_half(found: Sequence[bool]) -> bool:
    return 2 * sum(found) > len(found)
