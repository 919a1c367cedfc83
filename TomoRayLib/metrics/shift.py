"""How much of an error is a rigid shift: the move that overlaps a predicted mask best with the true one.

Dice says how much two masks overlap, not why they do not. A vertebra of the right shape that lies a centimetre too far
forward has a low Dice, as one of the wrong shape in the right place has. Moved back to where it overlaps best, the
first gains and the second does not: what is gained is the shift's part of the error, the rest is shape and size.

The move is found by climbing: from the present place, or from where the centroids meet if that is better, along the
grid's axes in steps of about ``COARSE_MM``, then of one voxel, until no neighbour overlaps better. So it is the nearest
place that is good, no more than ``LARGEST_SHIFT_MM`` away: half a thoracic vertebra with its disc. Along the spine a
farther move would lay a vertebra on its neighbour.

Arrays are ``(z, y, x)`` along the axes of LPS, ``spacing_mm`` is ``(x, y, z)``.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from TomoRayLib.geometry.masks import Box, Mask, bounding_box
from TomoRayLib.metrics.surface import Vector3, checked_spacing_mm

LARGEST_SHIFT_MM = 15.0
COARSE_MM = 4.0

Index = tuple[int, int, int]  # (z, y, x) in voxels


@dataclass(frozen=True)
class Shift:
    """Where a predicted mask lies, seen from the true one, in the patient's directions: 3 mm too far back is
    ``posterior_mm`` 3. ``dice`` is as it is, ``dice_moved`` after moving the prediction back. NaN without a prediction
    near the truth."""

    left_mm: float
    posterior_mm: float
    superior_mm: float
    dice: float
    dice_moved: float

    @property
    def distance_mm(self) -> float:
        """Length of the shift."""
        return math.hypot(self.left_mm, self.posterior_mm, self.superior_mm)

    @property
    def share(self) -> float:
        """Share of what Dice lacks to 1 that is gone after the move, 0 to 1; 0 of a perfect mask."""
        return (self.dice_moved - self.dice) / (1.0 - self.dice) if self.dice < 1.0 else 0.0

    def to_json_dict(self) -> dict[str, float | None]:
        """The fields by name for ``json.dump``; NaN becomes None."""
        return {key: None if math.isnan(value) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json_dict(cls, values: dict[str, Any]) -> Shift:
        """Back from ``to_json_dict``."""
        return cls(**{key: math.nan if value is None else float(value) for key, value in values.items()})


@dataclass(frozen=True, eq=False)
class ShiftTarget:
    """What a prediction is moved onto.

    Args:
        box: Where ``truth`` and ``counted`` lie in the volume.
        truth: The true mask in the box.
        counted: Where in the box a predicted voxel counts, as the voxels nearest to a vertebra; None: everywhere, also
            outside the box.
    """

    box: Box
    truth: Mask
    counted: Mask | None = None
    voxels: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxels", int(np.count_nonzero(self.truth)))


def shift_between(prediction: Mask, truth: Mask, spacing_mm: Vector3, limit_mm: float = LARGEST_SHIFT_MM) -> Shift:
    """Find the shift of a whole predicted mask.

    Args:
        prediction: Boolean ``(z, y, x)``.
        truth: Boolean ``(z, y, x)`` on the same grid, whose axes are those of LPS.
        spacing_mm: Voxel spacing (x, y, z) in mm.
        limit_mm: The longest move that is tried.

    Returns:
        The shift, to one voxel.

    Raises:
        ValueError: If the shapes differ, or a spacing is not above 0 or the limit below it.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"prediction must have the truth's shape (z, y, x) = {truth.shape}; got {prediction.shape}. Resample it to "
            "the truth's grid first."
        )
    box = bounding_box(truth)
    if box is None or not prediction.any():
        return no_shift()
    start_mm = _middle_mm(prediction, spacing_mm) - _middle_mm(truth, spacing_mm)
    z, y, x = start_mm.tolist()
    return shift_onto(prediction, ShiftTarget(box, truth[box]), spacing_mm, (x, y, z), limit_mm)


