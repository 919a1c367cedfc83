"""A decoded spine numbered anew from one vertebra that a person has named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine
from TomoRayLib.anatomy.vertebra_naming import FARTHEST_MM, FIELD, Anchor, Naming, Place, new_numbers, too_far
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid


def renumbered(spine: DecodedSpine, anchor: Anchor, grid: Grid) -> DecodedSpine:
    """Number all vertebrae of a spine from the one that was named.

    Args:
        spine: The vertebrae as decoded, or as renumbered before.
        anchor: The vertebra that was named, and its number.
        grid: Grid of the spine's labels, in any position.

    Returns:
        The same vertebrae with other numbers, in order from the one that was named.

    Raises:
        InputError: If there is no vertebra, none has the name, none is near the place, or the numbers would leave C1
            to L6.
    """
    if not spine.vertebrae:
        raise InputError(
            f"Expected a vertebra to call {anchor.name}, but none was told apart in the synthetic CT; run without a "
            "name, and look at the result.",
            FIELD,
        )
    was = anchor.was if anchor.place_mm is None else number_at(spine, anchor.place_mm, grid)
    assert was is not None
    numbers = new_numbers([vertebra.number for vertebra in spine.vertebrae], was, anchor.number)
    table = np.zeros(256, np.uint8)
    table[list(numbers)] = list(numbers.values())
    vertebrae = tuple(replace(vertebra, number=numbers[vertebra.number]) for vertebra in spine.vertebrae)
    before = spine.certainty if spine.named is None else spine.named.certainty_before
    return DecodedSpine(table[spine.labels], vertebrae, 1.0, Naming(anchor.number, was, before))


def number_at(spine: DecodedSpine, place_mm: Place, grid: Grid) -> int:
    """Return the number of the vertebra whose voxels lie nearest to a place.

    Args:
        spine: The vertebrae, one at least.
        place_mm: LPS mm (x, y, z).
        grid: Grid of the spine's labels.

    Raises:
        InputError: If all are farther than ``FARTHEST_MM``.
    """
    k, j, i = np.nonzero(spine.labels)
    numbers = spine.labels[k, j, i]
    steps = grid.direction_matrix * np.asarray(grid.spacing_mm)
    distances_mm = np.linalg.norm(
        np.stack([i, j, k], axis=-1) @ steps.T + (np.asarray(grid.origin_mm) - np.asarray(place_mm)), axis=1
    )
    nearest_mm = {
        vertebra.number: float(distances_mm[numbers == vertebra.number].min()) for vertebra in spine.vertebrae
    }
    nearest = min(nearest_mm, key=lambda number: nearest_mm[number])
    if nearest_mm[nearest] > FARTHEST_MM:
        raise too_far(nearest_mm, place_mm)
    return nearest
