"""Islands in a label map of vertebrae: small pieces that lie apart from their vertebra, given to another or dropped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from TomoRayLib.geometry.grid import Vector3

SMALL_SHARE = 0.1  # of a vertebra's largest piece: smaller ones are islands
LEAST_VOLUME_MM3 = 300.0  # of a vertebra; smaller ones are islands as a whole
REACH_MM = 12.0  # from its own vertebra, for an island that touches no other: a process whose neck is not bone

_ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)


def without_islands(labels: NDArray[np.uint8], bone: NDArray[np.bool_], spacing_mm: Vector3) -> NDArray[np.uint8]:
    """Give each island to the vertebra that it touches most, keep those near to their own, and drop the others.

    Args:
        labels: Labels (z, y, x).
        bone: All bone (z, y, x), of which some may have no label yet; that is an island too.
        spacing_mm: Voxel spacing (x, y, z).

    Returns:
        The labels, changed on islands alone.
    """
    main = _main_pieces(labels, spacing_mm)
    loose = bone & (main == 0)
    if not loose.any() or not main.any():
        return main
    islands, count = ndimage.label(loose, _ALL_NEIGHBOURS)
    voxels = np.stack(np.nonzero(loose), axis=-1)
    of_island = islands[loose]
    kept = np.stack(np.nonzero(main), axis=-1)
    steps = np.asarray(spacing_mm[::-1])
    distances, nearest = cKDTree(kept * steps).query(voxels * steps, distance_upper_bound=REACH_MM)
    near = np.append(main[tuple(kept.T)], 0)[nearest]  # 0 beyond the reach
    touching = distances <= 1.01 * float(np.linalg.norm(steps))
    own = labels[loose]
    votes = np.zeros((count + 1, 256))
    np.add.at(votes, (of_island, near), touching)
    given = votes.argmax(axis=1).astype(np.uint8)
    given[votes.max(axis=1) == 0] = 0
    apart = given[of_island] == 0
    is_own = apart & (near == own) & (own > 0)
    reaches = np.bincount(of_island, is_own, count + 1) > 0
    result = main.copy()
    result[loose] = np.where(apart, np.where(reaches[of_island], own, 0), given[of_island])
    return result


def _main_pieces(labels: NDArray[np.uint8], spacing_mm: Vector3) -> NDArray[np.uint8]:
    """The labels without the small pieces of each."""
    kept = np.zeros_like(labels)
    least = LEAST_VOLUME_MM3 / float(np.prod(spacing_mm))
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        pieces, _ = ndimage.label(labels[box] == label, _ALL_NEIGHBOURS)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        large = sizes >= max(SMALL_SHARE * sizes.max(), least)
        kept[box][large[pieces]] = label
    return kept