def shift_onto(
    prediction: Mask,
    target: ShiftTarget,
    spacing_mm: Vector3,
    centroid_shift_mm: Vector3 | None = None,
    limit_mm: float = LARGEST_SHIFT_MM,
) -> Shift:
    """Find the shift of the predicted mask of a whole volume ``(z, y, x)`` against a target in it.

    ``centroid_shift_mm`` (x, y, z) is where its centroid lies, seen from the truth's: a second place to start from.
    """
    spacing = checked_spacing_mm(spacing_mm)
    if not limit_mm >= 0:
        raise ValueError(f"limit_mm must not be negative; got {limit_mm}. Use {LARGEST_SHIFT_MM} mm.")
    climb = _Climb(prediction, target, spacing, limit_mm)
    here = climb.best((0, 0, 0))
    as_it_is = climb.dice(here)
    if centroid_shift_mm is not None:
        z, y, x = (round(mm / step) for mm, step in zip(centroid_shift_mm[::-1], spacing[::-1], strict=True))
        here = climb.best(here, (z, y, x))
    for step_mm in (COARSE_MM, 0.0):
        here = climb.upwards(here, step_mm)
    if climb.dice(here) == 0.0:
        return no_shift()
    superior, posterior, left = (offset * step for offset, step in zip(here, spacing[::-1], strict=True))
    return Shift(left, posterior, superior, as_it_is, climb.dice(here))


def no_shift() -> Shift:
    """The shift of a prediction that has nothing near the truth: Dice 0, all else undefined."""
    return Shift(math.nan, math.nan, math.nan, 0.0, math.nan)


class _Climb:
    """Dice of a prediction after moves by whole voxels, each computed once."""

    def __init__(self, prediction: Mask, target: ShiftTarget, spacing_mm: Vector3, limit_mm: float) -> None:
        self._target, self._steps_mm, self._limit_mm = target, spacing_mm[::-1], limit_mm
        self._reach = [math.floor(limit_mm / step) for step in self._steps_mm]
        self._around = _padded(prediction, target.box, self._reach)
        self._predicted = int(np.count_nonzero(prediction)) if target.counted is None else 0
        self._buffer = np.empty(target.truth.shape, dtype=bool)
        self._known: dict[Index, float] = {}

    def dice(self, offset: Index) -> float:
        """Dice after moving a prediction that lies ``offset`` voxels from the truth back by that."""
        if offset not in self._known:
            z, y, x = (
                slice(reach + by, reach + by + count)
                for reach, by, count in zip(self._reach, offset, self._target.truth.shape, strict=True)
            )
            moved, counted = self._around[z, y, x], self._target.counted
            predicted = self._predicted if counted is None else self._count(moved, counted)
            overlap = self._count(moved, self._target.truth)
            self._known[offset] = 2 * overlap / (self._target.voxels + predicted)
        return self._known[offset]

    def _count(self, moved: Mask, where: Mask) -> int:
        return int(np.count_nonzero(np.logical_and(moved, where, out=self._buffer)))

    def best(self, *offsets: Index) -> Index:
        """The first of the offsets within the limit that has the highest Dice."""
        return max((one for one in offsets if self._is_within(one)), key=self.dice)

    def upwards(self, offset: Index, step_mm: float) -> Index:
        """Where the way uphill ends, in steps along the axes of ``step_mm``, or of one voxel if that is more."""
        strides = [max(1, round(step_mm / step)) for step in self._steps_mm]
        while True:
            neighbours = [
                (offset[0] + z * strides[0], offset[1] + y * strides[1], offset[2] + x * strides[2])
                for z, y, x in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
            ]
            better = self.best(offset, *neighbours)
            if better == offset:
                return offset
            offset = better

    def _is_within(self, offset: Index) -> bool:
        far_mm = math.hypot(*(by * step for by, step in zip(offset, self._steps_mm, strict=True)))
        return far_mm <= self._limit_mm


def _padded(volume: Mask, box: Box, margins: list[int]) -> Mask:
    """The box of a volume grown by ``margins`` (z, y, x) voxels; False where it leaves the volume."""
    grown = np.zeros([side.stop - side.start + 2 * margin for side, margin in zip(box, margins, strict=True)], bool)
    source, place = [], []
    for side, margin, count in zip(box, margins, volume.shape, strict=True):
        first = max(side.start - margin, 0)
        last = min(side.stop + margin, count)
        source.append(slice(first, last))
        place.append(slice(first - side.start + margin, last - side.start + margin))
    grown[tuple(place)] = volume[tuple(source)]
    return grown


def _middle_mm(mask: Mask, spacing_mm: Vector3) -> Any:
    """(3,) mean voxel centre (z, y, x) of a mask that is not empty, in mm from the first voxel's centre."""
    box = bounding_box(mask)
    assert box is not None
    inside, middle = mask[box], []
    for axis, (side, step) in enumerate(zip(box, spacing_mm[::-1], strict=True)):
        along = np.count_nonzero(inside, axis=tuple(other for other in range(3) if other != axis))
        middle.append((side.start + along @ np.arange(len(along)) / along.sum()) * step)
    return np.array(middle)
