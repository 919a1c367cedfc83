"""3D pictures of a mask's surface without OpenGL: parallel rays, first hit, sub-voxel, shaded; any machine can do it.

A picture is looked at as a radiograph of the same gantry angle is: from the source, head up. The anterior view (0) has
the patient's left at image right, the left lateral one (90) posterior at image right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.surfaces import FIELD_LEVEL, unit_vectors
from TomoRayLib.images.types import Volume

Floats = NDArray[np.floating[Any]]
Rgba = NDArray[np.uint8]

BONE_COLOR = (236, 226, 204)
SYNTHETIC_COLOR = (176, 203, 224)
_STEP_VOXELS = 0.75  # of the smallest spacing: the smoothed field has no plate thinner than that


@dataclass(frozen=True)
class Viewpoint:
    """The direction of the eye: ``gantry_angle_deg`` as in ``geometry.View`` (0 anterior, 90 at the patient's left)."""

    name: str
    gantry_angle_deg: float

    @property
    def to_eye(self) -> Floats:
        """(3,) unit vector in LPS from the patient towards the eye."""
        angle = math.radians(self.gantry_angle_deg)
        return np.array([math.sin(angle), -math.cos(angle), 0.0])

    @property
    def right(self) -> Floats:
        """(3,) unit vector in LPS towards higher columns."""
        angle = math.radians(self.gantry_angle_deg)
        return np.array([math.cos(angle), math.sin(angle), 0.0])

    @property
    def down(self) -> Floats:
        """(3,) unit vector in LPS towards higher rows: inferior."""
        return np.array([0.0, 0.0, -1.0])


VIEWPOINTS = (Viewpoint("Anterior", 0.0), Viewpoint("Left lateral", 90.0), Viewpoint("Posterior oblique", 145.0))


@dataclass(frozen=True)
class Frame:
    """The picture's frame: ``center_mm`` in LPS is its middle, pixels are square."""

    center_mm: Vector3
    width_mm: float
    height_mm: float
    pixel_mm: float = 0.5

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return (max(1, round(self.height_mm / self.pixel_mm)), max(1, round(self.width_mm / self.pixel_mm)))


@dataclass(frozen=True, eq=False)
class Hits:
    """The points at which rays meet the surface first.

    ``points_mm`` (n, 3) in LPS, ``normals`` (n, 3) unit and outward, ``pixels`` (n, 2) = (row, column), ``depth_mm``
    (n,) behind the plane through the frame's middle (negative: nearer to the eye), ``shape`` of the picture.
    """

    points_mm: Floats
    normals: Floats
    pixels: NDArray[np.int64]
    depth_mm: Floats
    shape: tuple[int, int]


def common_frame(
    masks: Sequence[Volume | None],
    viewpoints: Sequence[Viewpoint] = VIEWPOINTS,
    margin_mm: float = 18.0,
    pixel_mm: float = 0.5,
) -> Frame:
    """One frame that holds all masks seen from all viewpoints; 100 mm about the first grid's middle if all are empty.

    Raises ValueError without any mask.
    """
    given = [mask for mask in masks if mask is not None]
    if not given:
        raise ValueError("A frame needs at least one mask; got none.")
    points = np.concatenate([_occupied_mm(mask) for mask in given])
    if not len(points):
        return Frame(given[0].grid.center_mm, 100.0, 100.0, pixel_mm)
    low, high = points.min(axis=0), points.max(axis=0)
    center = (low + high) / 2
    half_width = max(float(np.abs((points - center) @ viewpoint.right).max()) for viewpoint in viewpoints)
    width, height = 2 * (half_width + margin_mm), high[2] - low[2] + 2 * margin_mm
    return Frame((float(center[0]), float(center[1]), float(center[2])), float(width), float(height), pixel_mm)


def first_hits(field: Volume | None, viewpoint: Viewpoint, frame: Frame) -> Hits:
    """Points where the rays of ``frame`` first rise above 0.5 in ``field`` (``surfaces.mask_field``, or None)."""
    rows, columns = frame.shape
    if field is None:
        return Hits(np.empty((0, 3)), np.empty((0, 3)), np.empty((0, 2), np.int64), np.empty(0), frame.shape)
    field = _upright(field)
    origin = np.asarray(frame.center_mm)
    step_mm = _STEP_VOXELS * min(field.grid.spacing_mm)
    away = field.grid.corners_mm() - origin
    depth = away @ -viewpoint.to_eye
    depths = float(depth.min()) + step_mm * np.arange(int(np.ceil(np.ptp(depth) / step_mm)) + 1)
    right_mm = (np.arange(columns) - (columns - 1) / 2) * frame.pixel_mm
    down_mm = (np.arange(rows) - (rows - 1) / 2) * frame.pixel_mm
    reach = away @ viewpoint.right
    used = np.flatnonzero((right_mm >= reach.min()) & (right_mm <= reach.max()))
    slabs = _turned(field, viewpoint, origin, right_mm[used], depths)
    slices = (origin[2] - down_mm - field.grid.origin_mm[2]) / field.grid.spacing_mm[2]
    row, column, place = _crossings(slabs, slices)
    depth_mm, column = depths[0] + place * step_mm, used[column]
    plane = origin + down_mm[row, None] * viewpoint.down + right_mm[column, None] * viewpoint.right
    points = plane - depth_mm[:, None] * viewpoint.to_eye
    return Hits(points, _normals(field, points, step_mm), np.stack([row, column], axis=1), depth_mm, frame.shape)


def shade(hits: Hits, viewpoint: Viewpoint, colors: NDArray[np.uint8] | tuple[int, int, int], pixel_mm: float) -> Rgba:
    """(rows, columns, 4) picture of the hits: Lambert from the upper left, hollows darkened; transparent elsewhere.

    ``colors`` is one colour or one per hit (n, 3).
    """
    picture = np.zeros((*hits.shape, 4), np.uint8)
    if not len(hits.depth_mm):
        return picture
    light = unit_vectors(viewpoint.to_eye - 0.45 * viewpoint.right - 0.6 * viewpoint.down)
    lambert = np.clip(hits.normals @ light, 0.0, 1.0)
    facing = np.clip(hits.normals @ viewpoint.to_eye, 0.0, 1.0)
    brightness = (0.30 + 0.62 * lambert + 0.12 * facing) * _openness(hits, pixel_mm) * (0.55 + 0.45 * facing**0.5)
    rgb = np.broadcast_to(np.asarray(colors, dtype=np.float64), (len(hits.depth_mm), 3)) * brightness[:, None] * 1.06
    row, column = hits.pixels.T
    picture[row, column, :3] = np.clip(rgb, 0, 255).astype(np.uint8)
    picture[row, column, 3] = 255
    return _soft_edge(picture)


def _upright(field: Volume) -> Volume:
    """The field on a grid along the axes of LPS, so that turning about the long axis is a matter of two dimensions."""
    if np.array_equal(field.grid.direction_matrix, np.eye(3)):
        return field
    corners = field.grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    step_mm = min(field.grid.spacing_mm)
    size = np.ceil((high - low) / step_mm).astype(int)
    origin = (low + high - (size - 1) * step_mm) / 2
    return resample(field, Grid(tuple(size), (step_mm,) * 3, tuple(origin)), fill=0.0)


def _turned(
    field: Volume, viewpoint: Viewpoint, origin: Floats, right_mm: Floats, depths: Floats
) -> NDArray[np.float32]:
    """(z, columns, depths) the field's slices sampled along the rays."""
    world = origin[:2] + right_mm[:, None, None] * viewpoint.right[:2] - depths[None, :, None] * viewpoint.to_eye[:2]
    index = (world - field.grid.origin_mm[:2]) / field.grid.spacing_mm[:2]
    places = torch.from_numpy(((2 * index + 1) / field.grid.size[:2] - 1).astype(np.float32))
    slices = torch.from_numpy(np.ascontiguousarray(field.voxels))[None]
    return F.grid_sample(slices, places[None], align_corners=False)[0].numpy()


def _crossings(slabs: NDArray[np.float32], slices: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """(row, column, depth in steps) of each ray's first crossing; ``slices`` (rows,) are positions along z in slabs."""
    found = []
    for row in np.flatnonzero((slices >= 0) & (slices <= len(slabs) - 1)):
        lower = min(int(slices[row]), len(slabs) - 2)
        share = np.float32(slices[row] - lower)
        values = slabs[lower] * (1 - share) + slabs[lower + 1] * share  # (columns, depths)
        behind = (values > FIELD_LEVEL).argmax(axis=1)
        column = np.flatnonzero(behind)
        behind = behind[column]
        value, before = values[column, behind], values[column, behind - 1]
        found.append((np.full(len(column), row), column, behind - (value - FIELD_LEVEL) / (value - before)))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    rows, columns, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, columns, places.astype(np.float64)


def _normals(field: Volume, points: Floats, step_mm: float) -> Floats:
    """(n, 3) outward unit normals: minus the gradient of the field, by central differences."""
    to_cube = _world_to_cube(field).astype(np.float32)
    offsets = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32) * np.float32(step_mm)
    centers = points.astype(np.float32) @ to_cube[:3, :3].T + to_cube[:3, 3]
    places = centers[None] + (offsets @ to_cube[:3, :3].T)[:, None]
    grid = torch.from_numpy(places).view(1, 1, 6, -1, 3)
    voxels = torch.from_numpy(np.ascontiguousarray(field.voxels))[None, None]
    values = F.grid_sample(voxels, grid, align_corners=False)[0, 0, 0].double().numpy()
    return unit_vectors(values[3:].T - values[:3].T)


def _world_to_cube(field: Volume) -> Floats:
    """4 x 4 from LPS mm to torch's sampling coordinates (x, y, z), -1..1 between the outer faces."""
    index_to_cube = np.eye(4)
    for axis, count in enumerate(field.grid.size):
        index_to_cube[axis, axis], index_to_cube[axis, 3] = 2 / count, 1 / count - 1
    return index_to_cube @ field.grid.world_to_index


def _occupied_mm(mask: Volume) -> Floats:
    """(n, 3) LPS positions that bound the mask: the first and last voxel of each row that has one."""
    inside = mask.voxels != 0
    k, j = np.nonzero(inside.any(axis=2))
    if not len(k):
        return np.empty((0, 3))
    rows = inside[k, j]
    ends = np.concatenate([rows.argmax(axis=1), inside.shape[2] - 1 - rows[:, ::-1].argmax(axis=1)])
    index = np.stack([ends, np.tile(j, 2), np.tile(k, 2), np.ones_like(ends)])
    return (mask.grid.index_to_world @ index).T[:, :3]


def _openness(hits: Hits, pixel_mm: float) -> Floats:
    """(n,) 0.45..1.1: how far a point lies behind its surroundings (depth unsharp masking, Luft et al. 2006)."""
    row, column = hits.pixels.T
    depth, covered = np.zeros(hits.shape), np.zeros(hits.shape)
    depth[row, column], covered[row, column] = hits.depth_mm, 1.0
    result = np.ones(len(row))
    for sd_mm, strength in ((2.0, 0.045), (7.0, 0.022)):
        sd = sd_mm / pixel_mm
        weight = ndimage.gaussian_filter(covered, sd, truncate=2.5)[row, column]
        around = ndimage.gaussian_filter(depth, sd, truncate=2.5)[row, column] / np.maximum(weight, 1e-6)
        result -= strength * (hits.depth_mm - around)
    return np.clip(result, 0.45, 1.1)


def _soft_edge(picture: Rgba) -> Rgba:
    """The same picture with an outline of half-transparent pixels instead of stairs."""
    alpha = picture[..., 3].astype(np.float32)
    soft = ndimage.uniform_filter(alpha, 3, mode="constant")
    filled = picture.copy()
    outside = (picture[..., 3] == 0) & (soft > 0)
    weight = np.maximum(soft / 255.0, 1e-6)
    for channel in range(3):
        blurred = ndimage.uniform_filter(picture[..., channel].astype(np.float32), 3, mode="constant") / weight
        filled[..., channel][outside] = np.clip(blurred, 0, 255)[outside].astype(np.uint8)
    filled[..., 3] = np.where(soft < 254, np.clip(soft * 1.0, 0, 255), 255).astype(np.uint8)
    return filled
