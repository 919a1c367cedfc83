"""Cages between vertebrae and cement within them, laid down in the spine's own frame, so that they move with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.sampling import sample_at
from TomoRayLib.training.phantoms.spines import Spine
from TomoRayLib.training.phantoms.vertebral_bodies import VertebralBody

FIRST_WITH_IMPLANT = 3.5  # C3
METAL_HU = 3000.0
PEEK_HU = (110.0, 230.0)
GRAFT_HU = (150.0, 500.0)
WALL_MM = (3.0, 5.0)
MARGIN_MM = 24.0  # around a body: a cage or a blob of cement never reaches further


@dataclass(frozen=True)
class Implant:
    """A block of material about one level: ``hu`` and ``share`` (z, y, x) float32 on ``grid``, LPS mm of the spine."""

    hu: NDArray[np.float32]
    share: NDArray[np.float32]
    grid: Grid


def random_implants(spine: Spine, center_z_mm: float, rng: np.random.Generator, ranges: PhantomRanges) -> list[Implant]:
    """Cages and cement near the scene's middle; none if the spine's bodies are not known."""
    bodies = [body for body in spine.bodies if body.level >= FIRST_WITH_IMPLANT]
    bodies = [body for body in bodies if abs(body.center_mm[2] - center_z_mm) < 100.0]
    implants: list[Implant] = []
    if rng.random() < ranges.cage_share and len(bodies) > 1:
        count = min(len(bodies) - 1, int(rng.integers(ranges.cages[0], ranges.cages[1] + 1)))
        first = int(rng.integers(len(bodies) - count))
        titanium = bool(rng.random() < ranges.titanium_share)
        for upper, lower in zip(bodies[first:], bodies[first + 1 : first + 1 + count], strict=False):
            implants.append(cage(upper, lower, titanium, rng))
    if rng.random() < ranges.cement_share and bodies:
        count = min(len(bodies), int(rng.integers(ranges.cemented[0], ranges.cemented[1] + 1)))
        for index in rng.choice(len(bodies), size=count, replace=False):
            implants.append(cement(spine, bodies[int(index)], float(rng.uniform(*ranges.cement_hu)), rng))
    return implants


def cage(upper: VertebralBody, lower: VertebralBody, titanium: bool, rng: np.random.Generator) -> Implant:
    """A hollow frame in the disc space between two bodies, filled with graft; PEEK has markers of metal in its wall."""
    top, bottom = upper.endplate_mm(upper=False), lower.endplate_mm(upper=True)
    axis = np.array(upper.axis) + np.array(lower.axis)
    axis /= np.linalg.norm(axis)
    half_height = max(3.5, float((top - bottom) @ axis) / 2 + float(rng.uniform(0.5, 1.5)))
    half_width = min(upper.half_width_mm, lower.half_width_mm) * float(rng.uniform(0.55, 0.85))
    half_depth = min(upper.half_depth_mm, lower.half_depth_mm) * float(rng.uniform(0.55, 0.8))
    wall = float(rng.uniform(*WALL_MM))
    frame_hu = METAL_HU if titanium else float(rng.uniform(*PEEK_HU))
    graft_hu = float(rng.uniform(*GRAFT_HU))
    teeth_mm = float(rng.uniform(2.5, 4.0))

    def shape(across: NDArray, behind: NDArray, above: NDArray) -> tuple[NDArray, NDArray]:
        outer = ((np.abs(across) / half_width) ** 3.5 + (np.abs(behind) / half_depth) ** 3.5) ** (1 / 3.5)
        to_wall_mm = (1.0 - outer) * min(half_width, half_depth)
        ridge = 0.4 * np.sign(np.sin(behind * (2 * np.pi / teeth_mm)))
        inside = np.minimum(to_wall_mm, half_height + ridge - np.abs(above))
        hu = np.where(to_wall_mm < wall, frame_hu, graft_hu)
        if not titanium:
            for x_mm, y_mm in ((-0.7, -0.75), (0.7, -0.75), (0.0, 0.8)):
                marker = np.hypot(across - x_mm * half_width, behind - y_mm * half_depth) < 0.9
                hu = np.where(marker, METAL_HU, hu)
        return hu, inside

    return _laid_down((top + bottom) / 2, axis, shape)


def cement(spine: Spine, body: VertebralBody, cement_hu: float, rng: np.random.Generator) -> Implant:
    """One to four blobs of PMMA within a body, with a ragged edge; outside its bone there is none."""
    half = np.array([body.half_width_mm, body.half_depth_mm, body.half_height_mm])
    blobs = [
        (rng.uniform(-0.5, 0.5, size=3) * half, rng.uniform(0.35, 0.75, size=3) * half)
        for _ in range(int(rng.integers(1, 5)))
    ]
    phases, waves = rng.uniform(0, 2 * np.pi, size=(4, 3)), rng.uniform(0.4, 1.4, size=(4, 3))

    def shape(across: NDArray, behind: NDArray, above: NDArray) -> tuple[NDArray, NDArray]:
        off = np.stack([across, behind, above], axis=-1)
        inside = np.full(across.shape, -np.inf)
        for middle, radii in blobs:
            inside = np.maximum(inside, (1.0 - np.linalg.norm((off - middle) / radii, axis=-1)) * radii.min())
        ripple = sum(np.sin(off @ wave + phase.sum()) for wave, phase in zip(waves, phases, strict=True))
        grain = cement_hu + 0.12 * cement_hu * np.sin(off @ waves[0] * 1.7)
        return grain, inside + 0.7 * ripple

    laid = _laid_down(np.array(body.center_mm), np.array(body.axis), shape)
    z, y, x = np.meshgrid(*_axes_mm(laid.grid), indexing="ij")
    x_at, y_at, z_at = (torch.from_numpy(one.astype(np.float32)) for one in (x, y, z))
    bone = sample_at(spine.occupancy.cpu(), spine.grid, x_at, y_at, z_at, outside=0.0).numpy() / 255.0
    return Implant(laid.hu, (laid.share * np.clip(2 * bone - 1.0, 0.0, 1.0)).astype(np.float32), laid.grid)


def with_implants(hu: Tensor, implants: list[Implant], x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """``hu`` (z, y, x) with the implants; x, y, z say where each voxel lies in the spine, LPS mm."""
    for implant in implants:
        pair = torch.from_numpy(np.stack([implant.share, implant.share * implant.hu]))
        share, weighted = sample_at(pair, implant.grid, x, y, z, outside=0.0)
        material = weighted / share.clamp_min(1e-3)
        hu = torch.lerp(hu, material, share.clamp(0.0, 1.0))
    return hu


Shape = Callable[[NDArray, NDArray, NDArray], tuple[NDArray, NDArray]]


def _laid_down(middle_mm: NDArray[np.float64], axis: NDArray[np.float64], shape: Shape) -> Implant:
    """A shape (across, behind, above its middle, in mm -> HU, depth in mm) on a grid of 1 mm about ``middle_mm``."""
    n = round(2 * MARGIN_MM) + 1
    grid = Grid((n, n, n), (1.0, 1.0, 1.0), tuple(float(one) - MARGIN_MM for one in middle_mm))  # type: ignore[arg-type]
    z, y, x = np.meshgrid(*_axes_mm(grid), indexing="ij")
    off = np.stack([x, y, z], axis=-1) - middle_mm
    across = np.cross([0.0, 1.0, 0.0], axis)
    across /= np.linalg.norm(across)
    hu, depth_mm = shape(off @ across, off @ np.cross(axis, across), off @ axis)
    share = np.clip(depth_mm + 0.5, 0.0, 1.0)
    share[[0, -1]] = share[:, [0, -1]] = share[:, :, [0, -1]] = 0.0  # so that nothing is smeared beyond the block
    return Implant(hu.astype(np.float32), share.astype(np.float32), grid)


def _axes_mm(grid: Grid) -> list[NDArray]:
    """z, y, x in mm."""
    return [grid.origin_mm[a] + np.arange(grid.size[a]) * grid.spacing_mm[a] for a in (2, 1, 0)]
