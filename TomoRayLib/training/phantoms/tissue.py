"""The soft tissue of a body, varied: its density, contrast agent in vessels and organs, gas and fluid in the bowel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.ranges import PhantomRanges

GAS_HU = -930.0
TOP_OF_ABDOMEN = 20.0  # the top of L1: bowel lies below
COARSE_STRIDE = 4
NEAR_SKIN_MM = 16.0
POCKETS_APART_MM = 12.0
AORTA_RADIUS_MM = (8.0, 14.0)


@dataclass(frozen=True)
class BodyPlaces:
    """Where the voxels of a scene lie in its body: ``across_mm`` and ``behind_mm`` (z, y, x) off the spine's course,
    ``levels`` (z,) the spinal level of each slice, ``left`` 1 or -1: the side of the scene where the aorta lies."""

    across_mm: Tensor
    behind_mm: Tensor
    levels: np.ndarray
    left: float


def vary_tissue(tissue: Tensor, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
    """Body bone brighter or duller, soft tissue a little denser or lighter."""
    contrast = float(rng.uniform(*ranges.body_bone_contrast))
    shift = float(rng.uniform(*ranges.soft_tissue_shift_hu))
    bone = (tissue - 150.0).clamp_min(0.0)
    soft = ((tissue > -200.0) & (tissue < 300.0)).float() * shift
    return tissue + bone * (contrast - 1.0) + soft


def with_contrast(hu: Tensor, places: BodyPlaces, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
    """Contrast agent: the aorta in front of the spine, and organs in large pockets; fat, lung and bone stay."""
    rise = float(rng.uniform(*ranges.contrast_hu))
    soft = F.avg_pool3d(hu[None, None], 3, stride=1, padding=1)[0, 0]
    nodes = torch.from_numpy(rng.standard_normal((1, 1, 5, 6, 6)).astype(np.float32)).to(hu.device)
    pockets = torch.sigmoid(6.0 * (F.interpolate(nodes, size=hu.shape, mode="trilinear")[0, 0] - 0.1))
    organ = torch.sigmoid((soft - 42.0) / 6.0) * (hu < 150.0) * pockets
    chest = torch.from_numpy(np.clip((21.0 - places.levels) / 8.0, 0.0, 1.0).astype(np.float32)).to(hu.device)
    radius_mm = float(rng.uniform(*AORTA_RADIUS_MM))
    middle_x = (
        places.left * (8.0 + 14.0 * chest)[:, None, None]
    )  # left of the vertebrae in the chest, before them below
    middle_y = (-34.0 - radius_mm + 14.0 * chest)[:, None, None]
    off_mm = ((places.across_mm - middle_x).square() + (places.behind_mm - middle_y).square()).sqrt()
    vessel = ((radius_mm - off_mm) / 2.0 + 0.5).clamp(0.0, 1.0) * ((soft > -60.0) & (hu > -100.0) & (hu < 150.0))
    strength = float(rng.uniform(0.15, 0.5))
    return hu + rise * torch.maximum(vessel, organ * strength)


def with_bowel_gas(
    hu: Tensor, grid: Grid, places: BodyPlaces, rng: np.random.Generator, ranges: PhantomRanges
) -> Tensor:
    """Pockets of gas in the abdomen, flat below where they lie on fluid; some bowels hold bright fluid as well.

    A scene without an abdomen stays as it is. Bone is never replaced.
    """
    candidates = torch.nonzero(_abdomen(hu, grid, places))
    count = int(rng.integers(ranges.gas_pockets[0], ranges.gas_pockets[1] + 1))
    fluid_hu = float(rng.uniform(150.0, 700.0)) if rng.random() < ranges.oral_contrast_share else None
    if len(candidates) == 0:
        return hu
    result = hu.clone()
    axes = [
        torch.arange(n, device=hu.device) * step + start
        for n, step, start in zip(grid.size, grid.spacing_mm, grid.origin_mm, strict=True)
    ]
    for _ in range(count):
        if len(candidates) == 0:  # the abdomen is full
            break
        chosen = candidates[int(rng.integers(len(candidates)))]
        middle = tuple(float(axes[a][int(chosen[2 - a]) * COARSE_STRIDE]) for a in range(3))
        radii = rng.uniform((8.0, 7.0, 8.0), (30.0, 20.0, 28.0))
        away_mm = (candidates - chosen).float() * (COARSE_STRIDE * grid.spacing_mm[0])
        candidates = candidates[away_mm.norm(dim=1) > float(radii.max()) + POCKETS_APART_MM]
        level_mm = middle[1] + radii[1] * float(rng.uniform(-0.3, 1.0))  # the patient lies on the back: gas is in front
        _fill_pocket(result, axes, middle, radii, level_mm, fluid_hu, rng)
    return result


def _abdomen(hu: Tensor, grid: Grid, places: BodyPlaces) -> Tensor:
    """Every fourth voxel: true deep inside soft tissue, in front of the spine and below the chest."""
    step = (slice(None, None, COARSE_STRIDE),) * 3
    tissue = hu[step]
    outside = (tissue < -300.0).float()[None, None]
    reach = 2 * round(NEAR_SKIN_MM / (COARSE_STRIDE * grid.spacing_mm[0])) + 1
    deep = F.max_pool3d(outside, reach, stride=1, padding=reach // 2)[0, 0] < 0.5
    below = torch.from_numpy(places.levels[::COARSE_STRIDE] > TOP_OF_ABDOMEN).to(hu.device)[:, None, None]
    front = (places.behind_mm[step] < -50.0) & (places.across_mm[step].abs() < 120.0)
    return deep & below & front & (tissue < 150.0)


def _fill_pocket(
    hu: Tensor,
    axes: list[Tensor],
    middle: tuple[float, ...],
    radii: np.ndarray,
    level_mm: float,
    fluid_hu: float | None,
    rng: np.random.Generator,
) -> None:
    """Write one pocket into ``hu``: an ellipsoid with folds (haustra), gas in front of ``level_mm``, fluid behind."""
    folds, phase = float(rng.uniform(0.03, 0.15)), float(rng.uniform(0, 2 * np.pi))
    box, offs = [], []
    for axis, at, radius in zip(axes, middle, radii, strict=True):
        inside = torch.nonzero((axis - at).abs() < 1.4 * float(radius))[:, 0]
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
        offs.append((axis[box[-1]] - at) / float(radius))
    x, y, z = offs[0][None, None, :], offs[1][None, :, None], offs[2][:, None, None]
    wall = 1.0 + folds * torch.sin(5.0 * z + 2.0 * x + phase)
    depth = (wall - (x.square() + y.square() + z.square()).sqrt()) * float(radii.min()) / 2.0
    part = hu[box[2], box[1], box[0]]
    share = depth.clamp(0.0, 1.0) * (part < 150.0)
    gas = (axes[1][box[1]] < level_mm)[None, :, None].expand(part.shape)
    filling = torch.where(gas, GAS_HU, part if fluid_hu is None else torch.full_like(part, fluid_hu))
    hu[box[2], box[1], box[0]] = torch.lerp(part, filling, share)
