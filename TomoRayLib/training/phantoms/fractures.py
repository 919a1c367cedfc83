"""Compressed vertebrae: wedges and biconcave ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.sampling import course_at
from TomoRayLib.training.phantoms.spines import Spine

FRACTURE_REACH_MM = 15.0  # half of a vertebra with half a disc: the neighbours stay as they are


def with_fractures(
    spine: Spine, y_mm: Tensor, z_spine: Tensor, center_z: float, rng: np.random.Generator, ranges: PhantomRanges
) -> Tensor:
    """Spine z with one to three vertebrae compressed: wedges (most at the front) or biconcave (most in the middle).

    Looking further from a vertebra's middle than one stands makes it flatter there; the discs fill what it leaves.
    ``y_mm`` is the place before (< 0) or behind the course at the scene's middle.
    """
    near = spine.level_z_mm[np.abs(spine.level_z_mm[:, 1] - center_z) < 110.0, 1]
    if len(near) == 0:
        return z_spine
    count = min(len(near), int(rng.integers(ranges.fractures[0], ranges.fractures[1] + 1)))
    result = z_spine
    for middle in rng.choice(near, size=count, replace=False):
        off = z_spine - float(middle)
        course = course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(float(middle), device=z_spine.device))[1]
        origin = course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(center_z, device=z_spine.device))[1]
        forward = (course - origin) - y_mm
        wedge = rng.random() < 0.6
        where = torch.sigmoid((forward - 10.0) / 6.0) if wedge else torch.exp(-((forward - 12.0) / 12.0).square())
        reach = torch.exp(-(off / FRACTURE_REACH_MM).square())
        result = result + off * reach * where * float(rng.uniform(*ranges.compression))
    return result
