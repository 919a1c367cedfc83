"""How a scene is bent out of shape: rotation, an elastic field, a lateral bend, and curves of the spine."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.curvature import random_curves, straightened
from TomoRayLib.training.phantoms.places import node_shape
from TomoRayLib.training.phantoms.ranges import PhantomRanges

ELASTIC_NODES = 6
COARSE_NODES = 48  # 8 mm apart in a scene of full size: the sharpest curve is met to 0.1 mm


def deformed_points(grid: Grid, rng: np.random.Generator, ranges: PhantomRanges, device: torch.device | str) -> Tensor:
    """(z, y, x, 3): where each node of the scene looks, LPS mm about the spine's course, after all deformations.

    They are smooth, so they are worked out on a coarse grid and interpolated (``places.node_shape``).
    """
    coarse = _mesh(grid, (COARSE_NODES,) * 3, device)
    angles = np.deg2rad(rng.normal(0.0, ranges.rotation_sd_deg, size=3))
    rotation = torch.tensor(_rotation(angles), dtype=torch.float32, device=device)
    moved = coarse @ rotation.T
    nodes = torch.from_numpy(rng.standard_normal((1, 3, *(ELASTIC_NODES,) * 3)).astype(np.float32)).to(device)
    nodes = F.interpolate(nodes, size=(24, 24, 24), mode="trilinear")
    nodes = F.avg_pool3d(nodes, 5, stride=1, padding=2, count_include_pad=False)
    nodes = nodes / nodes.std() * rng.uniform(*ranges.elastic_sd_mm)  # smoothing had taken more than half of it
    elastic = F.interpolate(nodes, size=(COARSE_NODES,) * 3, mode="trilinear", align_corners=True)
    moved = moved + elastic[0].permute(1, 2, 3, 0)
    amplitude = float(rng.uniform(*ranges.bend_mm)) * float(rng.choice([-1.0, 1.0]))
    wavelength, phase = float(rng.uniform(250.0, 700.0)), float(rng.uniform(0.0, 2 * np.pi))
    wave = torch.sin(moved[..., 2] * (2 * np.pi / wavelength) + phase) - np.sin(phase)
    moved[..., 0] += amplitude * wave
    moved = straightened(moved, *random_curves(rng, ranges))
    displacement = (moved - coarse).permute(3, 0, 1, 2)[None]
    shape = node_shape(grid)
    fine = F.interpolate(displacement, size=shape, mode="trilinear", align_corners=True)
    return fine[0].permute(1, 2, 3, 0) + _mesh(grid, shape, device)


def _mesh(grid: Grid, shape: tuple[int, int, int], device: torch.device | str) -> Tensor:
    """(z, y, x, 3): ``shape`` places in LPS mm, evenly spread from the grid's first voxel centre to its last."""
    axes = [
        torch.linspace(start, start + (size - 1) * step, n, dtype=torch.float32, device=device)
        for n, size, step, start in zip(shape[::-1], grid.size, grid.spacing_mm, grid.origin_mm, strict=True)
    ]
    z, y, x = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return torch.stack([x, y, z], dim=-1)


def _rotation(angles_rad: np.ndarray) -> np.ndarray:
    (a, b, c), eye = angles_rad, np.eye(3)
    about = []
    for axis, angle in enumerate((a, b, c)):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        matrix = eye.copy()
        matrix[i, i] = matrix[j, j] = np.cos(angle)
        matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
        about.append(matrix)
    return about[0] @ about[1] @ about[2]
