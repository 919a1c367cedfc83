"""A picture of a labelled spine, by which copies of one scan are found whatever they are called.

The vertebrae are drawn into cubes of 4 mm about their centre of mass. A copy of a label map, renamed, converted or
stored in other directions, agrees to a Dice of 1; one resampled to oblique voxels to .89 to .95. Vertebrae of two
people agree to .90 at most if single ones of a level are compared (5,518 pairs of 27 people), rows of three to .86,
whole label maps to .62. So ``COPY`` is a copy, and from ``MAYBE`` on two may show one scan. Other labels of the same
scan, and a copy whose field of view cuts vertebrae off, are not found.
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

CUBE_MM = 4.0
SHAPE = (112, 40, 40)  # cubes along z, y, x
COPY, MAYBE = 0.97, 0.88  # Dice of two pictures
LEAST_CUBES = 100  # 6 cm3; less is no vertebra to be compared
FULL = 0.5  # share of a cube that is bone from which on it counts
_SHIFTS = tuple(product((-1, 0, 1), repeat=3))

Picture = NDArray[np.bool_]


def spine_picture(labels: Volume) -> Picture:
    """Draw the vertebrae of a label map, in any orientation, into cubes of 4 mm: boolean ``SHAPE`` (z, y, x).

    Voxels larger than a cube are divided first, so that no cube is left out.
    """
    index = np.argwhere(vertebra_mask(labels.voxels))[:, ::-1].astype(np.float64)  # i, j, k
    if not len(index):
        return np.zeros(SHAPE, dtype=bool)
    parts = [int(np.ceil(mm / (CUBE_MM / 2))) for mm in labels.grid.spacing_mm]
    offsets = np.stack(
        np.meshgrid(*[(np.arange(count) + 0.5) / count - 0.5 for count in parts], indexing="ij"), axis=-1
    ).reshape(-1, 3)
    middle_mm = index.mean(axis=0) @ labels.grid.index_to_world[:3, :3].T
    counts = np.zeros(SHAPE, dtype=np.int64)
    for offset in offsets:
        points_mm = (index + offset) @ labels.grid.index_to_world[:3, :3].T - middle_mm
        places = np.floor(points_mm[:, ::-1] / CUBE_MM + np.array(SHAPE) / 2).astype(int)
        inside = ((places >= 0) & (places < np.array(SHAPE))).all(axis=1)
        np.add.at(counts, tuple(places[inside].T), 1)
    point_mm3 = float(np.prod(labels.grid.spacing_mm)) / len(offsets)
    return counts * point_mm3 >= FULL * CUBE_MM**3


def to_text(picture: Picture) -> str:
    """Return a picture as a text of some 3 kB; ``from_text`` reads it."""
    return base64.urlsafe_b64encode(zlib.compress(np.packbits(picture).tobytes(), 9)).decode("ascii")


def from_text(text: str) -> Picture:
    """Return the picture of a text. Raises ValueError for another text."""
    try:
        bits = np.frombuffer(zlib.decompress(base64.b64decode(text, altchars=b"-_", validate=True)), np.uint8)
        return np.unpackbits(bits, count=int(np.prod(SHAPE))).astype(bool).reshape(SHAPE)
    except (zlib.error, ValueError) as error:
        raise ValueError(f"Expected the text of a spine's picture, got another one ({error}).") from None


def likeness(one: Picture, other: Picture) -> float:
    """Return the Dice of two pictures, the best of those moved by up to one cube; 0 if one shows hardly anything."""
    if min(one.sum(), other.sum()) < LEAST_CUBES:
        return 0.0
    total = float(one.sum() + other.sum())
    box = tuple(slice(max(0, low - 1), high + 2) for low, high in _extent(one | other))
    mine, theirs = one[box], other[box]
    return max(2 * float((mine & np.roll(theirs, shift, axis=(0, 1, 2))).sum()) / total for shift in _SHIFTS)


def alike(pictures: Sequence[Picture], known: Sequence[Picture], least: float = COPY) -> list[list[int]]:
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
    profiles = _profiles(known)
    return [
        _alike(picture, own, known, profiles, least) for picture, own in zip(pictures, _profiles(pictures), strict=True)
    ]


def alike_earlier(pictures: Sequence[Picture], least: float = COPY) -> list[list[int]]:
    """Return for each of a cohort's pictures the places of those before it that show the same scan."""
    profiles = _profiles(pictures)
    return [
        _alike(picture, profiles[place], pictures[:place], profiles[:place], least) if place else []
        for place, picture in enumerate(pictures)
    ]


def _profiles(pictures: Sequence[Picture]) -> NDArray[np.int32]:
    """How many cubes each slice along z, y and x has, one row for a picture."""
    rows = [[picture.sum(axis=(1, 2)), picture.sum(axis=(0, 2)), picture.sum(axis=(0, 1))] for picture in pictures]
    return np.array([np.concatenate(row) for row in rows], dtype=np.int32).reshape(len(rows), sum(SHAPE))


def _alike(
    picture: Picture, own: NDArray[np.int32], known: Sequence[Picture], profiles: NDArray[np.int32], least: float
) -> list[int]:
    """The places of ``known``; the counts of cubes in the slices bound a Dice and leave few to compare."""
    total = np.maximum(profiles[:, : SHAPE[0]].sum(axis=1) + own[: SHAPE[0]].sum(), 1)
    likely = np.arange(len(profiles))
    for axis in range(3):
        part = slice(sum(SHAPE[:axis]), sum(SHAPE[: axis + 1]))
        shared = [np.minimum(profiles[likely, part], np.roll(own[part], shift)).sum(axis=1) for shift in (-1, 0, 1)]
        likely = likely[2 * np.max(shared, axis=0) / total[likely] >= least]
    found = [(likeness(picture, known[int(place)]), int(place)) for place in likely]
    return [place for value, place in sorted(found, key=lambda item: (-item[0], item[1])) if value >= least]


def _extent(picture: Picture) -> list[tuple[int, int]]:
    """First and last index along z, y, x of what is drawn."""
    places = [np.flatnonzero(picture.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return [(int(one[0]), int(one[-1])) for one in places]
