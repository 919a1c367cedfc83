"""The mean atlas: the best guess for any spine without its radiographs. The baseline of every metric."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, LookupTable, vertebra_mask
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume
from TomoRayLib.training.data.cube_sampling import on_cube
from TomoRayLib.training.phantoms.spines import Spine

ATLAS_SIZE = 96
STEP_MM = 64.0
THRESHOLDS = np.arange(0.05, 0.65, 0.025)


@dataclass(frozen=True)
class MeanAtlas:
    """``grey`` in [0, 1] and ``probability`` of bone, both (96, 96, 96) as (z, y, x) over the model's cube.

    ``threshold`` makes the probability a mask: the one with the highest mean Dice over the stretches it was made of.
    """

    grey: Tensor
    probability: Tensor
    threshold: float
    stretches: int


def mean_atlas(spines: Iterable[Spine], bone_grey: float, fov_mm: float) -> MeanAtlas:
    """The mean of all stretches of all spines, each centred on the bounding box of its vertebrae.

    A spine taller than the cube gives a stretch every 64 mm. Bone has one grey value, ``bone_grey``, that of real CTs.
    """
    stretches = [occupancy for spine in spines for occupancy in _stretches(spine, fov_mm)]
    probability = torch.stack(stretches).mean(dim=0)
    dice = [
        np.mean([_dice(probability > float(threshold), stretch > 0.5) for stretch in stretches])
        for threshold in THRESHOLDS
    ]
    threshold = float(THRESHOLDS[int(np.argmax(dice))])
    return MeanAtlas(probability * bone_grey, probability, threshold, len(stretches))


def atlas_tensors(atlas: MeanAtlas) -> dict[str, Tensor]:
    """The atlas as it is stored: the probability in 8 bits, and bone's one grey value, which makes its grey."""
    bone_grey = atlas.grey.sum() / atlas.probability.sum().clamp_min(1e-6)
    return {"probability": (atlas.probability * 255).round().to(torch.uint8), "bone_grey": bone_grey.reshape(1).float()}


def bone_hu(cases: Iterable[tuple[Volume, Volume]]) -> NDArray[np.float32]:
    """HU of all vertebra voxels of real labelled CTs, each case giving the same number of values."""
    parts = []
    for ct, labels in cases:
        values = ct.voxels[vertebra_mask(labels.voxels)].astype(np.float32)
        parts.append(np.quantile(values, np.linspace(0.0, 1.0, 20001)).astype(np.float32))
    return np.concatenate(parts)


def mean_bone_grey(hu: NDArray[np.float32]) -> float:
    return float(BONE_WINDOW.apply(hu).mean())


def fit_lookup_table(hu: NDArray[np.float32]) -> LookupTable:
    """The equal-frequency table of real vertebrae."""
    return LookupTable.equal_frequency(hu)


def _stretches(spine: Spine, fov_mm: float) -> list[Tensor]:
    slices = np.flatnonzero((spine.occupancy.numpy() > 127).any((1, 2)))
    low, high = spine.grid.origin_mm[2] + slices[[0, -1]] * spine.grid.spacing_mm[2]
    half = fov_mm / 2
    middles = [(low + high) / 2]
    if high - low > fov_mm:
        count = int((high - low - fov_mm) // STEP_MM) + 1
        middles = np.linspace(low + half, high - half, max(count, 2)).tolist()
    return [_stretch(spine, middle, fov_mm) for middle in middles]


def _stretch(spine: Spine, middle_mm: float, fov_mm: float) -> Tensor:
    """(96, 96, 96) share of bone of the part of a spine within the cube, centred on its bounding box."""
    z = spine.grid.origin_mm[2] + np.arange(spine.grid.size[2]) * spine.grid.spacing_mm[2]
    inside = np.abs(z - middle_mm) <= fov_mm / 2
    bone = spine.occupancy.numpy()[inside] > 127
    columns, rows = np.flatnonzero(bone.any((0, 1))), np.flatnonzero(bone.any((0, 2)))
    (x0, y0, _), (x_step, y_step, _) = spine.grid.origin_mm, spine.grid.spacing_mm
    center = (x0 + float(columns[[0, -1]].mean()) * x_step, y0 + float(rows[[0, -1]].mean()) * y_step, middle_mm)
    share = spine.occupancy.float()[None] / 255.0
    smooth = F.avg_pool3d(share[None], 3, stride=1, padding=1)[0]
    return on_cube(smooth, spine.grid, Grid.cube(center, fov_mm, ATLAS_SIZE))[0]


def _dice(first: Tensor, second: Tensor) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()).clamp_min(1))
