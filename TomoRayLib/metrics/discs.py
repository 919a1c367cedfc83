"""Rays across the discs of the true spine: from one vertebral body's middle to the next one's.

Sharpness is read along them (``endplates``, ``disc_gaps``). They follow from the true labels alone, so that every
prediction of a case is read at the same places.

Arrays are ``(z, y, x)`` along the axes of LPS, ``spacing_mm`` is ``(x, y, z)``; points are ``(z, y, x)`` in mm from the
centre of the first voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER, LABEL_OF_NAME, T13_LABEL
from TomoRayLib.metrics.surface import Floats, Vector3, checked_spacing_mm
from TomoRayLib.metrics.vertebra import Labels, vertebra_boxes

RADIUS_MM = 6.0  # of the bundle: inside the endplates of all vertebrae but the upper cervical ones
PITCH_MM = 2.0  # between neighbouring rays
STEP_MM = 0.25  # along a ray
_CORE_SHARE = 0.75  # of the largest distance to the surface: what lies deeper is the middle of a body
_PART_SHARE = 0.2  # a part of that core is looked at if it has this share of the largest one's voxels


@dataclass(frozen=True, eq=False)
class Disc:
    """The disc between two neighbouring vertebrae, and a bundle of parallel rays across it.

    ``upper`` and ``lower`` are VerSe numbers. ``points_mm`` (rays, steps, 3) run from the level of the upper body's
    middle to that of the lower one, ``step_mm`` apart.
    """

    upper: int
    lower: int
    points_mm: Floats
    step_mm: float

    def along_rays(self, volume: NDArray[Any], spacing_mm: Vector3) -> Floats:
        """Values of ``volume`` (z, y, x) at the points, trilinear, 0 outside: (rays, steps)."""
        steps = np.asarray(checked_spacing_mm(spacing_mm)[::-1])
        places = np.moveaxis(self.points_mm / steps, -1, 0)
        low = np.maximum(np.floor(places.reshape(3, -1).min(axis=1)).astype(int) - 1, 0)
        high = np.ceil(places.reshape(3, -1).max(axis=1)).astype(int) + 2
        part = volume[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(np.float64)
        sampled = ndimage.map_coordinates(part, places - low[:, None, None], order=1, mode="grid-constant", cval=0.0)
        return np.asarray(sampled, dtype=np.float64)


def discs_between(labels: Labels, spacing_mm: Vector3) -> tuple[Disc, ...]:
    """Find the discs between neighbouring vertebrae of a label volume.

    C1 has no body, so C1/C2 is none.

    Args:
        labels: VerSe numbers ``(z, y, x)``.
        spacing_mm: Voxel spacing (x, y, z) in mm.

    Returns:
        The discs from cranial to caudal; none if vertebrae are not told apart.

    Raises:
        ValueError: If a spacing is not above 0.
    """
    middles = {label: place for label, place in body_middles_mm(labels, spacing_mm).items() if label != _ATLAS}
    return tuple(
        _disc(upper, lower, middles[upper], middles[lower])
        for upper, lower in pairwise(middles)
        if are_neighbours(upper, lower)
    )


_ATLAS = LABEL_OF_NAME["C1"]


def are_neighbours(upper: int, lower: int) -> bool:
    """True if nothing lies between two VerSe numbers of one spine; T12 and L1 are neighbours unless T13 is between."""
    order = [label for label in CRANIOCAUDAL_ORDER if label != T13_LABEL or T13_LABEL in (upper, lower)]
    return order.index(lower) - order.index(upper) == 1


def body_middles_mm(labels: Labels, spacing_mm: Vector3) -> dict[int, Floats]:
    """Find the middle of each vertebral body: the deepest part of the vertebra that lies farthest in front.

    The body is the thickest part of a vertebra, so its middle is farthest from the surface; where a lateral mass or a
    spinous process is nearly as thick, the part in front is the body.

    Args:
        labels: VerSe numbers ``(z, y, x)``, y towards posterior.
        spacing_mm: Voxel spacing (x, y, z) in mm.

    Returns:
        By VerSe number, from cranial to caudal: (z, y, x) in mm.

    Raises:
        ValueError: If a spacing is not above 0.
    """
    steps = np.asarray(checked_spacing_mm(spacing_mm)[::-1])
    middles = {}
    for label, box in vertebra_boxes(labels).items():
        mask = np.pad(labels[box] == label, 1)
        depth_mm = ndimage.distance_transform_edt(mask, sampling=tuple(steps))
        parts, count = ndimage.label(depth_mm >= _CORE_SHARE * depth_mm.max(), np.ones((3, 3, 3)))
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        large = [part + 1 for part in range(count) if sizes[part] >= _PART_SHARE * sizes.max()]
        places = [np.argwhere(parts == part).mean(axis=0) for part in large]
        start = np.array([side.start for side in box]) - 1
        middles[label] = (min(places, key=lambda place: place[1]) + start) * steps
    return middles


def _disc(upper: int, lower: int, start_mm: Floats, end_mm: Floats) -> Disc:
    length_mm = float(np.linalg.norm(end_mm - start_mm))
    along = (end_mm - start_mm) / length_mm
    behind = np.array([0.0, 1.0, 0.0]) - along[1] * along
    if np.linalg.norm(behind) < 1e-6:  # a spine along y: any direction across it will do
        behind = np.array([0.0, 0.0, 1.0])
    behind /= np.linalg.norm(behind)
    aside = np.cross(along, behind)
    count = int(RADIUS_MM // PITCH_MM)
    ticks = np.arange(-count, count + 1) * PITCH_MM
    across = [a * behind + b * aside for a in ticks for b in ticks if a * a + b * b <= RADIUS_MM**2]
    t_mm = np.arange(0.0, length_mm + STEP_MM / 2, STEP_MM)
    points = start_mm + np.asarray(across)[:, None, :] + t_mm[None, :, None] * along
    return Disc(upper, lower, points, STEP_MM)
