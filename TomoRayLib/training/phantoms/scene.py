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
from TomoRayLib.training.phantoms.density import along_spine, random_trabecular_hu
from TomoRayLib.training.phantoms.fractures import with_fractures
from TomoRayLib.training.phantoms.implants import random_implants, with_implants
from TomoRayLib.training.phantoms.level_shapes import random_level_shapes
from TomoRayLib.training.phantoms.places import Box, Places, box_of, box_within, interpolated
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.sacrum import Seat, random_seat
from TomoRayLib.training.phantoms.sampling import course_at, sample_at
from TomoRayLib.training.phantoms.screws import with_screws
from TomoRayLib.training.phantoms.spinal_marks import random_discs, random_marks, with_marks
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

ABOUT_SPINE_VOXELS = 2  # for what an implant juts out
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
    off = (points[..., 0] - course_off[0], points[..., 1] - course_off[1])
    heights = _heights_in_body(spine, body, center_z, rng, ranges)
    stretch_x, stretch_y = (float(rng.uniform(*ranges.body_stretch)) for _ in range(2))
    seated = rng.random() < ranges.seated_share
    seat = random_seat(spine, body, heights, scale / stretch_y, rng) if seated else Seat()
    z_body, *ends_mm = (
        seat.heights(heights[0] * z + heights[1]) for z in (inside[2], *torch.tensor(spine.z_range_mm).unbind())
    )
    off_y = off[1] / stretch_y + seat.moved_y(heights[0] * inside[2] + heights[1])
    course_z = z_body.clamp(float(ends_mm[0]), float(ends_mm[1]))  # beyond the spine the body is as it was
    tissue, left = _tissue_around(body, (off[0] / stretch_x, off_y), z_body, course_z, grid, rng)
    levels = _levels_of_slices(spine, grid, scale, center_z)
    hu = _varied_body(vary_tissue(tissue, rng, ranges), grid, _BodyMap(off, grid, levels, left), rng, ranges)

    shape = with_osteophytes(spine, rng, ranges) if rng.random() < ranges.osteophyte_share else spine.occupancy
    places = Places.of(*inside, grid.shape)
    box, share, detail = _spine_in_scene(spine, shape, places)
    near = places.within(box)
    hu[box] = _with_spine(hu[box], spine, share, detail, near, size.spacing_mm, rng, ranges)
    if implants := random_implants(spine, center_z, rng, ranges):
        hu[box] = with_implants(hu[box], implants, *near)
    occupancy = torch.zeros(grid.shape, dtype=torch.uint8, device=points.device)
    occupancy[box] = (share * 255).round().to(torch.uint8)
    if rng.random() < ranges.implant_share:
        off_x, off_y, z_spine = interpolated(torch.stack([*off, inside[2]]), grid.shape)
        hu = with_screws(hu, spine, (off_x, off_y, z_spine), center_z, rng, ranges)
    hu, occupancy = _as_scanned(hu, occupancy, grid, levels, rng, ranges)
    if rng.random() < ranges.cut_at_body_end:
        _cut_at_body_end(hu, occupancy, z_body, body.z_range_mm)
    labels = None
    if spine.labels is not None:
        labels = torch.zeros_like(occupancy)
        labels[box] = places.labels(spine.labels, spine.grid, box) * (occupancy[box] > 0)
    hu = hu.round_().clamp_(-1024, 3071).to(torch.int16)
    return Scene(hu, occupancy, grid, spine.name, body.name, labels)


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
    """(scale, points, places, course): where each node looks after deformation (z, y, x, 3), the same in the spine's
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
    body: Body,
    off: tuple[Tensor, Tensor],
    z_body: Tensor,
    course_z: Tensor,
    grid: Grid,
    rng: np.random.Generator,
) -> tuple[Tensor, float]:
    """The body's HU about the spine's course, and on which side of the scene its left is (1 or -1).

    ``off`` are x and y in mm of the body off its course at the height ``course_z``, and ``z_body`` the height in it, at
    the scene's nodes.
    """
    course_body = course_at(body.curve_mm, body.z_range_mm, course_z)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    x_body = course_body[0] + mirror * off[0]
    y_body = course_body[1] + off[1]
    z_inside = z_body.clamp(*body.z_range_mm)
    return Places.of(x_body, y_body, z_inside, grid.shape).sampled(body.hu, body.grid, outside=AIR_HU), mirror


@dataclass(frozen=True)
class _BodyMap:
    """``BodyPlaces`` of a scene, made when they are asked for: ``off`` are x and y off the course at its nodes."""

    off: tuple[Tensor, Tensor]
    grid: Grid
    levels: np.ndarray
    left: float

    def places(self) -> BodyPlaces:
        across_mm, behind_mm = interpolated(torch.stack(self.off), self.grid.shape)
        return BodyPlaces(across_mm, behind_mm, self.levels, self.left)


def _varied_body(hu: Tensor, grid: Grid, where: _BodyMap, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
    """The body with what some patients have: contrast agent, bowel gas."""
    if rng.random() < ranges.contrast_share:
        hu = with_contrast(hu, where.places(), rng, ranges)
    if rng.random() < ranges.gas_share:
        hu = with_bowel_gas(hu, grid, where.places(), rng, ranges)
    return hu


def _spine_in_scene(spine: Spine, shape: Tensor, places: Places) -> tuple[Box, Tensor, Tensor | None]:
    """The part of a scene that holds the spine, its bone of the form ``shape``: (box, share of bone, detail), the last
    two in 0..1; no detail if the spine has none. The rest of the spine's own grid is left out."""
    wide = places.box_inside(spine.grid)
    share = places.sampled(shape, spine.grid, 0.0, wide)
    detail = None if spine.detail is None else places.sampled(spine.detail, spine.grid, 0.0, wide)
    part = box_of(share > 0 if detail is None else (share > 0) | (detail > 0), margin=ABOUT_SPINE_VOXELS)
    share = share[part] / 255.0
    return box_within(wide, part), share, None if detail is None else detail[part] / 255.0


