"""The parts of a label map: where each label lies along the body, and how large it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.numberings import Part
from TomoRayLib.images.types import Volume


def parts_of(mask: Volume) -> dict[int, Part]:
    """Measure every label of a mask.

    Args:
        mask: Labels ``(z, y, x)`` as booleans, or whole numbers from 0 to 32767.

    Returns:
        By label, background left out: its middle in LPS mm and its volume.
    """
    sums = np.zeros((4, int(mask.voxels.max(initial=0)) + 1))  # voxels, and their indices i, j and k, by label
    for k, plane in enumerate(mask.voxels):
        _add_plane(sums, plane, k)
    numbers = np.flatnonzero(sums[0, 1:]) + 1
    counts = sums[0, numbers]
    middles = (sums[1:, numbers] / counts).T @ mask.grid.index_to_world[:3, :3].T + mask.grid.index_to_world[:3, 3]
    voxel_cm3 = float(np.prod(mask.grid.spacing_mm)) / 1000.0
    return {
        int(number): Part((float(x), float(y), float(z)), float(count) * voxel_cm3)
        for number, (x, y, z), count in zip(numbers, middles, counts, strict=True)
    }


def _add_plane(sums: NDArray[np.float64], plane: NDArray[np.generic], k: int) -> None:
    """Add the voxels of one plane (y, x), so that a large map needs little memory."""
    places = np.flatnonzero(plane != 0)
    if len(places):
        j, i = np.divmod(places, plane.shape[1])
        values, length = plane.reshape(-1)[places].astype(np.intp), sums.shape[1]
        counts = np.bincount(values, minlength=length)
        sums += (counts, np.bincount(values, i, length), np.bincount(values, j, length), k * counts)


def labels_in(voxels: NDArray[np.integer]) -> set[int]:
    """Return the labels of a map ``(z, y, x)`` without the background, a plane at a time."""
    found = set().union(*(np.unique(plane[plane != 0]).tolist() for plane in voxels))
    return {int(label) for label in found}
