"""The parts of a label map: where each label lies along the body, and how large it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.numberings import Part
from TomoRayLib.images.types import Volume


def parts_of(mask: Volume) -> dict[int, Part]:
    """Measure every label of a mask.

    Args:
        mask: Labels ``(z, y, x)`` as whole numbers or booleans.

    Returns:
        By label, background left out: its middle in LPS mm and its volume.
    """
    voxels = np.ascontiguousarray(mask.voxels)
    places = np.flatnonzero(voxels)
    if not len(places):
        return {}
    values = voxels.reshape(-1)[places].astype(np.int64)
    numbers, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    indices = _mean_indices(places, mask.grid.size, which, counts)
    middles = indices @ mask.grid.index_to_world[:3, :3].T + mask.grid.index_to_world[:3, 3]
    voxel_cm3 = float(np.prod(mask.grid.spacing_mm)) / 1000.0
    return {
        int(number): Part((float(x), float(y), float(z)), float(count) * voxel_cm3)
        for number, (x, y, z), count in zip(numbers, middles, counts, strict=True)
    }


def _mean_indices(
    places: NDArray[np.int64], size: tuple[int, int, int], which: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Means (n, 3) of the indices (i, j, k) of voxels, given by their flat index, in each of ``n`` groups."""
    rows, i = np.divmod(places, size[0])
    k, j = np.divmod(rows, size[1])
    return np.stack([np.bincount(which, weights=axis) / counts for axis in (i, j, k)], axis=1)
