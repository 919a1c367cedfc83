"""Phantoms: a real spine's shape, painted as bone, inside a real body that moves with it.

A scene is a block of tissue in HU around one stretch of spine, larger than the network's cube so that rays cross the
whole body. Its frame is LPS with the origin on the spine's course.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.geometry import Grid
from TomoRayLib.training.bodies import AIR_HU, BODY_SPACING_MM, Body
from TomoRayLib.training.level_shapes import random_level_shapes
from TomoRayLib.training.spines import Spine

ELASTIC_NODES = 6
COURSE_STEP_MM = 2.0


@dataclass(frozen=True)
class PhantomRanges:
    """From where each property of a phantom is drawn: (low, high) of a uniform draw unless the name says otherwise."""

    spine_scale: tuple[float, float] = (0.85, 1.15)
    spine_width_scale: tuple[float, float] = (0.92, 1.08)
    level_scale_sd: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of each vertebra's width, depth and height
    rotation_sd_deg: float = 5.0
    elastic_sd_mm: tuple[float, float] = (2.0, 6.0)
    bend_mm: tuple[float, float] = (0.0, 18.0)
    body_stretch: tuple[float, float] = (0.85, 1.2)
    body_level_error_sd_mm: float = 12.0
    cortical_hu: tuple[float, float] = (250.0, 900.0)
    trabecular_hu: tuple[float, float] = (-20.0, 300.0)  # triangular about the middle: osteopenia to young bone
    shell_power: tuple[float, float] = (1.2, 4.0)
    texture_sd_hu: tuple[float, float] = (5.0, 60.0)
    body_bone_contrast: tuple[float, float] = (0.6, 1.4)
    soft_tissue_shift_hu: tuple[float, float] = (-20.0, 30.0)
    fractured_share: float = 0.12  # probability of compressed vertebrae
    fractures: tuple[int, int] = (1, 3)  # how many: low to high, high included
    compression: tuple[float, float] = (0.25, 1.0)  # 1 halves the height where it is worst
    implant_share: float = 0.06  # probability of pedicle screws and rods
    implant_levels: tuple[int, int] = (2, 5)
    cut_at_body_end: float = 0.85  # probability that the scene ends where the body's scan ends, like a real CT
    table_share: float = 0.5  # probability of a CT table behind the body
    table_hu: tuple[float, float] = (-300.0, 200.0)
    narrow_share: float = 0.12  # probability of a scan reconstructed about the spine alone, as spine CTs often are
    narrow_half_mm: tuple[float, float] = (45.0, 110.0)


@dataclass(frozen=True)
class SceneSize:
    """The block of tissue around the spine: millimetres to each side of its course, and the voxel edge."""

    right_left_mm: float = 192.0
    anterior_mm: float = 230.0
    posterior_mm: float = 110.0
    height_mm: float = 304.0
    spacing_mm: float = 2.0

    def grid(self) -> Grid:
        edges = (2 * self.right_left_mm, self.anterior_mm + self.posterior_mm, self.height_mm)
        size = tuple(round(edge / self.spacing_mm) for edge in edges)
        origin = (
            -(size[0] - 1) / 2 * self.spacing_mm,
            -self.anterior_mm + self.spacing_mm / 2,
            -(size[2] - 1) / 2 * self.spacing_mm,
        )
        return Grid(size, (self.spacing_mm,) * 3, origin)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Scene:
    """A phantom: ``hu`` int16 and ``occupancy`` uint8 (share of bone of the painted spine, 0..255), both (z, y, x)."""

    hu: Tensor
    occupancy: Tensor
    grid: Grid
    spine: str
    body: str


def compose_scene(
    spine: Spine,
    body: Body,
    rng: np.random.Generator,
    size: SceneSize = SceneSize(),
    ranges: PhantomRanges = PhantomRanges(),
    device: torch.device | str = "cpu",
) -> Scene:
    """One random phantom from one spine and one body. The same ``rng`` state gives the same phantom."""
    grid = size.grid()
    uniform = lambda bounds: float(rng.uniform(*bounds))  # noqa: E731
    scale = uniform(ranges.spine_scale)
    center_z = _center_of_scene(spine, body, rng)
    points = deformed_points(grid, rng, ranges, device)  # (z, y, x, 3) LPS mm about the spine's course

    z_spine = points[..., 2] / scale + center_z
    shapes = random_level_shapes(spine.level_z_mm, ranges.level_scale_sd, rng) if any(ranges.level_scale_sd) else None
    if shapes is not None:
        z_spine = shapes.height_in_spine(z_spine, center_z)
    course_now = course_at(spine.curve_mm, spine.z_range_mm, z_spine)
    course_center = course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(center_z, device=device))
    width = scale * uniform(ranges.spine_width_scale)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    x_spine = mirror * points[..., 0] / width + course_center[0]
    y_spine = points[..., 1] / scale + course_center[1]
    if shapes is not None:
        x_spine = course_now[0] + shapes.across(x_spine - course_now[0], z_spine, 0)
        y_spine = course_now[1] + shapes.across(y_spine - course_now[1], z_spine, 1)
    if rng.random() < ranges.fractured_share:
        z_spine = _with_fractures(spine, points[..., 1], z_spine, center_z, rng, ranges)
    box = _box_inside(spine.grid, x_spine, y_spine, z_spine)  # the spine fills a small part of the scene
    occupancy = torch.zeros(grid.shape, device=points.device)
    x_near, y_near, z_near = (axis[box].contiguous() for axis in (x_spine, y_spine, z_spine))
    occupancy[box] = sample_at(spine.occupancy, spine.grid, x_near, y_near, z_near, outside=0.0) / 255.0

    z_body = _body_height(spine, body, z_spine, center_z, rng, ranges)
    course_body = course_at(body.curve_mm, body.z_range_mm, z_body)
    stretch_x, stretch_y = uniform(ranges.body_stretch), uniform(ranges.body_stretch)
    mirror_body = -1.0 if rng.random() < 0.5 else 1.0
    off_x = points[..., 0] - mirror * (course_now[0] - course_center[0]) * width
    off_y = points[..., 1] - (course_now[1] - course_center[1]) * scale
    x_body = course_body[0] + mirror_body * off_x / stretch_x
    y_body = course_body[1] + off_y / stretch_y
    low, high = body.z_range_mm
    z_inside = z_body.clamp(low, high)
    tissue = sample_at(body.hu, body.grid, x_body, y_body, z_inside, outside=AIR_HU)
    hu = vary_tissue(tissue, rng, ranges)
    bone = _paint_bone(occupancy[box], size.spacing_mm, rng, ranges)
    hu[box] = torch.lerp(hu[box], bone, occupancy[box])
    if rng.random() < ranges.implant_share:
        across, behind = points[..., 0] - mirror * (course_now[0] - course_center[0]) * width, off_y
        hu = _with_implant(hu, spine, (across, behind, z_spine), center_z, rng, ranges)
    if rng.random() < ranges.table_share:
        hu = _with_table(hu, grid, rng, ranges)
    if rng.random() < ranges.narrow_share:
        hu, occupancy = _narrowed(hu, occupancy, grid, rng, ranges)
    if rng.random() < ranges.cut_at_body_end:
        scanned = (z_body >= low - BODY_SPACING_MM) & (z_body <= high + BODY_SPACING_MM)
        hu = torch.where(scanned, hu, AIR_HU)
        occupancy = occupancy * scanned
    return Scene(
        hu.round().clamp(-1024, 3071).to(torch.int16),
        (occupancy * 255).round().to(torch.uint8),
        grid,
        spine.name,
        body.name,
    )


def body_fits(spine: Spine, body: Body, minimum_levels: float = 5.0) -> bool:
    """True where spine and body share enough levels to be set into one another."""
    if body.levels is None:
        return True
    top, bottom = body.level_range()
    levels = spine.level_z_mm[:, 0]
    return bool(np.sum((levels >= top) & (levels <= bottom)) >= min(minimum_levels, len(levels)))


def _center_of_scene(spine: Spine, body: Body, rng: np.random.Generator) -> float:
    """Spine z at the middle of the scene: a level that both spine and body have."""
    levels, z_mm = spine.level_z_mm.T
    if body.levels is not None:
        top, bottom = body.level_range()
        inside = (levels >= top + 1) & (levels <= bottom - 1)
        if inside.any():
            z_mm = z_mm[inside]
    low, high = float(z_mm.min()), float(z_mm.max())
    margin = min(60.0, (high - low) / 3)
    return float(rng.uniform(low + margin, high - margin))


def deformed_points(grid: Grid, rng: np.random.Generator, ranges: PhantomRanges, device: torch.device | str) -> Tensor:
    """(z, y, x, 3): where each voxel of the scene looks, after rotation, elastic field and lateral bend."""
    axes = [
        torch.arange(n, dtype=torch.float32, device=device) * step + start
        for n, step, start in zip(grid.size, grid.spacing_mm, grid.origin_mm, strict=True)
    ]
    z, y, x = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    points = torch.stack([x, y, z], dim=-1)
    angles = np.deg2rad(rng.normal(0.0, ranges.rotation_sd_deg, size=3))
    rotation = torch.tensor(_rotation(angles), dtype=torch.float32, device=device)
    points = points @ rotation.T
    nodes = torch.from_numpy(rng.standard_normal((1, 3, *(ELASTIC_NODES,) * 3)).astype(np.float32)).to(device)
    nodes = F.interpolate(nodes * rng.uniform(*ranges.elastic_sd_mm), size=(24, 24, 24), mode="trilinear")
    nodes = F.avg_pool3d(nodes, 5, stride=1, padding=2, count_include_pad=False)
    field = F.interpolate(nodes, size=grid.shape, mode="trilinear", align_corners=True)
    points += field[0].permute(1, 2, 3, 0)
    amplitude = float(rng.uniform(*ranges.bend_mm)) * float(rng.choice([-1.0, 1.0]))
    wavelength, phase = float(rng.uniform(250.0, 700.0)), float(rng.uniform(0.0, 2 * np.pi))
    points[..., 0] += amplitude * torch.sin(points[..., 2] * (2 * np.pi / wavelength) + phase) - amplitude * np.sin(
        phase
    )
    return points


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


def course_at(curve_mm: np.ndarray, z_range_mm: tuple[float, float], z_mm: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of a spine's course at heights ``z_mm``; its ends go on straight."""
    table = torch.as_tensor(curve_mm, dtype=torch.float32, device=z_mm.device)
    low, high = z_range_mm
    place = ((z_mm - low) / max(high - low, 1e-6) * (len(table) - 1)).clamp(0, len(table) - 1.001)
    index = place.long()
    share = (place - index)[..., None]
    xy = torch.lerp(table[index], table[index + 1], share)
    return xy[..., 0], xy[..., 1]


