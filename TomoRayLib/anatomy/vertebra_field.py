"""The vertebra field: where a voxel's own vertebra is, and which one.

A network that tells vertebrae apart predicts four numbers per voxel, shaped (4, z, y, x) and meaningful inside
vertebrae only: the way from the voxel to the centroid of its vertebra in LPS mm (x, y, z) over ``OFFSET_UNIT_MM``, and
the level, ``(VerSe number + 0.5 - LEVEL_MIDDLE) / LEVEL_UNIT``. Both are near [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.vertebrae import T13_LABEL, VERTEBRA_LABELS
from TomoRayLib.geometry.grid import Grid

FIELD_CHANNELS = 4
OFFSET_UNIT_MM = 32.0
LEVEL_MIDDLE, LEVEL_UNIT = 13.0, 6.0
_T13_LEVEL = 19.99  # between T12 and L1


def level_of_label(label: int) -> float:
    """The middle of a vertebra along the spine: its VerSe number + 0.5, and 19.99 for T13."""
    return _T13_LEVEL if label == T13_LABEL else label + 0.5


def centroids_of_labels(labels: NDArray[np.integer], grid: Grid) -> dict[int, NDArray]:
    """Find the centroid of each vertebra.

    Args:
        labels: VerSe numbers (z, y, x); others than those of vertebrae are passed over.
        grid: Their grid, in any position.

    Returns:
        LPS mm (x, y, z) by VerSe number.
    """
    centroids = {}
    for label, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
        if box is None or label not in VERTEBRA_LABELS:
            continue
        k, j, i = np.nonzero(labels[box] == label)
        index = [i.mean() + box[2].start, j.mean() + box[1].start, k.mean() + box[0].start]
        offset = grid.direction_matrix @ (np.asarray(index) * np.asarray(grid.spacing_mm))
        centroids[label] = np.asarray(grid.origin_mm) + offset
    return centroids


def vertebra_field(
    labels: NDArray[np.integer], grid: Grid, centroids_mm: Mapping[int, NDArray] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Make the vertebra field of a label map.

    Args:
        labels: VerSe numbers (z, y, x).
        grid: Their grid, in any position.
        centroids_mm: LPS mm (x, y, z) by VerSe number; those of ``labels`` if None. One without has no field.

    Returns:
        The field (4, z, y, x), 0 outside vertebrae, and where it holds (z, y, x).
    """
    centroids_mm = centroids_of_labels(labels, grid) if centroids_mm is None else centroids_mm
    field = np.zeros((FIELD_CHANNELS, *labels.shape), np.float32)
    known = np.zeros(labels.shape, bool)
    for label, centroid_mm in centroids_mm.items():
        k, j, i = np.nonzero(labels == label)
        index = np.stack([i, j, k]) * np.asarray(grid.spacing_mm)[:, None]
        places_mm = np.asarray(grid.origin_mm)[:, None] + grid.direction_matrix @ index
        field[:3, k, j, i] = (np.asarray(centroid_mm)[:, None] - places_mm) / OFFSET_UNIT_MM
        field[3, k, j, i] = (level_of_label(label) - LEVEL_MIDDLE) / LEVEL_UNIT
        known[k, j, i] = True
    return field, known
