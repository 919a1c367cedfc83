"""The frame of a vertebra: the middle of its body, and which way its left, back and top lie.

The body is the thickest part of a vertebra and lies in front. The long axis follows from the neighbours' bodies, the
way to the back from the plane about which the vertebra is its own mirror image.

Points and directions are LPS mm (x, y, z); arrays are ``(z, y, x)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.masks import Box, support_of

Floats = NDArray[np.float64]

CORE_SHARE = 0.75  # of the largest distance to the surface: what lies deeper is the middle of a thick part
PART_SHARE = 0.2  # a thick part is looked at if it has this share of the largest one's voxels
POSTERIOR = np.array([0.0, 1.0, 0.0])
# The search for the mirror plane: bins of a vertebra's voxels, degrees about the way to its centroid, offsets
BIN_MM, LEVEL_MM, REACH_MM = 2.0, 6.0, 56.0
COARSE_DEG = np.arange(-40.0, 41.0, 5.0)
FINE_DEG = np.arange(-4.0, 5.0)
OFFSETS = 4  # half bins to either side
LEAST_PROCESSES_MM = 3.0  # the centroid lies at least so far behind the body's middle, or there are no processes
MOST_POINTS = 12_000


@dataclass(frozen=True, eq=False)
class VertebraMask:
    """One vertebra of a label volume: its voxels in their box (z, y, x), the box, and the volume's grid."""

    label: int
    mask: NDArray[np.bool_]
    box: Box
    grid: Grid

    def at_edge_mm(self) -> Floats:
        """Centres (n, 3) of its voxels in the first and last slices of the volume, along any axis."""
        index = np.argwhere(self.mask)[:, ::-1] + [side.start for side in self.box[::-1]]
        outermost = (index == 0) | (index == np.array(self.grid.size) - 1)
        matrix = self.grid.index_to_world
        return np.asarray(index[outermost.any(axis=1)] @ matrix[:3, :3].T + matrix[:3, 3], dtype=np.float64)

    def points_mm(self, most: int) -> Floats:
        """About ``most`` points (n, 3), each somewhere in a voxel of its own: no lattice meets that of any bins."""
        index = np.argwhere(self.mask)
        index = index[:: max(1, len(index) // most), ::-1] + [side.start for side in self.box[::-1]]
        index = index + np.random.default_rng(0).uniform(-0.5, 0.5, index.shape)
        matrix = self.grid.index_to_world
        return np.asarray(index @ matrix[:3, :3].T + matrix[:3, 3], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Frame:
    """A place and three perpendicular unit vectors: towards the vertebra's left, its back and its top."""

    middle_mm: Floats
    left: Floats
    posterior: Floats
    superior: Floats

    @property
    def axes(self) -> Floats:
        """(3, 3); the columns are left, posterior, superior."""
        return np.stack([self.left, self.posterior, self.superior], axis=1)

    def to_world(self, local_mm: Floats) -> Floats:
        """LPS mm of points (..., 3) given along left, posterior and superior from the middle."""
        return np.asarray(self.middle_mm + local_mm @ self.axes.T, dtype=np.float64)

    def moved(self, local_mm: Floats) -> Frame:
        """The same directions about another place, given in this frame."""
        return Frame(self.to_world(local_mm), self.left, self.posterior, self.superior)

    @classmethod
    def along(cls, middle_mm: Floats, superior: Floats, posterior: Floats) -> Frame:
        """The frame of a long axis and a way to the back, which is made perpendicular to it."""
        up = superior / np.linalg.norm(superior)
        back = posterior - (posterior @ up) * up
        if np.linalg.norm(back) < 1e-6:  # a spine along the way to the back: any direction across it will do
            back = np.cross(up, np.array([1.0, 0.0, 0.0]))
        back = back / np.linalg.norm(back)
        return cls(np.asarray(middle_mm, dtype=np.float64), np.cross(back, up), back, up)


def vertebra_masks(labels: NDArray[Any], grid: Grid) -> dict[int, VertebraMask]:
    """Take a label volume apart: its vertebrae by VerSe number, from cranial to caudal.

    Args:
        labels: VerSe numbers (z, y, x).
        grid: Their grid.

    Raises:
        ValueError: If the shapes differ.
    """
    if labels.shape != grid.shape:
        raise ValueError(f"The labels must have the grid's shape (z, y, x) = {grid.shape}; got {labels.shape}.")
    around = support_of(labels).box
    if around is None:
        return {}
    part = labels[around]
    boxes = dict(enumerate(ndimage.find_objects(part.astype(np.int32)), start=1))
    found = {}
    for label in CRANIOCAUDAL_ORDER:
        box = boxes.get(label)
        if box is not None:
            whole = tuple(
                slice(side.start + outer.start, side.stop + outer.start)
                for side, outer in zip(box, around, strict=True)
            )
            found[label] = VertebraMask(label, part[box] == label, (whole[0], whole[1], whole[2]), grid)
    return found


def body_middle_mm(vertebra: VertebraMask) -> Floats:
    """Find the middle of a vertebra's body: of its thick parts the one that lies farthest in front, LPS mm (3,)."""
    mask = np.pad(vertebra.mask, 1)
    steps = vertebra.grid.spacing_mm[::-1]
    depth_mm = ndimage.distance_transform_edt(mask, sampling=steps)
    parts, count = ndimage.label(depth_mm >= CORE_SHARE * depth_mm.max(), np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    large = [part + 1 for part in range(count) if sizes[part] >= PART_SHARE * sizes.max()]
    start = np.array([side.start - 1 for side in vertebra.box])
    matrix = vertebra.grid.index_to_world
    places = [
        matrix[:3, :3] @ (np.argwhere(parts == part).mean(axis=0) + start)[::-1] + matrix[:3, 3] for part in large
    ]
    return np.asarray(min(places, key=lambda place: place[1]), dtype=np.float64)


def long_axes(middles_mm: Mapping[int, Floats]) -> dict[int, Floats]:
    """Find the way up at each vertebra from the bodies above and below it.

    Args:
        middles_mm: Middles of bodies by VerSe number, from cranial to caudal.

    Returns:
        Unit vectors; the patient's z of a vertebra alone.
    """
    places = list(middles_mm.values())
    axes = {}
    for number, label in enumerate(middles_mm):
        above, below = places[max(number - 1, 0)], places[min(number + 1, len(places) - 1)]
        way = above - below
        length = float(np.linalg.norm(way))
        axes[label] = way / length if length > 0 else np.array([0.0, 0.0, 1.0])
    return axes


def mirror_frame(vertebra: VertebraMask, middle_mm: Floats, superior: Floats) -> Frame | None:
    """Find the frame whose plane of left = 0 mirrors the vertebra onto itself best.

    Args:
        vertebra: The vertebra with its processes.
        middle_mm: Middle of its body.
        superior: Its long axis.

    Returns:
        The frame; None if nothing of the vertebra lies behind its body.
    """
    points = vertebra.points_mm(MOST_POINTS)
    up = superior / np.linalg.norm(superior)
    behind = points.mean(axis=0) - middle_mm
    behind = behind - (behind @ up) * up
    if np.linalg.norm(behind) < LEAST_PROCESSES_MM:
        return None
    first = Frame.along(middle_mm, up, behind)
    local = (points - middle_mm) @ first.axes
    deg = _best_turn(local, COARSE_DEG)
    deg = _best_turn(local, deg + FINE_DEG, refine=True)
    turn = np.deg2rad(deg)
    back = first.posterior * np.cos(turn) - first.left * np.sin(turn)
    return Frame.along(middle_mm, up, back)


def _best_turn(local: Floats, turns_deg: Floats, refine: bool = False) -> float:
    """The turn about the long axis after which the points (n, 3) are most alike to their mirror image."""
    scores = np.array([_symmetry(local, deg) for deg in turns_deg])
    best = int(scores.argmax())
    if not refine or not 0 < best < len(scores) - 1:
        return float(turns_deg[best])
    low, top, high = scores[best - 1 : best + 2]
    bend = low - 2 * top + high
    return float(turns_deg[best] + (0.5 * (low - high) / bend if bend < 0 else 0.0) * (turns_deg[1] - turns_deg[0]))


def _symmetry(local: Floats, turn_deg: float) -> float:
    """The largest correlation of the turned points' bins with their mirror image, over small offsets of the plane."""
    turn = np.deg2rad(turn_deg)
    left = local[:, 0] * np.cos(turn) + local[:, 1] * np.sin(turn)
    back = -local[:, 0] * np.sin(turn) + local[:, 1] * np.cos(turn)
    count = int(2 * REACH_MM / BIN_MM)
    levels = int(2 * REACH_MM / LEVEL_MM) + 1
    column = np.floor((left + REACH_MM) / BIN_MM).astype(int)
    row = np.floor((back + REACH_MM) / BIN_MM).astype(int)
    level = np.floor((local[:, 2] + REACH_MM) / LEVEL_MM).astype(int)
    inside = (column >= 0) & (column < count) & (row >= 0) & (row < count) & (level >= 0) & (level < levels)
    place = (level[inside] * count + row[inside]) * count + column[inside]
    bins = np.bincount(place, minlength=levels * count * count).reshape(-1, count).astype(np.float32)
    bins = bins[bins.any(axis=1)]
    best = 0.0
    for offset in range(-OFFSETS, OFFSETS + 1):
        first, last = max(0, offset), min(count, count + offset)
        part = bins[:, first:last]
        best = max(best, float(np.vdot(part, part[:, ::-1])))
    return best / max(float(np.vdot(bins, bins)), 1e-9)
