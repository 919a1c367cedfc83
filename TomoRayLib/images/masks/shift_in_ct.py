"""Whether a mask would fit its CT better a little aside: bone that is denser next to the mask than in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.grid import Grid

SHIFTS_MM = (8.0, 12.0)  # both ways along each axis
LEAST_HU, MOST_HU = -200.0, 600.0  # air and metal count no more than these
# Eight real pairs have 0.95 at most; moved by 8 to 17 mm along an axis, 189 of 192 have more or are refused.
BETTER = 1.15
LEAST_IN_CT = 0.8  # of the mask's voxels after the shift
ENOUGH_VOXELS = 100_000
_WHERE = (("right", "left"), ("front", "back"), ("feet", "head"))  # along LPS: negative, positive


@dataclass(frozen=True)
class BetterPlace:
    """A shift in LPS mm after which a mask's contrast to its surroundings is ``ratio`` times what it is."""

    shift_mm: tuple[float, float, float]
    ratio: float

    def text(self) -> str:
        """Distance and main direction: ``8 mm towards the patient's left``."""
        axis = int(np.argmax(np.abs(self.shift_mm)))
        where = _WHERE[axis][int(self.shift_mm[axis] > 0)]
        return f"{np.linalg.norm(self.shift_mm):.0f} mm towards the patient's {where}"


def better_place(
    hu: NDArray[np.generic], inside: NDArray[np.bool_], grid: Grid, around_hu: float
) -> BetterPlace | None:
    """Look whether a mask lies on denser tissue if it is shifted by 8 or 12 mm along an axis of the grid.

    Args:
        hu: The CT ``(z, y, x)``; voxels of about 3 mm are enough.
        inside: The voxels of the mask.
        grid: The grid of both.
        around_hu: The median of the tissue around the mask, above which bone stands out.

    Returns:
        The best of the shifts if its mean contrast is clearly larger; None if the mask lies well.
    """
    voxels = np.argwhere(inside)
    voxels = voxels[:: 1 + len(voxels) // ENOUGH_VOXELS]
    contrast = np.clip(hu, LEAST_HU, MOST_HU).astype(np.float32) - max(around_hu, LEAST_HU)
    best = BetterPlace((0.0, 0.0, 0.0), BETTER)
    for shift in _shifts(grid):
        there = voxels + shift
        kept = np.all((there >= 0) & (there < hu.shape), axis=1)
        if kept.mean() < LEAST_IN_CT:
            continue
        here_hu, there_hu = (float(contrast[tuple(places[kept].T)].mean()) for places in (voxels, there))
        ratio = there_hu / max(here_hu, 1.0)
        if ratio > best.ratio:
            x_mm, y_mm, z_mm = grid.index_to_world[:3, :3] @ shift[::-1]
            best = BetterPlace((float(x_mm), float(y_mm), float(z_mm)), ratio)
    return best if any(best.shift_mm) else None


def _shifts(grid: Grid) -> Iterator[NDArray[np.int64]]:
    """Shifts (k, j, i) in voxels, one at least."""
    for axis, mm in enumerate(grid.spacing_mm[::-1]):
        for steps in {max(1, round(shift_mm / mm)) for shift_mm in SHIFTS_MM}:
            for sign in (-1, 1):
                shift = np.zeros(3, np.int64)
                shift[axis] = sign * steps
                yield shift
