"""The lumbosacral junction: how a phantom's lowest vertebra comes to stand on the sacrum of its body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from TomoRayLib.training.phantoms.bodies import Body
from TomoRayLib.training.phantoms.body_levels import DISC_BEHIND_COURSE_MM, HALF_DISC_MM, LOWEST_LEVEL
from TomoRayLib.training.phantoms.sampling import course_at
from TomoRayLib.training.phantoms.spines import Spine
from TomoRayLib.training.phantoms.vertebral_bodies import VertebralBody

LOWEST_VERTEBRAE = (24.5, 25.5)  # L5, and L6 of those who have six
REACH_MM = 110.0  # above the junction: over so much of its height a body gives way
LARGEST_SHIFT_MM = 40.0  # so that no body is folded
ERROR_SD_MM = 1.5
HALF_SECTION_MM = (3.0, 35.0, 30.0)  # x, y, z about a body's middle: its median section, the spinous process apart


@dataclass(frozen=True)
class Junction:
    """The middle of the disc below a spine's lowest vertebra: ``z_mm`` in the spine, ``behind_mm`` off its course."""

    z_mm: float
    behind_mm: float


def junction_of(spine: Spine) -> Junction | None:
    """Where a spine's lowest lumbar vertebra wants its sacrum; None if it has neither L5 nor L6."""
    lowest = [body for body in spine.bodies if body.level in LOWEST_VERTEBRAE]
    if not lowest:
        return None
    below_mm = lowest[-1].half_height_mm + HALF_DISC_MM
    _, y, z = _median_middle_mm(spine, lowest[-1]) - below_mm * np.array(lowest[-1].axis)
    course_y = course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(float(z)))[1]
    return Junction(float(z), float(y) - float(course_y))


def _median_middle_mm(spine: Spine, body: VertebralBody) -> NDArray[np.float64]:
    """The middle of a vertebral body in its median section, in LPS mm.

    The middle of its box lies up to 8 mm behind: the roots of the pedicles and wings of L5 count in it.
    """
    center, grid = np.array(body.center_mm), spine.grid
    middle = np.round((center - grid.origin_mm) / grid.spacing_mm).astype(int)
    half = np.round(np.array(HALF_SECTION_MM) / grid.spacing_mm).astype(int)
    low, high = np.maximum(middle - half, 0), np.minimum(middle + half + 1, grid.size)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
    bone = spine.occupancy[box] > 127 if spine.labels is None else spine.labels[box] == int(body.level)
    parts, _ = ndimage.label(bone)
    part = parts[tuple((middle - low)[::-1])]
    if part == 0:
        return center
    _, y, z = (np.argwhere(parts == part).mean(axis=0)[::-1] + low) * grid.spacing_mm + grid.origin_mm
    return np.array([center[0], y, z])


@dataclass(frozen=True)
class Seat:
    """How a body moves at a junction that lies at ``z_mm`` in it: ``up_mm`` further up is looked at there and below,
    ``back_mm`` further back; less above, and from 110 mm above on nothing has moved."""

    z_mm: float = 0.0
    up_mm: float = 0.0
    back_mm: float = 0.0

    def heights(self, z_body: Tensor) -> Tensor:
        """Where one looks in the body, in mm, in place of ``z_body``."""
        return z_body + self.up_mm * self._weight(z_body) if self.up_mm else z_body

    def moved_y(self, z_body: Tensor) -> Tensor | float:
        """How many mm further behind the body's course one looks at ``z_body``."""
        return self.back_mm * self._weight(z_body) if self.back_mm else 0.0

    def _weight(self, z_body: Tensor) -> Tensor:
        above = ((z_body - self.z_mm) / REACH_MM).clamp(0.0, 1.0)
        return 1.0 - above.square() * (3.0 - 2.0 * above)


def random_seat(
    spine: Spine, body: Body, heights: tuple[float, float], scale_to_body: float, rng: np.random.Generator
) -> Seat:
    """What brings the disc below the spine's lowest vertebra onto the body's sacrum, but for 1.5 mm (SD).

    A height in the body is ``heights[0]`` times that in the spine plus ``heights[1]``; ``scale_to_body`` turns mm of
    the spine, from front to back, into those of the body. Nothing moves if spine or body ends above L5.
    """
    junction = junction_of(spine)
    if junction is None or body.name not in DISC_BEHIND_COURSE_MM:
        return Seat()
    now_mm = heights[0] * junction.z_mm + heights[1]
    up, back = (float(error) for error in rng.normal(0.0, ERROR_SD_MM, size=2))
    up += float(body.z_of_level(np.array(LOWEST_LEVEL))) - now_mm
    back += DISC_BEHIND_COURSE_MM[body.name] - junction.behind_mm * scale_to_body
    up, back = (float(np.clip(shift, -LARGEST_SHIFT_MM, LARGEST_SHIFT_MM)) for shift in (up, back))
    return Seat(now_mm, up, back)
