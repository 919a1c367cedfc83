"""By how much one radiograph was taken higher than the other, found from their row profiles.

Both show the same body at the same heights, so that what changes from row to row changes in both: the shadow of all
that lies at a height, and the edges of end plates and ribs. Three profiles of each image are correlated over all
shifts.

How often that is right is counted by ``Testing/Benchmarks/heights.py``, on whose CTs the profiles were chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Profile = NDArray[np.float64]

STEP_MM = 1.0
LARGEST_SHIFT_MM = 100
LEAST_OVERLAP_MM = 100
PEAK_MM = 12  # a shift nearer to the best one than this is the same peak
EDGE_MM = (1.5, 3.0)  # along and across the body: the standard deviation at which edges are looked for
AROUND_EDGE_MM = (8.0, 20.0)  # what an edge's strength is measured by


@dataclass(frozen=True)
class HeightMatch:
    """How well two radiographs fit, and where best.

    Args:
        higher_mm: By how much the second one was taken higher than the first: what it shows lies lower in it.
        correlation: Of the profiles there, the mean of three, -1 to 1.
        margin: By how much the next best shift, at least 12 mm away, fits worse: the confidence.
        common_mm: The height that both show at that shift. A short one fits at many shifts.
    """

    higher_mm: float
    correlation: float
    margin: float
    common_mm: float


def match_heights(
    first: NDArray[np.float32], first_down_mm: Profile, second: NDArray[np.float32], second_down_mm: Profile
) -> HeightMatch | None:
    """Find by how much the second radiograph was taken higher than the first.

    Args:
        first: Radiograph (rows, columns), bone bright, head up; scale and offset do not matter.
        first_down_mm: (rows,) place of each row below the isocentre, in mm at the isocentre, increasing.
        second: The other view of the same body; its columns may show anything.
        second_down_mm: (rows,) its rows likewise.

    Returns:
        The match, of shifts up to 100 mm either way; without any margin if both fit ever better up to that. None if
        both have less than 100 mm of height in common at all shifts, or show no rows that differ.
    """
    profiles = [_profiles(first, first_down_mm), _profiles(second, second_down_mm)]
    curves = [
        _correlations(one, other, profiles[0][0], profiles[1][0])
        for one, other in zip(profiles[0][1], profiles[1][1], strict=True)
    ]
    curve = np.mean(curves, axis=0)
    if not np.isfinite(curve).any():
        return None
    curve = np.where(np.isfinite(curve), curve, -1.0)
    best = int(np.argmax(curve))
    (start, (one, *_)), (other_start, (other, *_)) = profiles
    moved = other_start - (best - LARGEST_SHIFT_MM)
    common_mm = STEP_MM * (min(start + len(one), moved + len(other)) - max(start, moved))
    if best in (0, len(curve) - 1):
        return HeightMatch(float(best - LARGEST_SHIFT_MM) * STEP_MM, float(curve[best]), 0.0, common_mm)  # not a peak
    others = curve.copy()
    others[max(0, best - PEAK_MM) : best + PEAK_MM + 1] = -1.0
    return HeightMatch(_refined(curve, best), float(curve[best]), float(curve[best] - others.max()), common_mm)


def _profiles(image: NDArray[np.float32], down_mm: Profile) -> tuple[int, tuple[Profile, ...]]:
    """(First place in steps of 1 mm, profiles every step): middle half and whole rows without their slow course, and
    edges."""
    image, down_mm = _coarser(image, down_mm)
    row_mm = float(down_mm[1] - down_mm[0])
    columns = image.shape[1]
    middle = slice(columns // 4, columns - columns // 4)
    column_mm = row_mm  # of the same order, and only for smoothing
    smooth = ndimage.gaussian_filter(image, (EDGE_MM[0] / row_mm, EDGE_MM[1] / column_mm))
    edge = np.diff(smooth, axis=0, append=smooth[-1:])
    around = np.sqrt(ndimage.gaussian_filter(edge**2, (AROUND_EDGE_MM[0] / row_mm, AROUND_EDGE_MM[1] / column_mm)))
    relative = edge / (around + 1e-3 * float(np.ptp(image)) + 1e-12)
    start, stop = int(np.ceil(down_mm[0])), int(np.floor(down_mm[-1]))
    places = np.arange(start, stop + 1) * STEP_MM
    half, whole, edges = (
        np.interp(places, down_mm, rows.mean(axis=1, dtype=np.float64))
        for rows in (image[:, middle], image, relative[:, middle])
    )
    return start, (_without_slow_course(half, 15.0), _without_slow_course(whole, 60.0), edges)


def _coarser(image: NDArray[np.float32], down_mm: Profile) -> tuple[NDArray[np.float32], Profile]:
    """Means of blocks of rows and columns, so that a row is at most 1 mm high and fine films cost no more."""
    block = max(1, int(STEP_MM / float(down_mm[1] - down_mm[0])))
    rows, columns = (size // block for size in image.shape)
    if block == 1 or min(rows, columns) < 4:
        return image, down_mm
    kept = image[: rows * block, : columns * block].reshape(rows, block, columns, block)
    return kept.mean(axis=(1, 3), dtype=np.float32), down_mm[: rows * block].reshape(rows, block).mean(axis=1)


def _without_slow_course(profile: Profile, sd_mm: float) -> Profile:
    rest: Profile = profile - ndimage.gaussian_filter1d(profile, sd_mm / STEP_MM, mode="nearest")
    return rest


def _correlations(first: Profile, second: Profile, first_start: int, second_start: int) -> Profile:
    """Correlation for each shift of -100 to 100 mm; NaN if too little is in common, or a profile is flat there."""
    result = np.full(2 * LARGEST_SHIFT_MM + 1, np.nan)
    for index in range(len(result)):
        # The place p of the first is the place p + shift of the second: the second lies this much lower.
        moved = second_start - (index - LARGEST_SHIFT_MM)
        start = max(first_start, moved)
        stop = min(first_start + len(first), moved + len(second))
        if stop - start < LEAST_OVERLAP_MM:
            continue
        one, other = first[start - first_start : stop - first_start], second[start - moved : stop - moved]
        one, other = one - one.mean(), other - other.mean()
        norm = float(np.sqrt((one @ one) * (other @ other)))
        if norm > 0:
            result[index] = float(one @ other) / norm
    return result


def _refined(curve: Profile, best: int) -> float:
    """The place of the maximum between the steps, by a parabola through three values."""
    left, top, right = curve[best - 1 : best + 2]
    bend = left - 2 * top + right
    beside = float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0
    return (best - LARGEST_SHIFT_MM + beside) * STEP_MM
