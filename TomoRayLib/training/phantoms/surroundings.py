"""The surroundings of a body in a scan: the table, its own arms, and the end of the field of view."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.ranges import PhantomRanges

MUSCLE_HU, FAT_HU, SKIN_HU, MARROW_HU = 55.0, -100.0, 20.0, -20.0
SHOULDER_MM = 45.0  # over which an arm is rounded off at the shoulder
ARM_MM = 500.0  # from shoulder to wrist, over which it grows a third thinner
SHOULDER_LEVEL, ELBOW_LEVEL = 9.0, 22.0  # top of T2, top of L3: between them an arm that hangs down is a humerus


def with_table(hu: Tensor, grid: Grid, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
    """A CT table behind the body, in air: two thin sheets with foam between them, curved up at the sides."""
    x, y = (
        torch.arange(n, device=hu.device) * step + start
        for n, step, start in zip(grid.size[:2], grid.spacing_mm[:2], grid.origin_mm[:2], strict=True)
    )
    body = (hu[:, :, x.abs() < 40.0] > -300.0).any(dim=2).any(dim=0)
    if not bool(body.any()):
        return hu
    back_mm = float(y[body].max())
    gap_mm, sheet_mm, deep_mm = float(rng.uniform(1, 6)), float(rng.uniform(2, 5)), float(rng.uniform(20, 60))
    rise_mm = x.square() * float(rng.uniform(0.0, 1.0 / 600.0))
    depth = y[:, None] - (back_mm + gap_mm) + rise_mm[None, :]
    sheet = ((depth > 0) & (depth < sheet_mm)) | ((depth > deep_mm) & (depth < deep_mm + sheet_mm))
    value = torch.where(sheet, float(rng.uniform(*ranges.table_hu)), -940.0)
    present = (depth > 0) & (depth < deep_mm + sheet_mm)
    return torch.where(present & (hu < -900.0), value, hu)


def narrowed(
    hu: Tensor, occupancy: Tensor, grid: Grid, rng: np.random.Generator, ranges: PhantomRanges
) -> tuple[Tensor, Tensor]:
    """Air outside a box about the spine's course: the scan's field of view was set to the spine."""
    half_x, half_y = (float(rng.uniform(*ranges.narrow_half_mm)) for _ in range(2))
    middle_x, middle_y = (float(value) for value in rng.normal(0.0, 8.0, size=2))
    x, y = (
        torch.arange(n, device=hu.device) * step + start
        for n, step, start in zip(grid.size[:2], grid.spacing_mm[:2], grid.origin_mm[:2], strict=True)
    )
    seen = ((y - middle_y).abs() < half_y)[:, None] & ((x - middle_x).abs() < half_x)[None, :]
    return torch.where(seen, hu, AIR_HU), occupancy * seen


def with_arms(hu: Tensor, grid: Grid, levels: np.ndarray, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
    """Arms with their bones, down at the body's sides or up next to the head, painted into air alone.

    ``levels`` (z,) is the spinal level of each slice (fractional VerSe number, growing downwards).
    """
    up = bool(rng.random() < ranges.arms_up_share)
    radius_mm, overlap_mm = float(rng.uniform(38.0, 52.0)), float(rng.uniform(4.0, 16.0))
    spread_mm, forward_mm = float(rng.uniform(80.0, 120.0)), rng.uniform(-20.0, 40.0, size=2)
    lean = float(rng.uniform(0.0, 0.45))
    x, y = (
        torch.arange(n, device=hu.device) * step + start
        for n, step, start in zip(grid.size[:2], grid.spacing_mm[:2], grid.origin_mm[:2], strict=True)
    )
    z_mm = grid.origin_mm[2] + np.arange(grid.size[2]) * grid.spacing_mm[2]
    chosen = np.flatnonzero(levels <= SHOULDER_LEVEL if up else levels > SHOULDER_LEVEL)
    if len(chosen) == 0:
        return hu
    solid = (hu[int(chosen.min()) : int(chosen.max()) + 1] > -400.0).any(dim=0)  # of all heights: arms are straight
    if not bool(solid.any()):
        return hu
    columns = torch.nonzero(solid.any(dim=0))[:, 0]
    rows = torch.nonzero(solid.any(dim=1))[:, 0]
    middle_y = float(y[rows].float().mean())
    grain = 12.0 * torch.from_numpy(rng.standard_normal((len(y), len(x)), dtype=np.float32)).to(hu.device)
    heights_mm = np.abs(z_mm - (z_mm[chosen].min() if up else z_mm[chosen].max()))  # from the shoulder
    limit = max(abs(grid.origin_mm[0]) - 0.5 * radius_mm, 0.0)
    result = hu.clone()
    edges = (float(x[columns[0]]), float(x[columns[-1]]))
    for sign, edge, ahead_mm in zip((-1.0, 1.0), edges, forward_mm.tolist(), strict=True):
        start_x = float(np.clip(sign * spread_mm if up else edge + sign * (radius_mm - overlap_mm), -limit, limit))
        for k in chosen:
            forearm = not up and levels[k] > ELBOW_LEVEL
            round_off = float(np.clip(heights_mm[k] / SHOULDER_MM, 0.0, 1.0))
            taper = 1.0 - 0.35 * min(heights_mm[k] / ARM_MM, 1.0)
            radius = radius_mm * taper * (1.0 - (1.0 - round_off) ** 2) ** 0.5
            center_x = start_x + sign * lean * (heights_mm[k] if up else 0.0)
            arm = _arm_section(x - center_x, y - (middle_y - ahead_mm), radius, forearm)
            free = (hu[k] < -500.0) & (arm > AIR_HU) & ~_enclosed(hu[k])
            result[k] = torch.where(free, arm + grain.roll(7 * int(k), 0), result[k])
    return result


def _arm_section(x: Tensor, y: Tensor, radius_mm: float, forearm: bool) -> Tensor:
    """(y, x) HU of a cut through an arm about its middle: skin, fat, muscle, and one bone or two."""
    distance = torch.hypot(x[None, :], y[:, None])
    section = torch.full_like(distance, AIR_HU)
    for edge_mm, value in ((radius_mm, SKIN_HU), (radius_mm - 2.0, FAT_HU), (radius_mm - 9.0, MUSCLE_HU)):
        section = torch.where(distance < edge_mm, value, section)
    bones = ((-9.0, 7.0), (9.0, 7.0)) if forearm else ((0.0, 11.0),)
    for off_mm, bone_mm in bones:
        own = torch.hypot(x[None, :] - off_mm, y[:, None])
        section = torch.where(own < bone_mm, 1100.0, section)
        section = torch.where(own < bone_mm * 0.55, MARROW_HU, section)
    return section


def _enclosed(hu_slice: Tensor) -> Tensor:
    """(y, x) true between the first and the last solid voxel of its row: lung and bowel, not the air outside."""
    solid = hu_slice > -400.0
    from_left = solid.cummax(dim=1).values
    from_right = solid.flip(1).cummax(dim=1).values.flip(1)
    return from_left & from_right
