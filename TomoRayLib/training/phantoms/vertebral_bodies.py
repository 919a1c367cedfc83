"""The parts of each vertebra in a label map: its body, its endplates, the discs and the canal next to it.

Arrays are (z, y, x) on an axis-aligned LPS grid of cubic voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.vertebrae import VERTEBRA_LABELS
from TomoRayLib.geometry.grid import Grid

COARSE_MM = 2.0  # bodies are found at this step: they are large
CORE_SHARE, GROWN_SHARE = 0.5, 0.6  # of the largest depth: what is thicker is body, not pedicle or lamina
ENDPLATE_REACH_MM = 4.0
LARGEST_GAP_MM = 24.0  # between vertebrae of one column: a disc, or the space between two laminae
DISC, CANAL = 255, 128  # in the detail map, outside bone
ARCH = 170  # inside bone: pedicles, laminae and processes are mostly compact


@dataclass(frozen=True)
class VertebralBody:
    """One vertebral body as a box: ``center_mm`` and ``axis`` (unit vector, cranial) in LPS, and half its width (x),
    depth (y) and height (along the axis) in mm. ``level`` is the VerSe number + 0.5."""

    level: float
    center_mm: tuple[float, float, float]
    axis: tuple[float, float, float]
    half_width_mm: float
    half_depth_mm: float
    half_height_mm: float

    def endplate_mm(self, upper: bool) -> NDArray[np.float64]:
        """(x, y, z) of the middle of the upper or the lower endplate."""
        sign = 1.0 if upper else -1.0
        return np.array(self.center_mm) + sign * self.half_height_mm * np.array(self.axis)


@dataclass(frozen=True)
class Details:
    """``bodies`` from cranial to caudal, and ``detail`` uint8.

    Inside bone ``detail`` says how dense it is: 255 at an endplate and 0 from 4 mm on, 170 in the arch and its
    processes. Outside of bone it is 255 in a disc, 128 in the canal and between the arches, 0 elsewhere.
    """

    bodies: tuple[VertebralBody, ...]
    detail: NDArray[np.uint8]


def details_of_labels(labels: NDArray[np.integer], grid: Grid) -> Details:
    """Bodies, endplates, discs and canal of a vertebra label map (z, y, x); too small ones are left out."""
    step = grid.spacing_mm[0]
    stride = _stride(step)
    bone = np.isin(labels, VERTEBRA_LABELS)
    detail = np.zeros(labels.shape, np.uint8)
    near_bodies = np.zeros([-(-n // stride) for n in labels.shape], bool)
    found: list[tuple[float, NDArray[np.float64], NDArray[np.float64]]] = []
    boxes = ndimage.find_objects(np.where(bone, labels, 0).astype(np.int32))
    for label in sorted(VERTEBRA_LABELS, key=lambda one: 19.5 if one == 28 else one):
        box = boxes[label - 1] if label <= len(boxes) else None
        if box is None:
            continue
        own = labels[box] == label
        core = _body_core(own[::stride, ::stride, ::stride], step * stride)
        if core is None:
            continue
        region = _refined(core, stride, own.shape) & own
        footprint = region.any(axis=0)
        arch = np.where(own & ~region, ARCH, 0).astype(np.uint8)
        detail[box] = np.maximum(detail[box], np.maximum(arch, _endplate_nearness(own, footprint, step)))
        whole = np.zeros(labels.shape[1:], bool)
        whole[box[1:]] = footprint
        heights = box[0].start + np.flatnonzero(region.any(axis=(1, 2)))
        beyond = int(LARGEST_GAP_MM / 2 / step)
        rows = slice(max(0, heights[0] - beyond) // stride, (heights[-1] + beyond) // stride + 1)
        near_bodies[rows] |= whole[::stride, ::stride]
        corner = np.array([one.start for one in box], dtype=np.float64)
        found.append((19.99 if label == 28 else label + 0.5, *_box_of(region, corner)))
    _mark_soft(detail, bone, near_bodies, step)
    return Details(_as_bodies(found, grid), detail)


def _body_core(own: NDArray[np.bool_], step_mm: float) -> NDArray[np.bool_] | None:
    """The body of one vertebra: its thickest part in front of its centroid, without pedicles and arch."""
    padded = np.pad(own, 1)
    depth = ndimage.distance_transform_edt(padded)
    if not own.any():
        return None
    front = depth.copy()
    front[:, int(np.nonzero(padded)[1].mean()) + 1 :] = 0
    peak = float(front.max())
    if peak * step_mm < 2.0:
        return None
    labels, _ = ndimage.label(depth > CORE_SHARE * peak)
    core = labels == labels[np.unravel_index(int(front.argmax()), front.shape)]
    grown = ndimage.distance_transform_edt(~core) <= GROWN_SHARE * peak
    return (grown & padded)[1:-1, 1:-1, 1:-1]


def _endplate_nearness(own: NDArray[np.bool_], footprint: NDArray[np.bool_], step_mm: float) -> NDArray[np.uint8]:
    """255 at the top and the bottom of each column of the body, falling to 0 over 4 mm."""
    heights = np.arange(len(own))[:, None, None]
    top = len(own) - 1 - np.argmax(own[::-1], axis=0)
    bottom = np.argmax(own, axis=0)
    depth_mm = np.minimum(top - heights, heights - bottom) * step_mm
    near = np.clip(1.0 - depth_mm / ENDPLATE_REACH_MM, 0.0, 1.0) * (own & footprint)
    return np.round(near * 255).astype(np.uint8)


def _box_of(region: NDArray[np.bool_], corner: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle (z, y, x) and half edges in voxels: width and depth by area at the middle, height by the columns."""
    places = np.argwhere(region)
    middle = places.mean(axis=0)
    k = round(float(middle[0]))
    waist = np.any(region[max(0, k - 1) : k + 2], axis=0)
    half_depth = float(np.median(waist.sum(axis=0)[waist.any(axis=0)])) / 2
    half_width = float(np.median(waist.sum(axis=1)[waist.any(axis=1)])) / 2
    columns = region.sum(axis=0)
    half_height = float(np.median(columns[columns > columns.max() / 2])) / 2
    return corner + middle, np.array([half_height, half_depth, half_width])


