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
from numpy.typing import NDArray
from scipy import ndimage
from scipy.fft import fft2, ifft2, next_fast_len
from scipy.sparse import csr_array

from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.surfaces import FIELD_LEVEL, unit_vectors
from TomoRayLib.images.types import Volume

Floats = NDArray[np.floating[Any]]
Rgba = NDArray[np.uint8]

BONE_COLOR = (236, 226, 204)
SYNTHETIC_COLOR = (176, 203, 224)
_SURROUNDINGS = ((2.0, 0.045), (7.0, 0.022))  # standard deviation in mm, darkening for each mm of depth
_ALPHA_OF_COUNT = np.array([*(255 * covered // 9 for covered in range(9)), 255], np.uint8)
_SLICES_PER_PART = 64  # at a time: what the rays see of them fits a processor's cache
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
    sampling = _sampling(field.grid, viewpoint, origin, right_mm[used], depths)
    slices = (origin[2] - down_mm - field.grid.origin_mm[2]) / field.grid.spacing_mm[2]
    row, column, place = _crossings(field.voxels, sampling, (len(depths), len(used)), slices)
    depth_mm, column = depths[0] + place * step_mm, used[column]
    plane = origin + down_mm[row, None] * viewpoint.down + right_mm[column, None] * viewpoint.right
    points = plane - depth_mm[:, None] * viewpoint.to_eye
    return Hits(points, _normals(field, points, step_mm), np.stack([row, column], axis=1), depth_mm, frame.shape)


def shade(hits: Hits, viewpoint: Viewpoint, colors: NDArray[np.uint8] | tuple[int, int, int], pixel_mm: float) -> Rgba:
    """(rows, columns, 4) picture of the hits: Lambert from the upper left, hollows darkened; transparent elsewhere.

    ``colors`` is one colour or one per hit (n, 3).
    """
    return painted(hits, brightness(hits, viewpoint, pixel_mm), colors)


def brightness(hits: Hits, viewpoint: Viewpoint, pixel_mm: float) -> Floats:
    """(n,) how bright each hit is: Lambert from the upper left, hollows darkened."""
    light = unit_vectors(viewpoint.to_eye - 0.45 * viewpoint.right - 0.6 * viewpoint.down)
    lambert = np.clip(np.einsum("ij,j->i", hits.normals, light), 0.0, 1.0)
    facing = np.clip(np.einsum("ij,j->i", hits.normals, viewpoint.to_eye), 0.0, 1.0)
    bright = (0.30 + 0.62 * lambert + 0.12 * facing) * _openness(hits, pixel_mm) * (0.55 + 0.45 * facing**0.5)
    return np.asarray(bright * 1.06)


def painted(hits: Hits, bright: Floats, colors: NDArray[np.uint8] | tuple[int, int, int]) -> Rgba:
    """(rows, columns, 4) picture of the hits in ``colors`` as for ``shade``, times ``bright`` (n,) of each."""
    picture = np.zeros((*hits.shape, 4), np.uint8)
    if not len(hits.depth_mm):
        return picture
    row, column = hits.pixels.T
    picture[row, column, 3] = 255
    for channel, color in enumerate(np.asarray(colors, dtype=np.float64).T):
        picture[row, column, channel] = np.clip(color * bright, 0, 255).astype(np.uint8)
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


def _sampling(grid: Grid, viewpoint: Viewpoint, origin: Floats, right_mm: Floats, depths: Floats) -> csr_array:
    """(depths * columns, y * x) how each place along the rays mixes a slice's voxels; outside it they count as 0.

    The four neighbours of a place and their weights are the same in all slices.
    """
    world = origin[:2] + right_mm[:, None] * viewpoint.right[:2] - depths[:, None, None] * viewpoint.to_eye[:2]
    index = ((world - grid.origin_mm[:2]) / grid.spacing_mm[:2]).reshape(-1, 2)
    first = np.floor(index)
    share = index - first
    first = first.astype(np.int32)
    nx, ny, _ = grid.size
    neighbours, weights = np.zeros((len(index), 4), np.int32), np.zeros((len(index), 4), np.float32)
    for number, (right, back) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        x, y = first[:, 0] + right, first[:, 1] + back
        weight = (share[:, 0] if right else 1 - share[:, 0]) * (share[:, 1] if back else 1 - share[:, 1])
        inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
        neighbours[:, number], weights[:, number] = np.where(inside, y * nx + x, 0), np.where(inside, weight, 0.0)
    ends = np.arange(0, 4 * len(index) + 1, 4, dtype=np.int32)
    return csr_array((weights.ravel(), neighbours.ravel(), ends), shape=(len(index), nx * ny))


def _crossings(
    voxels: NDArray[np.float32], sampling: csr_array, places: tuple[int, int], slices: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """(row, column, depth in steps) of each ray's first crossing of voxels (z, y, x), some slices at a time.

    ``places`` are the numbers of depths and columns in ``sampling``, ``slices`` (rows,) the rows' positions along z.
    """
    found, last = [], len(voxels) - 2
    rows = np.flatnonzero((slices >= 0) & (slices <= last + 1))
    lower = np.minimum(slices[rows].astype(np.int64), last)
    for low in range(0, last + 1, _SLICES_PER_PART):
        part = voxels[low : low + _SLICES_PER_PART + 1]
        turned: NDArray[np.float32] = sampling @ np.ascontiguousarray(part.reshape(len(part), -1).T)
        here = (lower >= low) & (lower < low + _SLICES_PER_PART)
        row, column, steps = _crossings_of_part(
            turned.reshape(*places, len(part)), lower[here] - low, slices[rows[here]] - lower[here]
        )
        found.append((rows[here][row], column, steps))
    rows, columns, depths = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, columns, depths


def _crossings_of_part(
    turned: NDArray[np.float32], lower: NDArray[np.int64], shares: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """(number in ``lower``, column, depth) where rays at ``shares`` between slices ``lower`` and the next cross first.

    ``turned`` is (depths, columns, z). A ray cannot cross before either of its slices does: it is followed from there.
    """
    count, columns, nz = turned.shape
    first = np.full((columns, nz), count, np.int32)
    for step in range(count - 1, -1, -1):
        np.copyto(first, step, where=turned[step] > FIELD_LEVEL)
    share = shares.astype(np.float32)
    nearer = np.minimum(first[:, lower], first[:, lower + 1]).T  # (row, column)
    row, column = np.nonzero(nearer < count)
    depth = nearer[row, column].astype(np.int64)
    below, above, flat = share[row], 1 - share[row], turned.reshape(-1)
    place = (depth * columns + column) * nz + lower[row]  # in ``flat``
    looked = np.arange(len(row))
    found, values = np.zeros(len(row), bool), np.zeros(len(row), np.float32)
    while len(looked):
        value = flat[place[looked]] * above[looked] + flat[place[looked] + 1] * below[looked]
        crosses = value > FIELD_LEVEL
        found[looked[crosses]], values[looked[crosses]] = True, value[crosses]
        looked = looked[~crosses]
        depth[looked] += 1
        place[looked] += columns * nz
        looked = looked[depth[looked] < count]
    found &= depth > 0
    before = place[found] - columns * nz
    value_before = flat[before] * above[found] + flat[before + 1] * below[found]
    steps = depth[found] - (values[found] - FIELD_LEVEL) / (values[found] - value_before)
    return row[found], column[found], steps.astype(np.float64)


def _normals(field: Volume, points: Floats, step_mm: float) -> Floats:
    """(n, 3) outward unit normals: minus the gradient of the field, by central differences."""
    spacing, origin = np.array(field.grid.spacing_mm[::-1]), np.array(field.grid.origin_mm[::-1])
    index = np.ascontiguousarray(points.T[::-1], np.float32)  # (k, j, i)
    index -= origin.astype(np.float32)[:, None]
    index /= spacing.astype(np.float32)[:, None]
    normals = np.empty((len(points), 3), np.float32)
    for axis in range(3):
        ends = []
        for sign in (-1, 1):
            moved = index.copy()
            moved[axis] += sign * step_mm / spacing[axis]
            ends.append(ndimage.map_coordinates(field.voxels, moved, order=1, prefilter=False))
        np.subtract(ends[0], ends[1], out=normals[:, 2 - axis])
    return unit_vectors(normals.astype(np.float64))


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
    result = np.ones(len(hits.depth_mm))
    if not len(result):
        return result
    place = hits.pixels - hits.pixels.min(axis=0)
    widest_px = _reach_px(max(sd_mm for sd_mm, _ in _SURROUNDINGS) / pixel_mm)
    shape = tuple(next_fast_len(int(size) + 1 + widest_px) for size in place.max(axis=0))
    both = np.zeros(shape, np.complex64)  # covered or not in its real part, depth in its imaginary one
    both[place[:, 0], place[:, 1]] = 1 + 1j * hits.depth_mm
    spectrum = fft2(both, overwrite_x=True)
    for sd_mm, strength in _SURROUNDINGS:
        rows, columns = (_gaussian_spectrum(sd_mm / pixel_mm, count) for count in shape)
        blurred = ifft2(spectrum * rows[:, None] * columns, overwrite_x=True)[place[:, 0], place[:, 1]]
        around = blurred.imag.astype(np.float64) / np.maximum(blurred.real, 1e-6)
        result -= strength * (hits.depth_mm - around)
    return np.clip(result, 0.45, 1.1)


def _reach_px(sd_px: float) -> int:
    """Where a Gaussian is cut off."""
    return int(2.5 * sd_px + 0.5)


def _gaussian_spectrum(sd_px: float, count: int) -> NDArray[np.float32]:
    """(count,) Fourier transform, which is real, of a Gaussian with sum 1, cut off, about the first pixel of a ring."""
    away = np.arange(-_reach_px(sd_px), _reach_px(sd_px) + 1)
    weights = np.exp(-0.5 * (away / sd_px) ** 2)
    waves = 2 * np.pi / count * np.outer(np.arange(count), away)
    return np.asarray(np.cos(waves) @ (weights / weights.sum()), np.float32)


def _soft_edge(picture: Rgba) -> Rgba:
    """The same picture with an outline of half-transparent pixels instead of stairs."""
    inside = np.pad(picture[..., 3] != 0, 1)
    rows, columns = picture.shape[:2]
    shifts = [(down, right) for down in range(3) for right in range(3)]
    count = np.zeros((rows, columns), np.uint8)  # of covered pixels among the nine
    for down, right in shifts:
        count += inside[down : down + rows, right : right + columns]
    filled = picture.copy()
    filled[..., 3] = _ALPHA_OF_COUNT[count]
    row, column = np.nonzero((picture[..., 3] == 0) & (count > 0))
    padded = np.pad(picture[..., :3], ((1, 1), (1, 1), (0, 0)))
    total = np.zeros((len(row), 3), np.uint16)
    for down, right in shifts:
        total += padded[row + down, column + right]
    filled[row, column, :3] = total // count[row, column, None]
    return filled
