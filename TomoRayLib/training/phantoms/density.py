"""Bone density along a phantom's spine: one patient's trabecular bone, from osteopenic to dense, level by level.

In eleven real bodies trabecular bone is densest in the neck and falls towards the abdomen: from 300 to 450 HU at C7 to
100 to 200 HU at L3 in the young, from 144 to 102 HU in the old; neighbours differ by 5 to 15 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from TomoRayLib.training.phantoms.ranges import PhantomRanges

MARROW_HU = -60.0  # fatty marrow without any bone: density is what lies above it
FULL_DENSITY_HU = 100.0  # of trabecular bone from which shells and endplates are as dense as drawn
LEAST_STRENGTH = 0.25
MIDDLE_LEVEL, LEVELS_TO_NECK = 19.0, 11.0  # the top of T12, and from there to the top of T1
STEP_MM = 1.0
FADE_MM = 2.0  # SD of the change from one vertebra to the next


@dataclass(frozen=True)
class AlongSpine:
    """A property that changes from vertebra to vertebra: ``values`` (n,) at z = ``low_mm`` + n * 1 mm, upwards."""

    low_mm: float
    values: NDArray[np.float32]

    def at(self, z_mm: Tensor) -> Tensor:
        """The value at each height in the spine, of the shape of ``z_mm``; constant beyond the ends."""
        table = torch.as_tensor(self.values, device=z_mm.device)
        return table[((z_mm - self.low_mm) / STEP_MM).round().long().clamp_(0, len(table) - 1)]


def along_spine(middles_mm: NDArray[np.float64], values: NDArray[np.float64]) -> AlongSpine:
    """``values`` (n,) of n vertebrae or discs with middles at ``middles_mm`` (n,), in any order: each has its own up to
    half-way to the next, with a soft change between them."""
    order = np.argsort(middles_mm)
    middles = np.asarray(middles_mm, dtype=np.float64)[order]
    low = float(middles[0]) - 20.0
    z_mm = np.arange(low, float(middles[-1]) + 20.0, STEP_MM)
    nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, z_mm)
    stepped = np.asarray(values, dtype=np.float32)[order][nearest]
    return AlongSpine(low, ndimage.gaussian_filter1d(stepped, FADE_MM / STEP_MM, mode="nearest"))


def random_trabecular_hu(levels: NDArray[np.float64], rng: np.random.Generator, ranges: PhantomRanges) -> NDArray:
    """(n,) HU of the trabecular bone of one patient's vertebrae at ``levels`` (VerSe numbers + 0.5).

    A share of the patients is osteopenic. All are denser towards the neck; each vertebra differs a little from its
    neighbours, and a few are sclerotic.
    """
    bounds = ranges.osteopenic_hu if rng.random() < ranges.osteopenic_share else ranges.trabecular_hu
    base = (float(rng.uniform(*bounds)) + float(rng.uniform(*bounds))) / 2
    rise = float(rng.uniform(*ranges.cranial_density_rise))
    cranial = (MIDDLE_LEVEL - np.asarray(levels)) / LEVELS_TO_NECK
    factor = 1.0 + rise * np.clip(cranial, -0.2, 1.4)
    factor *= np.exp(rng.standard_normal(len(cranial)) * float(rng.uniform(*ranges.level_density_sd)))
    sclerotic = rng.random(len(cranial)) < ranges.sclerotic_share
    return MARROW_HU + (base - MARROW_HU) * factor + sclerotic * rng.uniform(40.0, 200.0, len(cranial))


def strength_of(trabecular_hu: Tensor) -> Tensor:
    """How dense shells and endplates are, 0.25 to 1: where trabecular bone is lost, cortical bone is thin and dull."""
    return ((trabecular_hu - MARROW_HU) / (FULL_DENSITY_HU - MARROW_HU)).clamp(LEAST_STRENGTH, 1.0)