def _with_spine(
    hu: Tensor,
    spine: Spine,
    share: Tensor,
    detail: Tensor | None,
    places: tuple[Tensor, Tensor, Tensor],
    spacing_mm: float,
    rng: np.random.Generator,
    ranges: PhantomRanges,
) -> Tensor:
    """The part of a scene that holds the spine, with bone, discs and canal; ``places`` are x, y and z in the spine."""
    levels, z_mm = spine.level_z_mm.T
    trabecular_hu = along_spine(z_mm, random_trabecular_hu(levels, rng, ranges)).at(places[2])
    discs, marks = random_discs(spine, rng, ranges), random_marks(spine, rng, ranges)
    if detail is not None:
        hu = with_soft_column(hu, share, detail, discs.at(places[2]))
    inset = float(rng.uniform(*ranges.shell_inset))
    bone = painted_bone(share, detail, trabecular_hu, spacing_mm, rng, ranges)
    hu = torch.lerp(hu, bone, ((share - inset) / (1.0 - inset)).clamp_min(0.0))
    return with_marks(hu, share, marks, places, spacing_mm)


def _cut_at_body_end(hu: Tensor, occupancy: Tensor, z_body: Tensor, z_range_mm: tuple[float, float]) -> None:
    """Write air into ``hu`` beyond the body's scan, and no bone into ``occupancy``; ``z_body`` is at the nodes."""
    low, high = z_range_mm[0] - BODY_SPACING_MM, z_range_mm[1] + BODY_SPACING_MM
    for sign, end in ((-1.0, low), (1.0, high)):
        layers = torch.nonzero((sign * z_body > sign * end).flatten(1).any(dim=1))[:, 0]
        if len(layers) == 0:
            continue
        per_node = (len(hu) - 1) / (len(z_body) - 1)
        first, last = int(max(int(layers[0]) - 1, 0) * per_node), int((int(layers[-1]) + 1) * per_node) + 1
        part = slice(first, min(last, len(hu)))
        slices, rows, columns = hu.shape
        beyond = sign * interpolated(z_body, (slices, rows, columns), (part, slice(0, rows), slice(0, columns)))
        beyond = beyond > sign * end
        hu[part].masked_fill_(beyond, AIR_HU)
        occupancy[part].masked_fill_(beyond, 0)


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


def _heights_in_body(
    spine: Spine, body: Body, center_z: float, rng: np.random.Generator, ranges: PhantomRanges
) -> tuple[float, float]:
    """(slope, offset in mm) of body z over spine z: matched by level if the body's levels are known, else about its
    middle."""
    shift = float(rng.normal(0.0, ranges.body_level_error_sd_mm))
    if body.levels is None:
        low, high = body.z_range_mm
        return 1.0, float(rng.uniform(low + 100.0, max(low + 100.0, high - 100.0))) + shift - center_z
    levels, z_mm = spine.level_z_mm.T
    near = np.argsort(np.abs(z_mm - center_z))[:8]
    target = body.z_of_level(levels)
    slope = 1.0
    if len(near) > 2:
        slope = float(np.clip(np.polyfit(z_mm[near], target[near], 1)[0], 0.75, 1.3))
    return slope, float(target[near].mean() - slope * z_mm[near].mean()) + shift
