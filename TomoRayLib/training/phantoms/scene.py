"""Phantoms: a real spine's shape, painted as bone, inside a real body that moves with it.

A scene is a block of tissue in HU around one stretch of spine, larger than the network's cube so that rays cross the
whole body. Its frame is LPS with the origin on the spine's course.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.bodies import BODY_SPACING_MM, Body
from TomoRayLib.training.phantoms.bone import painted_bone, with_osteophytes, with_soft_column
from TomoRayLib.training.phantoms.deformation import deformed_points
from TomoRayLib.training.phantoms.fractures import with_fractures
from TomoRayLib.training.phantoms.implants import random_implants, with_implants
from TomoRayLib.training.phantoms.level_shapes import random_level_shapes
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.sampling import box_inside, course_at, labels_at, sample_at
from TomoRayLib.training.phantoms.screws import with_screws
from TomoRayLib.training.phantoms.spines import Spine
from TomoRayLib.training.phantoms.surroundings import narrowed, with_arms, with_table
from TomoRayLib.training.phantoms.tissue import BodyPlaces, vary_tissue, with_bowel_gas, with_contrast

__all__ = [
    "PhantomRanges",
    "Scene",
    "SceneSize",
    "body_fits",
    "compose_scene",
    "course_at",
    "deformed_points",
    "sample_at",
    "vary_tissue",
]

LEVEL_HEIGHT_MM = 27.0  # of a vertebra with its disc, beyond the last that a spine has


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
    """A phantom: ``hu`` int16, ``occupancy`` uint8 (share of bone of the painted spine, 0..255) and ``labels`` uint8
    (VerSe numbers, 0 elsewhere; None if its vertebrae are not told apart), all (z, y, x)."""

    hu: Tensor
    occupancy: Tensor
    grid: Grid
    spine: str
    body: str
    labels: Tensor | None = None


def compose_scene(
    spine: Spine,
    body: Body,
    rng: np.random.Generator,
    size: SceneSize = SceneSize(),
    ranges: PhantomRanges = PhantomRanges(),  # noqa: B008 (frozen, so one for all calls does no harm)
    device: torch.device | str = "cpu",
) -> Scene:
    """One random phantom from one spine and one body. The same ``rng`` state gives the same phantom."""
    grid = size.grid()
    center_z = _center_of_scene(spine, body, rng)
    scale, points, inside, course_off = _place_spine(spine, center_z, grid, rng, ranges, device)
    x_spine, y_spine, z_spine = inside
    off_x, off_y = points[..., 0] - course_off[0], points[..., 1] - course_off[1]
    z_body = _body_height(spine, body, z_spine, center_z, rng, ranges)
    tissue, left = _tissue_around(body, off_x, off_y, z_body, rng, ranges)
    levels = _levels_of_slices(spine, grid, scale, center_z)
    hu = _varied_body(vary_tissue(tissue, rng, ranges), grid, BodyPlaces(off_x, off_y, levels, left), rng, ranges)

    shape = with_osteophytes(spine, rng, ranges) if rng.random() < ranges.osteophyte_share else spine.occupancy
    box = box_inside(spine.grid, x_spine, y_spine, z_spine)  # the spine fills a small part of the scene
    near = tuple(axis[box].contiguous() for axis in (x_spine, y_spine, z_spine))
    hu[box], share = _with_spine(hu[box], spine, shape, near, size.spacing_mm, rng, ranges)
    hu[box] = with_implants(hu[box], random_implants(spine, center_z, rng, ranges), *near)
    occupancy = torch.zeros(grid.shape, device=points.device)
    occupancy[box] = share
    labels = _labels_in_scene(spine, box, near, grid)
    if rng.random() < ranges.implant_share:
        hu = with_screws(hu, spine, (off_x, off_y, z_spine), center_z, rng, ranges)
    hu, occupancy = _as_scanned(hu, occupancy, grid, levels, rng, ranges)
    if rng.random() < ranges.cut_at_body_end:
        low, high = body.z_range_mm
        scanned = (z_body >= low - BODY_SPACING_MM) & (z_body <= high + BODY_SPACING_MM)
        hu = torch.where(scanned, hu, AIR_HU)
        occupancy = occupancy * scanned
    return Scene(
        hu.round().clamp(-1024, 3071).to(torch.int16),
        (occupancy * 255).round().to(torch.uint8),
        grid,
        spine.name,
        body.name,
        None if labels is None else labels * (occupancy > 0),
    )


def _labels_in_scene(
    spine: Spine, box: tuple[slice, slice, slice], places: tuple[Tensor, ...], grid: Grid
) -> Tensor | None:
    """VerSe numbers (z, y, x) of the scene's voxels, of which those in ``box`` look at ``places`` of the spine."""
    if spine.labels is None:
        return None
    labels = torch.zeros(grid.shape, dtype=torch.uint8, device=places[0].device)
    labels[box] = labels_at(spine.labels, spine.grid, *places)
    return labels


def body_fits(spine: Spine, body: Body, minimum_levels: float = 5.0) -> bool:
    """True if spine and body share enough levels to be set into one another."""
    if body.levels is None:
        return True
    top, bottom = body.level_range()
    levels = spine.level_z_mm[:, 0]
    return bool(np.sum((levels >= top) & (levels <= bottom)) >= min(minimum_levels, len(levels)))


