"""Pedicle screws and rods, in the scene's own frame: they keep their shape however the spine is bent."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.spines import Spine

METAL_HU = 3000.0


def with_screws(
    hu: Tensor,
    spine: Spine,
    places: tuple[Tensor, Tensor, Tensor],
    center_z: float,
    rng: np.random.Generator,
    ranges: PhantomRanges,
) -> Tensor:
    """Pedicle screws on both sides of some neighbouring vertebrae, and two rods that join their heads.

    ``places`` are (x, y) off the spine's course and the spine's z of each voxel, in mm.
    """
    x, y, z = places
    middles = np.sort(spine.level_z_mm[:, 1])
    first = int(np.clip(np.searchsorted(middles, center_z - 40.0), 0, max(0, len(middles) - 2)))
    count = int(rng.integers(ranges.implant_levels[0], ranges.implant_levels[1] + 1))
    levels = middles[first : first + count]
    radius_mm, rod_x, rod_y = (
        float(rng.uniform(2.0, 3.5)),
        float(rng.uniform(17.0, 24.0)),
        float(rng.uniform(18.0, 26.0)),
    )
    tip_x, tip_y = float(rng.uniform(6.0, 12.0)), float(rng.uniform(-26.0, -14.0))
    share = ((y - tip_y) / (rod_y - tip_y)).clamp(0.0, 1.0)  # 0 at a screw's tip, 1 at its head
    aside = x.abs() - torch.lerp(torch.full_like(share, tip_x), torch.full_like(share, rod_x), share)
    along = (y > tip_y) & (y < rod_y)
    metal = torch.zeros_like(hu, dtype=torch.bool)
    for middle in levels:
        metal |= along & (aside.square() + (z - float(middle) - 4.0).square() < radius_mm**2)
    beside = (x.abs() - rod_x).square() + (y - rod_y).square() < radius_mm**2
    metal |= beside & (z > float(levels.min()) - 4.0) & (z < float(levels.max()) + 12.0)
    return torch.where(metal, METAL_HU, hu)
