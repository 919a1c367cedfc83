"""The course of a spine through a cloud of points, and where along it each point lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

STEP_MM = 3.0
SMOOTHING_MM = 15.0
ROUNDS = 3
LARGEST_DISTANCE_MM = 40.0  # of a point from the course that it helps to place

Points = NDArray[np.float64]


def places_along_course(points_mm: Points, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find where along a spine's course points lie.

    The course is a smooth curve through the middle of the points, first by slices, then by its own arc length, so that
    a spine that leans far over in places keeps its order there.

    Args:
        points_mm: LPS mm (n, 3), x, y, z; at least one.
        weights: What each point counts, (n,), above 0.

    Returns:
        Arc length in mm (n,) from cranial to caudal, measured from anywhere. Points beyond the ends of the course lie
        on its straight continuation.
    """
    places: NDArray[np.float64] = -points_mm[:, 2]
    kept = np.ones(len(points_mm), bool)
    for _ in range(ROUNDS):
        curve = _curve(places[kept], points_mm[kept], weights[kept])
        if len(curve) < 2:
            return places
        places, distances = _projected(points_mm, curve)
        near = distances <= LARGEST_DISTANCE_MM
        kept = near if near.any() else kept
    return places


def _curve(places: NDArray[np.float64], points_mm: Points, weights: NDArray[np.float64]) -> Points:
    """The smoothed mean of the points along their places, (m, 3)."""
    first = places.min()
    bins = np.floor((places - first) / STEP_MM).astype(np.intp)
    count = int(bins.max()) + 1
    sums = np.stack(
        [np.bincount(bins, weights * values, count) for values in (np.ones_like(places), *points_mm.T)], axis=-1
    )
    smooth = ndimage.gaussian_filter1d(sums, SMOOTHING_MM / STEP_MM, axis=0, mode="constant")
    smooth = smooth[smooth[:, 0] > 1e-6 * smooth[:, 0].max()]
    curve: Points = smooth[:, 1:] / smooth[:, :1]
    apart = np.linalg.norm(np.diff(curve, axis=0), axis=1) > 1e-3 * STEP_MM
    return curve[np.concatenate([[True], apart])]


def _projected(points_mm: Points, curve: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Arc lengths of the points' feet on the curve, and their distances from it."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    tangents = np.gradient(curve, lengths, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    _, nearest = cKDTree(curve).query(points_mm)
    away = points_mm - curve[nearest]
    along = (away * tangents[nearest]).sum(axis=1)
    across = np.linalg.norm(away - along[:, None] * tangents[nearest], axis=1)
    return lengths[nearest] + along, across
