"""Vertebrae that differ from level to level: width, depth and height of each, continuous along the spine.

Few spines have few proportions between their levels. A shape change of its own for every level, as a map of the space
about the spine's course, gives any spine others: bone, discs and processes of a level all change together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

ALIKE_SIGMA_LEVELS = 1.0  # neighbours are more alike than distant vertebrae
_BEYOND_MM = 2000.0  # the outermost levels' factors go on above and below


@dataclass(frozen=True)
class LevelShapes:
    """Factors of n levels: ``middles_mm`` (n,) their z in the spine, ascending; ``factors`` (n, 3) of width (x),
    depth (y) and height (z)."""

    middles_mm: NDArray[np.float64]
    factors: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.factors.shape != (len(self.middles_mm), 3) or not len(self.middles_mm) or self.factors.min() <= 0:
            raise ValueError(f"Expected positive factors of shape ({len(self.middles_mm)}, 3); got {self.factors}.")
        if np.any(np.diff(self.middles_mm) <= 0):
            raise ValueError(
                f"Expected levels from caudal to cranial, each above the one before; got {self.middles_mm}."
            )

    def height_in_spine(self, z_mm: Tensor, fixed_mm: float) -> Tensor:
        """Heights in the unchanged spine of the changed spine's ``z_mm``; ``fixed_mm`` does not move."""
        knots = np.concatenate([self.middles_mm[:1] - _BEYOND_MM, self.middles_mm, self.middles_mm[-1:] + _BEYOND_MM])
        height = np.pad(self.factors[:, 2], 1, mode="edge")
        steps = np.diff(knots) * (height[:-1] + height[1:]) / 2
        changed = np.concatenate([[0.0], np.cumsum(steps)])
        changed += fixed_mm - np.interp(fixed_mm, knots, changed)
        return _interpolated(z_mm, changed, knots)

    def across(self, off_mm: Tensor, z_mm: Tensor, axis: int) -> Tensor:
        """``off_mm`` off the course along x (0) or y (1) in the changed spine, as in the unchanged one; ``z_mm`` is the
        height in the unchanged spine."""
        factors = self.factors[:, axis]
        if len(factors) == 1:
            return off_mm / float(factors[0])
        return off_mm / _interpolated(z_mm.clamp(self.middles_mm[0], self.middles_mm[-1]), self.middles_mm, factors)


def random_level_shapes(
    level_z_mm: NDArray[np.float64], sd: tuple[float, float, float], rng: np.random.Generator
) -> LevelShapes:
    """Random factors about 1, of standard deviation ``sd`` (width, depth, height) on a logarithmic scale.

    ``level_z_mm`` (n, 2) is a ``Spine``'s: (level, z). Neighbours are alike by a Gaussian of one level.
    """
    middles = np.unique(level_z_mm[:, 1])
    noise = rng.standard_normal((len(middles) + 6, 3))
    smooth = ndimage.gaussian_filter1d(noise, ALIKE_SIGMA_LEVELS, axis=0, mode="constant")[3:-3]
    impulse = ndimage.gaussian_filter1d(np.eye(13)[6], ALIKE_SIGMA_LEVELS, mode="constant")
    unit = smooth / np.sqrt(np.sum(impulse**2))  # of variance 1 again
    return LevelShapes(middles, np.exp(unit * np.asarray(sd)))


def _interpolated(x: Tensor, knots: NDArray[np.float64], values: NDArray[np.float64]) -> Tensor:
    """Linear between ``knots`` (ascending, two or more); the outermost pieces go on."""
    at = torch.as_tensor(knots, dtype=torch.float32, device=x.device)
    of = torch.as_tensor(values, dtype=torch.float32, device=x.device)
    piece = (torch.bucketize(x, at) - 1).clamp(0, len(knots) - 2)
    slope = (of[1:] - of[:-1]) / (at[1:] - at[:-1])
    return of[piece] + slope[piece] * (x - at[piece])