def _body_height(
    spine: Spine, body: Body, z_spine: Tensor, center_z: float, rng: np.random.Generator, ranges: PhantomRanges
) -> Tensor:
    """Body z for each spine z: matched by level where the body's levels are known, else about its middle."""
    shift = float(rng.normal(0.0, ranges.body_level_error_sd_mm))
    if body.levels is None:
        low, high = body.z_range_mm
        return z_spine - center_z + float(rng.uniform(low + 100.0, max(low + 100.0, high - 100.0))) + shift
    levels, z_mm = spine.level_z_mm.T
    near = np.argsort(np.abs(z_mm - center_z))[:8]
    target = body.z_of_level(levels)
    slope = 1.0
    if len(near) > 2:
        slope = float(np.clip(np.polyfit(z_mm[near], target[near], 1)[0], 0.75, 1.3))
    middle = float(target[near].mean() - slope * (z_mm[near].mean() - center_z))
    return (z_spine - center_z) * slope + middle + shift


def sample_at(volume: Tensor, grid: Grid, x: Tensor, y: Tensor, z: Tensor, outside: float) -> Tensor:
    """Trilinear samples of an axis-aligned volume at LPS positions; ``outside`` beyond it.

    Only the part of the volume that is looked at is turned into floating point.
    """
    places, crop = [], []
    for value, start, step, n in zip((x, y, z), grid.origin_mm, grid.spacing_mm, grid.size, strict=True):
        index = (value - start) / step
        first = min(max(int(index.min()), 0), n - 2)
        last = max(min(int(index.max()) + 2, n), first + 2)
        places.append((index - first) * (2.0 / (last - first - 1)) - 1.0)
        crop.append(slice(first, last))
    sampling = torch.stack(places, dim=-1)[None]
    source = volume[crop[2], crop[1], crop[0]].to(sampling.device).float()[None, None] - outside
    return F.grid_sample(source, sampling, align_corners=True)[0, 0] + outside


