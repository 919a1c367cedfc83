"""Edge response across endplates: how many mm the grey values take to rise from the disc to the vertebral body.

Along each ray across a disc (``discs``) the smallest value is the disc's; on either side of it the largest is the
body's. Going from the disc to the body, the *rise distance* lies between the first crossings of 10 % and of 90 % of
that step: the width of the edge-spread function, as for the sharpness of cameras and displays (ISO 12233). A step that
a Gaussian of standard deviation sigma has blurred rises in 2.563 sigma; a disc of 5 mm between two such steps bounds
what can be seen, because a wider blur fills the disc: then the step is lower, and below ``LEAST_CONTRAST`` of the true
one there is no edge. So rise distance and share of edges found belong together. Both are read wherever the prediction
has its edge: a sharp endplate in the wrong place is sharp.

Arrays are ``(z, y, x)`` along the axes of LPS, ``spacing_mm`` is ``(x, y, z)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.metrics.discs import Disc, Floats
from TomoRayLib.metrics.surface import Vector3

LEAST_CONTRAST = 0.25  # of the true step's height
LOW_SHARE, HIGH_SHARE = 0.1, 0.9
GAUSSIAN_RISE_PER_SD = 2.563103  # 10 to 90 % of a normal distribution, in standard deviations


@dataclass(frozen=True)
class EndplateSharpness:
    """Edge response over the endplates at the discs in view.

    ``rise_mm``: median rise distance of those with an edge, NaN without any. ``contrast``: median height of the step
    over that of the true one. ``edge_share``: share of the endplates with an edge, NaN without endplates.
    """

    endplates: int
    rise_mm: float
    contrast: float
    edge_share: float

    def to_json_dict(self) -> dict[str, float | int | None]:
        """The values by name; NaN becomes None."""
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}


def endplate_sharpness(
    prediction: NDArray[Any], truth: NDArray[Any], discs: Iterable[Disc], spacing_mm: Vector3
) -> EndplateSharpness:
    """Measure the edge response of a prediction across the true endplates.

    Args:
        prediction: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` of the truth on the same grid, which the contrast is relative to.
        discs: From ``discs.discs_between`` of the true labels.
        spacing_mm: Voxel spacing (x, y, z) in mm.

    Returns:
        Medians over the endplates, two at each disc; each endplate's value is the median over its rays.

    Raises:
        ValueError: If the shapes differ or a spacing is not above 0.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"The prediction must have the truth's shape (z, y, x) = {truth.shape}; got {prediction.shape}. "
            f"Resample it to the truth's grid first."
        )
    rises_mm: list[float] = []
    contrasts: list[float] = []
    for disc in discs:
        predicted, true = (disc.along_rays(volume, spacing_mm) for volume in (prediction, truth))
        for own, reference in zip(_both_sides(predicted), _both_sides(true), strict=True):
            heights = np.array([np.ptp(ray) for ray in own]), np.array([np.ptp(ray) for ray in reference])
            contrasts.append(float(np.median(heights[0]) / max(float(np.median(heights[1])), 1e-12)))
            rises_mm.append(float(np.median([rise_distance_mm(ray, disc.step_mm) for ray in own])))
    edges = [rise for rise, contrast in zip(rises_mm, contrasts, strict=True) if contrast >= LEAST_CONTRAST]
    return EndplateSharpness(
        endplates=len(contrasts),
        rise_mm=float(np.median(edges)) if edges else math.nan,
        contrast=float(np.median(contrasts)) if contrasts else math.nan,
        edge_share=len(edges) / len(contrasts) if contrasts else math.nan,
    )


def rise_distance_mm(profile: Floats, step_mm: float) -> float:
    """Measure the rise distance of one profile.

    Args:
        profile: Values from the smallest one of a ray, in the disc, to the body's middle.
        step_mm: Distance of neighbouring values.

    Returns:
        The distance from the first crossing of 10 % to the first crossing of 90 % of the step from the first value to
        the largest, in mm, crossings interpolated; 0 for a profile that does not rise.
    """
    low, high = float(profile[0]), float(profile.max())
    if not high > low:
        return 0.0
    share = (profile - low) / (high - low)
    return (_first_crossing(share, HIGH_SHARE) - _first_crossing(share, LOW_SHARE)) * step_mm


def _first_crossing(share: Floats, level: float) -> float:
    """The place, in steps, at which ``share``, which begins at 0 and reaches 1, first comes to ``level``."""
    place = int(np.argmax(share >= level))
    before, after = float(share[place - 1]), float(share[place])
    return place - 1 + (level - before) / (after - before)


def _both_sides(rays: Floats) -> tuple[list[Floats], list[Floats]]:
    """For each ray the profile from its smallest value up to the upper body's middle, and down to the lower one's.

    Of equal smallest values, as in an empty disc, each side begins at its own nearest.
    """
    least = rays.min(axis=1, keepdims=True)
    at_least = rays <= least
    first = at_least.argmax(axis=1)
    last = rays.shape[1] - 1 - at_least[:, ::-1].argmax(axis=1)
    upper = [ray[place::-1] for ray, place in zip(rays, first, strict=True)]
    lower = [ray[place:] for ray, place in zip(rays, last, strict=True)]
    return upper, lower
