"""A coarse picture of a labelled spine, by which copies of one scan are found whatever they are called.

The vertebrae are drawn into cubes of 8 mm about their centre of mass. A copy with the same labels agrees to a Dice
of 1. Of 1,225 pairs of 50 people the likest have .643; six CTs with labels by hand and by a network of Dice .8 agree to
.68 to .76. So ``ONE_PERSON`` and more is a copy, and from ``MAYBE`` on it may be one with other labels. What a copy's
field of view cuts off moves its centre: such a copy is not found.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.images.types import Volume

CUBE_MM = 8.0
SHAPE = (56, 20, 20)  # cubes along z, y, x
ONE_PERSON, MAYBE = 0.8, 0.7  # Dice of two pictures; Testing/Benchmarks/known_people.py prints the likest people
LEAST_CUBES = 12  # less is no spine to be compared
FULL = 0.5  # share of a cube that is bone from which on it counts
_SHIFTS = tuple(product((-1, 0, 1), repeat=3))

Picture = NDArray[np.bool_]


def spine_picture(labels: Volume) -> Picture:
    """Draw the vertebrae of a label map, in any orientation, into cubes of 8 mm: boolean ``SHAPE`` (z, y, x)."""
    index = np.argwhere(vertebra_mask(labels.voxels))[:, ::-1]  # i, j, k
    if not len(index):
        return np.zeros(SHAPE, dtype=bool)
    points_mm = index @ labels.grid.index_to_world[:3, :3].T
    places = np.floor((points_mm - points_mm.mean(axis=0))[:, ::-1] / CUBE_MM + np.array(SHAPE) / 2).astype(int)
    inside = ((places >= 0) & (places < np.array(SHAPE))).all(axis=1)
    counts = np.zeros(SHAPE, dtype=np.int64)
    np.add.at(counts, tuple(places[inside].T), 1)
    voxel_mm3 = float(np.prod(labels.grid.spacing_mm))
    return counts * voxel_mm3 >= FULL * CUBE_MM**3


def to_text(picture: Picture) -> str:
    """Return a picture as a short text; ``from_text`` reads it."""
    return base64.b64encode(zlib.compress(np.packbits(picture).tobytes(), 9)).decode("ascii")


def from_text(text: str) -> Picture:
    """Return the picture of a text. Raises ValueError for another text."""
    try:
        bits = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), np.uint8)
        return np.unpackbits(bits, count=int(np.prod(SHAPE))).astype(bool).reshape(SHAPE)
    except (zlib.error, ValueError) as error:
        raise ValueError(f"Expected the text of a spine's picture, got another one ({error}).") from None


def likeness(one: Picture, other: Picture) -> float:
    """Return the Dice of two pictures, the best of those moved by up to one cube; 0 if one shows hardly anything."""
    if min(one.sum(), other.sum()) < LEAST_CUBES:
        return 0.0
    total = float(one.sum() + other.sum())
    return max(2 * float((one & np.roll(other, shift, axis=(0, 1, 2))).sum()) / total for shift in _SHIFTS)


def alike(pictures: Sequence[Picture], known: Sequence[Picture], least: float = ONE_PERSON) -> list[list[int]]:
    """Find the pictures of one scan.

    Args:
        pictures: Those of a cohort.
        known: Those to compare with.
        least: The likeness from which on two show the same scan.

    Returns:
        For each of ``pictures`` the places of ``known`` that show the same scan, the most alike first.
    """
    if not pictures or not known:
        return [[] for _ in pictures]
    # An upper bound of every Dice from the counts of cubes alone leaves few pairs to compare.
    counts = np.array([picture.sum() for picture in known], dtype=float)
    found = []
    for picture in pictures:
        count = float(picture.sum())
        bound = 2 * np.minimum(counts, count) / np.maximum(counts + count, 1)
        near = [(likeness(picture, known[int(place)]), int(place)) for place in np.flatnonzero(bound >= least)]
        found.append([place for value, place in sorted(near, reverse=True) if value >= least])
    return found
