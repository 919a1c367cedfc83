"""Looking things up by place: volumes, a spine's course, and the part of a scene that lies within a grid."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.geometry.grid import Grid


def course_at(curve_mm: np.ndarray, z_range_mm: tuple[float, float], z_mm: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of a spine's course at heights ``z_mm``; its ends go on straight."""
    table = torch.as_tensor(curve_mm, dtype=torch.float32, device=z_mm.device)
    low, high = z_range_mm
    place = ((z_mm - low) / max(high - low, 1e-6) * (len(table) - 1)).clamp(0, len(table) - 1.001)
    index = place.long()
    share = (place - index)[..., None]
    xy = torch.lerp(table[index], table[index + 1], share)
    return xy[..., 0], xy[..., 1]


def sample_at(volume: Tensor, grid: Grid, x: Tensor, y: Tensor, z: Tensor, outside: float) -> Tensor:
    """Trilinear samples of an axis-aligned volume at LPS positions; ``outside`` beyond it.

    ``volume`` is (z, y, x), or (c, z, y, x) for (c, ...) samples. Only the part of it that is looked at is turned into
    floating point, on the device of the positions.
    """
    places, crop = [], []
    for value, start, step, n in zip((x, y, z), grid.origin_mm, grid.spacing_mm, grid.size, strict=True):
        index = (value - start) / step
        first = min(max(int(index.min()), 0), n - 2)
        last = max(min(int(index.max()) + 2, n), first + 2)
        places.append((index - first) * (2.0 / (last - first - 1)) - 1.0)
        crop.append(slice(first, last))
    sampling = torch.stack(places, dim=-1)[None]
    channels = volume if volume.ndim == 4 else volume[None]
    source = channels[:, crop[2], crop[1], crop[0]].to(sampling.device).float()[None] - outside
    sampled = F.grid_sample(source, sampling, align_corners=True)[0] + outside
    return sampled if volume.ndim == 4 else sampled[0]


def labels_at(volume: Tensor, grid: Grid, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Nearest samples of an axis-aligned label volume (z, y, x) at LPS positions; 0 beyond it; the type stays."""
    inside = torch.ones(x.shape, dtype=torch.bool, device=x.device)
    index = []
    for value, start, step, n in zip((x, y, z), grid.origin_mm, grid.spacing_mm, grid.size, strict=True):
        nearest = ((value - start) / step).round_().long()
        inside &= (nearest >= 0) & (nearest < n)
        index.append(nearest.clamp_(0, n - 1))
    return volume.to(x.device)[index[2], index[1], index[0]] * inside
