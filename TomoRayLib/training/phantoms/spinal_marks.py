"""What single discs and vertebrae show in a CT: gas and calcium in worn discs, the basivertebral vein of each body."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.training.phantoms.density import AlongSpine, along_spine
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.spines import Spine
from TomoRayLib.training.phantoms.vertebral_bodies import VertebralBody

LEAST_HALF_GAP_MM = 1.5  # of a disc that is no more than a line
LUMBAR_LEVEL, WORN_LEVELS = 24.0, 4.0  # discs wear at L4 and L5 most; e-fold less likely four levels away
FIRST_WITH_DISC = 3.5  # C3: above C2 there is none


@dataclass(frozen=True)
class Mark:
    """An ellipsoid in the spine's frame: its middle (x, y, z) in LPS mm, its axes (rows: across, behind, above), half
    lengths in mm along them, and how far (0..1) the grey value becomes ``hu``. ``in_bone``: within bone, else outside
    of it."""

    middle_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    half_mm: NDArray[np.float64]
    hu: float
    strength: float
    in_bone: bool


def random_discs(spine: Spine, rng: np.random.Generator, ranges: PhantomRanges) -> AlongSpine:
    """HU of the discs of one patient, each a little different."""
    z_mm = np.sort(spine.level_z_mm[:, 1])
    middles = np.concatenate([z_mm[:1] - 15.0, (z_mm[1:] + z_mm[:-1]) / 2, z_mm[-1:] + 15.0])
    mean, sd = float(rng.uniform(*ranges.disc_hu)), float(rng.uniform(*ranges.disc_sd_hu))
    return along_spine(middles, mean + sd * rng.standard_normal(len(middles)))


def random_marks(spine: Spine, rng: np.random.Generator, ranges: PhantomRanges) -> list[Mark]:
    """The marks of one patient; none if the spine's bodies are not known."""
    bodies = [body for body in spine.bodies if body.level >= FIRST_WITH_DISC]
    pairs = [pair for pair in pairwise(bodies) if pair[1].level - pair[0].level < 1.5]
    marks: list[Mark] = []
    if rng.random() < ranges.disc_gas_share:
        for pair in _worn(pairs, ranges.worn_discs, rng):
            marks.append(_in_disc(*pair, (0.3, 0.85), (-0.3, 0.3), float(rng.uniform(*ranges.disc_gas_hu)), rng))
    if rng.random() < ranges.disc_calcium_share:
        for pair in _worn(pairs, ranges.worn_discs, rng):
            marks.append(_in_disc(*pair, (0.12, 0.3), (-0.9, 0.5), float(rng.uniform(*ranges.disc_calcium_hu)), rng))
    if rng.random() < ranges.vein_share:
        strength, size = float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.6, 1.4))
        marks += [_vein(body, strength, size, rng) for body in bodies]
    return marks


def _worn(
    pairs: list[tuple[VertebralBody, VertebralBody]], count: tuple[int, int], rng: np.random.Generator
) -> list[tuple[VertebralBody, VertebralBody]]:
    if not pairs:
        return []
    weights = np.exp([-abs(LUMBAR_LEVEL - upper.level) / WORN_LEVELS for upper, _ in pairs])
    wanted = min(len(pairs), int(rng.integers(count[0], count[1] + 1)))
    return [pairs[int(k)] for k in rng.choice(len(pairs), size=wanted, replace=False, p=weights / weights.sum())]


def _axes(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    across = np.cross([0.0, 1.0, 0.0], axis)
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(axis, across), axis])


def _in_disc(
    upper: VertebralBody,
    lower: VertebralBody,
    size: tuple[float, float],
    behind: tuple[float, float],
    hu: float,
    rng: np.random.Generator,
) -> Mark:
    """A flat ellipsoid in the disc between two bodies, its width and depth as shares ``size`` of the disc's, its place
    from front (-1) to back (1) within ``behind``."""
    top, bottom = upper.endplate_mm(upper=False), lower.endplate_mm(upper=True)
    axis = np.array(upper.axis) + np.array(lower.axis)
    axes = _axes(axis / np.linalg.norm(axis))
    disc = np.array([lower.half_width_mm, lower.half_depth_mm, 0.0])
    disc[2] = max(LEAST_HALF_GAP_MM, float((top - bottom) @ axes[2]) / 2)
    half = disc * [rng.uniform(*size), rng.uniform(*size), rng.uniform(0.5, 0.9)]
    off = (disc - half) * [rng.uniform(-0.6, 0.6), rng.uniform(*behind), 0.0]
    return Mark((top + bottom) / 2 + off @ axes, axes, np.maximum(half, 1.0), hu, 1.0, in_bone=False)


def _vein(body: VertebralBody, strength: float, size: float, rng: np.random.Generator) -> Mark:
    """The cleft of the basivertebral vein: in the middle of the body's back wall, which is open there."""
    axes = _axes(np.array(body.axis))
    half = size * body.half_depth_mm * rng.uniform((0.2, 0.35, 0.09), (0.4, 0.6, 0.16))
    off = np.array([0.0, body.half_depth_mm - 0.4 * half[1], float(rng.normal(0.0, 1.0))])
    middle = np.array(body.center_mm) + off @ axes
    return Mark(middle, axes, half, float(rng.uniform(0.0, 55.0)), strength, in_bone=True)


def with_marks(
    hu: Tensor, occupancy: Tensor, marks: list[Mark], places: tuple[Tensor, ...], spacing_mm: float
) -> Tensor:
    """``hu`` (z, y, x) with the marks; ``places`` (x, y, z) say where each voxel lies in the spine, LPS mm."""
    if not marks:
        return hu
    result = hu.clone()
    low, high = (bound.tolist() for bound in (places[2].amin(dim=(1, 2)), places[2].amax(dim=(1, 2))))
    for mark in marks:
        reach = float(mark.half_mm.max()) + spacing_mm
        middle = float(mark.middle_mm[2])
        rows = [k for k in range(len(low)) if low[k] < middle + reach and high[k] > middle - reach]
        if not rows:
            continue
        slab = slice(rows[0], rows[-1] + 1)
        off = [place[slab] - float(at) for place, at in zip(places, mark.middle_mm, strict=True)]
        square = torch.zeros_like(off[0])
        for axis, half in zip(mark.axes, mark.half_mm, strict=True):
            along = sum(float(share / half) * one for share, one in zip(axis, off, strict=True))
            square += torch.as_tensor(along).square()
        share = ((1.0 - square.sqrt()) * (float(mark.half_mm.min()) / spacing_mm) + 0.5).clamp(0.0, 1.0)
        bone = occupancy[slab]
        share = share * (bone if mark.in_bone else 1.0 - bone) * mark.strength
        result[slab] += (mark.hu - result[slab]) * share
    return result