def _box_inside(grid: Grid, x: Tensor, y: Tensor, z: Tensor) -> tuple[slice, slice, slice]:
    """The slices (z, y, x) of the scene that hold every place within ``grid``; at least two voxels along each axis."""
    inside = torch.ones(x.shape, dtype=torch.bool, device=x.device)
    for value, start, step, n in zip((x, y, z), grid.origin_mm, grid.spacing_mm, grid.size, strict=True):
        inside &= (value > start - step) & (value < start + n * step)
    slices = []
    for axis, length in enumerate(inside.shape):
        along = torch.nonzero(inside.amax(dim=tuple(other for other in range(3) if other != axis)))
        first, last = (int(along[0]), int(along[-1]) + 1) if len(along) else (0, 2)
        slices.append(slice(min(first, length - 2), max(last, min(first, length - 2) + 2)))
    return slices[0], slices[1], slices[2]


FRACTURE_REACH_MM = 15.0  # half of a vertebra with half a disc: the neighbours stay as they are
METAL_HU = 3000.0


def _with_fractures(
    spine: Spine, y_mm: Tensor, z_spine: Tensor, center_z: float, rng: np.random.Generator, ranges: PhantomRanges
) -> Tensor:
    """Spine z with one to three vertebrae compressed: wedges (most at the front) or biconcave (most in the middle).

    Looking further from a vertebra's middle than one stands makes it flatter there; the discs fill what it leaves.
    ``y_mm`` is the place before (< 0) or behind the course at the scene's middle.
    """
    near = spine.level_z_mm[np.abs(spine.level_z_mm[:, 1] - center_z) < 110.0, 1]
    if len(near) == 0:
        return z_spine
    count = min(len(near), int(rng.integers(ranges.fractures[0], ranges.fractures[1] + 1)))
    result = z_spine
    for middle in rng.choice(near, size=count, replace=False):
        off = z_spine - float(middle)
        course = course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(float(middle), device=z_spine.device))[1]
        origin = course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(center_z, device=z_spine.device))[1]
        forward = (course - origin) - y_mm
        wedge = rng.random() < 0.6
        where = torch.sigmoid((forward - 10.0) / 6.0) if wedge else torch.exp(-((forward - 12.0) / 12.0).square())
        reach = torch.exp(-(off / FRACTURE_REACH_MM).square())
        result = result + off * reach * where * float(rng.uniform(*ranges.compression))
    return result