def _place_spine(
    spine: Spine,
    center_z: float,
    grid: Grid,
    rng: np.random.Generator,
    ranges: PhantomRanges,
    device: torch.device | str,
) -> tuple[float, Tensor, tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """(scale, points, places, course): where each voxel looks after deformation (z, y, x, 3), the same in the spine's
    own LPS mm (x, y, z), and how far the spine's course lies off the scene's long axis there (x, y)."""
    scale = float(rng.uniform(*ranges.spine_scale))
    points = deformed_points(grid, rng, ranges, device)
    z_spine = points[..., 2] / scale + center_z
    shapes = random_level_shapes(spine.level_z_mm, ranges.level_scale_sd, rng) if any(ranges.level_scale_sd) else None
    if shapes is not None:
        z_spine = shapes.height_in_spine(z_spine, center_z)
    course_now = course_at(spine.curve_mm, spine.z_range_mm, z_spine)
    course_center = course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(center_z, device=device))
    width = scale * float(rng.uniform(*ranges.spine_width_scale))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    x_spine = mirror * points[..., 0] / width + course_center[0]
    y_spine = points[..., 1] / scale + course_center[1]
    if shapes is not None:
        x_spine = course_now[0] + shapes.across(x_spine - course_now[0], z_spine, 0)
        y_spine = course_now[1] + shapes.across(y_spine - course_now[1], z_spine, 1)
    if rng.random() < ranges.fractured_share:
        z_spine = with_fractures(spine, points[..., 1], z_spine, center_z, rng, ranges)
    course_x = mirror * (course_now[0] - course_center[0]) * width
    course_y = (course_now[1] - course_center[1]) * scale
    return scale, points, (x_spine, y_spine, z_spine), (course_x, course_y)


def _tissue_around(
    body: Body, off_x: Tensor, off_y: Tensor, z_body: Tensor, rng: np.random.Generator, ranges: PhantomRanges
) -> tuple[Tensor, float]:
    """The body's HU about the spine's course, and on which side of the scene its left is (1 or -1)."""
    course_body = course_at(body.curve_mm, body.z_range_mm, z_body)
    stretch_x, stretch_y = (float(rng.uniform(*ranges.body_stretch)) for _ in range(2))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    x_body = course_body[0] + mirror * off_x / stretch_x
    y_body = course_body[1] + off_y / stretch_y
    z_inside = z_body.clamp(*body.z_range_mm)
    return sample_at(body.hu, body.grid, x_body, y_body, z_inside, outside=AIR_HU), mirror


def _varied_body(hu: Tensor, grid: Grid, places: BodyPlaces, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
    """The body with what some patients have: contrast agent, bowel gas."""
    if rng.random() < ranges.contrast_share:
        hu = with_contrast(hu, places, rng, ranges)
    if rng.random() < ranges.gas_share:
        hu = with_bowel_gas(hu, grid, places, rng, ranges)
    return hu


def _with_spine(
    hu: Tensor,
    spine: Spine,
    shape: Tensor,
    places: tuple[Tensor, ...],
    spacing_mm: float,
    rng: np.random.Generator,
    ranges: PhantomRanges,
) -> tuple[Tensor, Tensor]:
    """(HU, share of bone) of the part of a scene that holds the spine, its bone of the form ``shape``."""
    x, y, z = places
    if spine.detail is None:
        occupancy = sample_at(shape, spine.grid, x, y, z, outside=0.0) / 255.0
        bone = painted_bone(occupancy, None, spacing_mm, rng, ranges)
    else:
        both = sample_at(torch.stack([shape, spine.detail]), spine.grid, x, y, z, outside=0.0) / 255.0
        occupancy, detail = both[0], both[1]
        hu = with_soft_column(hu, occupancy, detail, rng, ranges)
        bone = painted_bone(occupancy, detail, spacing_mm, rng, ranges)
    return torch.lerp(hu, bone, occupancy), occupancy


def _as_scanned(
    hu: Tensor,
    occupancy: Tensor,
    grid: Grid,
    levels: np.ndarray,
    rng: np.random.Generator,
    ranges: PhantomRanges,
) -> tuple[Tensor, Tensor]:
    """Arms, the table, and sometimes a field of view about the spine alone."""
    if rng.random() < ranges.arms_share:
        hu = with_arms(hu, grid, levels, rng, ranges)
    if rng.random() < ranges.table_share:
        hu = with_table(hu, grid, rng, ranges)
    if rng.random() < ranges.narrow_share:
        hu, occupancy = narrowed(hu, occupancy, grid, rng, ranges)
    return hu, occupancy


def _levels_of_slices(spine: Spine, grid: Grid, scale: float, center_z: float) -> np.ndarray:
    """(z,) the spinal level at the middle of each of the scene's slices, beyond the spine's ends by mean heights."""
    z_mm = (grid.origin_mm[2] + np.arange(grid.size[2]) * grid.spacing_mm[2]) / scale + center_z
    levels, heights = spine.level_z_mm[::-1].T  # upwards
    order = np.argsort(heights)
    known_z, known = heights[order], levels[order]
    inner = np.interp(z_mm, known_z, known)
    beyond = np.where(z_mm > known_z[-1], known_z[-1] - z_mm, np.where(z_mm < known_z[0], known_z[0] - z_mm, 0.0))
    return inner + beyond / LEVEL_HEIGHT_MM


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


def _body_height(
    spine: Spine, body: Body, z_spine: Tensor, center_z: float, rng: np.random.Generator, ranges: PhantomRanges
) -> Tensor:
    """Body z for each spine z: matched by level if the body's levels are known, else about its middle."""
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
