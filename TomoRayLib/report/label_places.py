"""Where bone and the vertebrae of a label map lie: their voxels along each axis, their middles; in one look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, vertebra_labels_in
from TomoRayLib.geometry.masks import bounding_box

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelPlace:
    """One label: ``counts_z`` (z,) its voxels in each slice, ``center_index`` (k, j, i) the mean index of all."""

    counts_z: Counts
    center_index: NDArray[np.float64]

    @property
    def is_whole(self) -> bool:
        """True if neither the first nor the last slice cuts it."""
        return bool(self.counts_z[0] == 0 and self.counts_z[-1] == 0)


def vertebra_places(labels: NDArray[Any]) -> dict[int, LabelPlace]:
    """Find each vertebra of a label map (z, y, x), from cranial to caudal; none of a spine that is one label."""
    box = bounding_box(labels != 0)
    if box is None:
        return {}
    inside = labels[box]
    index = np.nonzero(inside)
    values = inside[index]
    named = np.isin(values, tuple(NAME_OF_LABEL))
    values, index = values[named].astype(np.intp), tuple(along[named] for along in index)
    count = max(NAME_OF_LABEL) + 1
    totals = np.maximum(np.bincount(values, minlength=count), 1)
    centers = [
        (np.bincount(values, weights=numbers, minlength=count) + along.start * totals) / totals
        for along, numbers in zip(box, index, strict=True)
    ]
    depth = labels.shape[0]
    in_slices = np.bincount(values * depth + index[0] + box[0].start, minlength=count * depth).reshape(count, depth)
    found = vertebra_labels_in(np.flatnonzero(in_slices.any(axis=1)).tolist())
    return {label: LabelPlace(in_slices[label], np.array([along[label] for along in centers])) for label in found}


def counts_along_axes(mask: NDArray[np.bool_]) -> tuple[Counts, Counts, Counts] | None:
    """Count a mask's voxels (z, y, x) at each index along z, along y and along x; None if it has none."""
    box = bounding_box(mask)
    if box is None:
        return None
    inside = mask[box]
    counts = []
    for axis, along in enumerate(box):
        whole = np.zeros(mask.shape[axis], np.int64)
        whole[along] = np.count_nonzero(inside, axis=tuple(other for other in range(3) if other != axis))
        counts.append(whole)
    return (counts[0], counts[1], counts[2])