def _with_implant(
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


def _with_table(hu: Tensor, grid: Grid, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
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


def _narrowed(
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


def vary_tissue(tissue: Tensor, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
    """Body bone brighter or duller, soft tissue a little denser or lighter."""
    contrast = float(rng.uniform(*ranges.body_bone_contrast))
    shift = float(rng.uniform(*ranges.soft_tissue_shift_hu))
    bone = (tissue - 150.0).clamp_min(0.0)
    soft = ((tissue > -200.0) & (tissue < 300.0)).float() * shift
    return tissue + bone * (contrast - 1.0) + soft


def _paint_bone(occupancy: Tensor, spacing_mm: float, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
    """HU of bone: a dense shell that fades into trabecular bone with texture at two scales."""
    width = max(3, round(5.0 / spacing_mm) | 1)
    depth = F.avg_pool3d(occupancy[None, None], width, stride=1, padding=width // 2)[0, 0]
    shell = ((1.0 - depth) * 2.0).clamp(0.0, 1.0) ** float(rng.uniform(*ranges.shell_power))
    trabecular = (float(rng.uniform(*ranges.trabecular_hu)) + float(rng.uniform(*ranges.trabecular_hu))) / 2
    cortical = float(rng.uniform(*ranges.cortical_hu))
    seed = int(rng.integers(2**31))
    generator = torch.Generator(device=occupancy.device).manual_seed(seed)
    texture = torch.zeros_like(occupancy)
    for grain_mm in (4.0, 16.0):
        coarse = [max(2, int(n * spacing_mm / grain_mm)) for n in occupancy.shape]
        noise = torch.randn(1, 1, *coarse, generator=generator, device=occupancy.device)
        texture += F.interpolate(noise, size=occupancy.shape, mode="trilinear")[0, 0]
    sd = float(rng.uniform(*ranges.texture_sd_hu))
    return trabecular + texture * sd + shell * max(cortical - trabecular, 100.0)
