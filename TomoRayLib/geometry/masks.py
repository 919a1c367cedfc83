"""Boxes around what a volume holds, and the dilation of a mask by a ball.

Arrays are ``(z, y, x)``; boxes are slices of these axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]

NO_BOX: Box = (slice(0, 0), slice(0, 0), slice(0, 0))


@dataclass(frozen=True, eq=False)
class Support:
    """Where a volume is not 0: the box around it (None: nowhere), and for each axis which slices have such voxels.

    ``slices`` are three boolean arrays, of z, y and x slices.
    """

    box: Box | None
    slices: tuple[Mask, Mask, Mask]


def support_of(volume: NDArray[Any]) -> Support:
    """Find where a volume ``(z, y, x)`` is not 0 (or True)."""
    in_z = np.array([bool(part.any()) for part in volume])  # slice by slice: no copy of the volume as booleans
    used = np.flatnonzero(in_z)
    plane = np.zeros(volume.shape[1:], dtype=bool)
    if len(used):
        for part in volume[used[0] : used[-1] + 1]:
            plane |= part != 0
    slices = (in_z, np.any(plane, axis=1), np.any(plane, axis=0))
    return Support(_around(slices, volume.shape, 0), slices)


def bounding_box(mask: Mask, margin: int = 0) -> Box | None:
    """Slices ``(z, y, x)`` around the true voxels, widened by ``margin`` and clipped; None for an empty mask."""
    plane = np.any(mask, axis=0)
    profiles = (np.any(mask, axis=(1, 2)), np.any(plane, axis=1), np.any(plane, axis=0))
    return _around(profiles, mask.shape, margin)


def dilated_by(mask: Mask, voxels: float) -> Mask:
    """Dilate a mask by a ball.

    Args:
        mask: Boolean ``(z, y, x)``.
        voxels: The ball's radius in voxels.

    Returns:
        True at all voxels whose centre lies within ``voxels`` of the centre of a mask voxel.
    """
    reach = math.floor(voxels)
    box = bounding_box(mask, margin=max(reach, 0))
    result = np.zeros_like(mask, dtype=bool)
    if box is None or reach < 0:
        return result
    inside, found = mask[box], result[box]
    rows = {0: inside}  # by half-length in voxels: the mask dilated along x alone
    for half in range(1, reach + 1):
        rows[half] = rows[half - 1].copy()
        rows[half][..., half:] |= inside[..., :-half]
        rows[half][..., :-half] |= inside[..., half:]
    for dz in range(-reach, reach + 1):
        for dy in range(-reach, reach + 1):
            square = voxels * voxels - dz * dz - dy * dy
            if square >= 0:
                to, source = zip(_moved(dz), _moved(dy), strict=True)
                found[to] |= rows[math.floor(math.sqrt(square))][source]
    return result


def _moved(step: int) -> tuple[slice, slice]:
    """Slices of the target and of the source that move an axis by ``step`` voxels."""
    return slice(max(step, 0), min(step, 0) or None), slice(max(-step, 0), min(-step, 0) or None)


def _around(profiles: tuple[Mask, Mask, Mask], shape: tuple[int, ...], margin: int) -> Box | None:
    if not profiles[0].any():
        return None
    found = [np.flatnonzero(profile) for profile in profiles]
    z, y, x = (
        slice(max(int(f[0]) - margin, 0), min(int(f[-1]) + 1 + margin, n)) for f, n in zip(found, shape, strict=True)
    )
    return (z, y, x)
