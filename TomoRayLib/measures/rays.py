"""Rays through a sampled mask: where they leave the bone and where they meet it, and planes through such places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.measures.vertebra_frame import Floats

STEP_MM = 1.0  # of a sampled mask, along each axis
LEFT_MM, FRONT_MM, BACK_MM, UP_MM = 34, 30, 34, 30  # its reach from the middle


def first_exit(profiles: NDArray[np.floating]) -> Any:
    """Distance in mm from the first value to where each profile (n, ...) first falls through a half; NaN if the first
    is not inside, or none outside."""
    values = np.asarray(profiles, dtype=np.float64)
    outside = values < 0.5
    place = outside.argmax(axis=0)
    valid = outside.any(axis=0) & ~outside[0]
    place = np.where(valid, place, 1)
    after = np.take_along_axis(values, place[None], axis=0)[0]
    before = np.take_along_axis(values, place[None] - 1, axis=0)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        exits = (place - 1 + (before - 0.5) / (before - after)) * STEP_MM
    return np.where(valid, exits, np.nan)


def last_exit(image: NDArray[np.floating]) -> Floats:
    """For rays (n, ...) that come from outside along the first axis, which has ``2 UP_MM + 1`` values: where they first
    meet bone, as a distance in mm from the middle towards where they come from; NaN if they meet none before it."""
    values = np.asarray(image[: UP_MM + 1], dtype=np.float64)
    inside = values >= 0.5
    place = inside.argmax(axis=0)
    valid = inside.any(axis=0) & ~inside[0]
    place = np.where(valid, place, 1)
    within = np.take_along_axis(values, place[None], axis=0)[0]
    before = np.take_along_axis(values, place[None] - 1, axis=0)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        entry = place - (within - 0.5) / (within - before)
    return np.where(valid, (UP_MM - entry) * STEP_MM, np.nan)


def smoothed(values: Floats) -> Floats:
    """Means of each value and its two neighbours, those that there are; NaN stays NaN."""
    padded = np.pad(values, 1, constant_values=np.nan)
    stack = np.stack([padded[step : step + len(values)] for step in range(3)])
    known = np.isfinite(stack)
    means = np.where(known, stack, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(np.isfinite(values), means, np.nan)


def plane_through(x: Floats, y: Floats, heights: Floats) -> Floats:
    """Coefficients of height = a x + b y + c by least squares, points beyond 2.5 robust SD left out, twice."""
    rows = np.stack([x, y, np.ones_like(x)], axis=1)
    used = np.ones(len(x), dtype=bool)
    for _ in range(3):
        plane = np.linalg.lstsq(rows[used], heights[used], rcond=None)[0]
        misses = heights - rows @ plane
        spread = 1.4826 * float(np.median(np.abs(misses[used]))) + 0.1
        used = np.abs(misses) <= 2.5 * spread
    return np.asarray(plane, dtype=np.float64)