def _as_bodies(
    found: list[tuple[float, NDArray[np.float64], NDArray[np.float64]]], grid: Grid
) -> tuple[VertebralBody, ...]:
    """In LPS mm, each with its axis from the neighbours' middles."""
    if not found:
        return ()
    middles = np.array([middle[::-1] for _, middle, _ in found]) * grid.spacing_mm[0] + np.asarray(grid.origin_mm)
    bodies = []
    for index, (level, _, half) in enumerate(found):
        above, below = middles[max(0, index - 1)], middles[min(len(found) - 1, index + 1)]
        axis = above - below if len(found) > 1 else np.array([0.0, 0.0, 1.0])
        axis = axis / np.linalg.norm(axis)
        depth, width = half[1:] * grid.spacing_mm[0]
        height = half[0] * grid.spacing_mm[0] * float(axis[2])  # columns run along z, the height along the axis
        x, y, z = (float(value) for value in middles[index])
        bodies.append(
            VertebralBody(level, (x, y, z), tuple(axis.tolist()), float(width), float(depth), float(abs(height)))
        )
    return tuple(bodies)


def _mark_soft(detail: NDArray[np.uint8], bone: NDArray[np.bool_], near: NDArray[np.bool_], step_mm: float) -> None:
    """Write discs and canal into ``detail``: what lies between vertebrae of one column, and what bone encloses.

    ``near`` (coarse) is true at the bodies and above and below them: there it is disc.
    """
    stride = _stride(step_mm)
    coarse = bone[::stride, ::stride, ::stride]
    reach = int(LARGEST_GAP_MM / (step_mm * stride)) | 1
    closed = ndimage.grey_closing(coarse.view(np.uint8), size=(reach, 1, 1)).astype(bool)
    between = np.stack([ndimage.binary_fill_holes(one) for one in closed])
    soft = np.where(between, np.where(near, DISC, CANAL), 0).astype(np.uint8)
    np.copyto(detail, _refined(soft, stride, detail.shape), where=~bone)


def _refined(coarse: NDArray, stride: int, shape: tuple[int, ...]) -> NDArray:
    """Each voxel repeated ``stride`` times along all axes, cut to ``shape``."""
    for axis in range(coarse.ndim):
        coarse = np.repeat(coarse, stride, axis=axis)
    return coarse[tuple(slice(0, n) for n in shape)]


def _stride(step_mm: float) -> int:
    return max(1, round(COARSE_MM / step_mm))
