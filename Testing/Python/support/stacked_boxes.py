"""Spines of boxes whose measures are known in closed form: bodies of six flat faces, a canal and a spinous process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, radians, sin, tan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.geometry.grid import Grid

FINE = 2  # sub-samples of a voxel along each axis: a voxel is bone if more than half of them are
REACH_MM = 72.0  # of a vertebra from the middle of its body
CANAL_MM, ARCH_MM, SPINE_MM = 14.0, 8.0, 26.0


@dataclass(frozen=True)
class BoxVertebra:
    """A vertebra of boxes.

    Args:
        label: VerSe number.
        middle_mm: Middle of the body, LPS mm.
        anterior_mm: Height at the front wall.
        posterior_mm: Height at the back wall.
        pitch_deg: Turned about the left axis, positive if the front goes down.
        roll_deg: Turned about the posterior axis, positive if the left goes up.
        yaw_deg: Turned about the long axis, positive if the front goes to the patient's left.
        depth_mm: From front to back wall.
        width_mm: From side to side.
    """

    label: int
    middle_mm: tuple[float, float, float]
    anterior_mm: float = 26.0
    posterior_mm: float = 26.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    yaw_deg: float = 0.0
    depth_mm: float = 32.0
    width_mm: float = 42.0
    has_processes: bool = True
    axes: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        pitch, roll, yaw = radians(self.pitch_deg), radians(self.roll_deg), radians(self.yaw_deg)
        about_x = np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
        about_y = np.array([[cos(roll), 0, -sin(roll)], [0, 1, 0], [sin(roll), 0, cos(roll)]])
        about_z = np.array([[cos(yaw), -sin(yaw), 0], [sin(yaw), cos(yaw), 0], [0, 0, 1]])
        object.__setattr__(self, "axes", about_y @ about_x @ about_z)

    def holds(self, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """True for the points (..., 3) in LPS mm that are bone."""
        left, back, up = np.moveaxis((points_mm - np.array(self.middle_mm)) @ self.axes, -1, 0)
        half = self.half_height_mm(back)
        body = (np.abs(back) <= self.depth_mm / 2) & (np.abs(left) <= self.width_mm / 2) & (np.abs(up) <= half)
        if not self.has_processes:
            return body
        behind = back - self.depth_mm / 2
        low = np.abs(up) <= 7.0
        pedicles = (np.abs(np.abs(left) - 13.0) <= 4.0) & (behind > -1.0) & (behind <= CANAL_MM) & low
        arch = (np.abs(left) <= 17.0) & (behind > CANAL_MM) & (behind <= CANAL_MM + ARCH_MM) & low
        process = (np.abs(left) <= 4.0) & (behind > CANAL_MM) & (behind <= CANAL_MM + SPINE_MM) & (np.abs(up) <= 6.0)
        aside = (np.abs(left) <= 36.0) & (np.abs(behind - CANAL_MM - 4.0) <= 4.0) & (np.abs(up) <= 4.0)
        return np.asarray(body | pedicles | arch | process | aside)

    @property
    def name(self) -> str:
        """``"L1"``."""
        return NAME_OF_LABEL[self.label]

    def half_height_mm(self, back_mm: Any) -> Any:
        """Half the height at a place along the way to the back, mm from the middle."""
        share = (back_mm + self.depth_mm / 2) / self.depth_mm  # 0 at the front wall
        return (self.anterior_mm + share * (self.posterior_mm - self.anterior_mm)) / 2

    @property
    def wedge_deg(self) -> float:
        """Angle between both endplates, positive if the body is higher in front."""
        half = (self.anterior_mm - self.posterior_mm) / 2
        return 2 * float(np.degrees(np.arctan(half / self.depth_mm)))

    def upper_normal(self) -> NDArray[np.float64]:
        """Unit normal of the upper endplate, LPS."""
        return self._normal(1.0)

    def lower_normal(self) -> NDArray[np.float64]:
        """Unit normal of the lower endplate, upwards, LPS."""
        return self._normal(-1.0)

    def _normal(self, side: float) -> NDArray[np.float64]:
        slope = side * tan(radians(self.wedge_deg / 2))  # how the plate falls towards the back
        normal = self.axes @ np.array([0.0, slope, 1.0])
        return np.asarray(normal / np.linalg.norm(normal))


def label_volume(vertebrae: Sequence[BoxVertebra], grid: Grid) -> NDArray[np.uint8]:
    """Draw vertebrae into VerSe numbers (z, y, x) on a grid."""
    labels = np.zeros(grid.shape, np.uint8)
    matrix = grid.index_to_world
    steps = (np.arange(FINE) + 0.5) / FINE - 0.5
    offsets = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    for one in vertebrae:
        middle = (grid.world_to_index @ [*one.middle_mm, 1.0])[:3]
        reach = REACH_MM / np.array(grid.spacing_mm)
        low = np.maximum(np.floor(middle - reach), 0).astype(int)
        high = np.minimum(np.ceil(middle + reach) + 1, grid.size).astype(int)
        k, j, i = np.meshgrid(*(np.arange(*ends) for ends in zip(low[::-1], high[::-1], strict=True)), indexing="ij")
        index = np.stack([i, j, k], axis=-1).astype(float)
        count = sum(one.holds((index + offset) @ matrix[:3, :3].T + matrix[:3, 3]).astype(int) for offset in offsets)
        part = labels[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
        part[count * 2 > len(offsets)] = one.label
    return labels


def grid_around(vertebrae: Sequence[BoxVertebra], spacing_mm: tuple[float, float, float], turned: bool = False) -> Grid:
    """A grid that holds the vertebrae with a margin; ``turned`` stores it in oblique directions, mirrored along j."""
    places = np.array([one.middle_mm for one in vertebrae])
    low = np.floor(places.min(axis=0)) - [48, 32, 28]
    high = places.max(axis=0) + np.array([48, 68, 28])
    margin_mm = 16.0 if turned else 0.0
    size = [int(np.ceil((edge + margin_mm) / mm)) + 1 for edge, mm in zip(high - low, spacing_mm, strict=True)]
    matrix, origin = np.eye(3), low
    if turned:
        angle = radians(11.0)
        matrix = np.array([[cos(angle), -sin(angle), 0], [sin(angle), cos(angle), 0], [0, 0, 1]])
        matrix = matrix @ np.array([[1, 0, 0], [0, cos(0.1), -sin(0.1)], [0, sin(0.1), cos(0.1)]]) @ np.diag([1, -1, 1])
        origin = (low + high) / 2 - matrix @ (np.array(spacing_mm) * (np.array(size) - 1) / 2)
    i, j, k = size
    x, y, z = (float(value) for value in origin)
    return Grid((i, j, k), spacing_mm, (x, y, z), tuple(float(value) for value in matrix.ravel()))
