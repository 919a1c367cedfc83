"""A leaning column of vertebral bodies with processes, on an anisotropic grid, in continuous coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPACING_MM = (1.2, 0.8, 0.5)  # x, y, z
SHAPE = (260, 120, 60)  # z, y, x: 130 x 96 x 72 mm
BODY_MM, RADIUS_MM, FIRST_MM = 22.0, 14.0, 20.0
LEAN = (0.12, -0.15)  # mm along x and y for each mm along z


@dataclass(frozen=True)
class BodyColumn:
    """VerSe numbers and grey values (z, y, x), bodies 0.6 and else 0; ``middles_mm`` (z, y, x) by number."""

    labels: NDArray[np.uint8]
    grey: NDArray[np.float64]
    middles_mm: dict[int, tuple[float, float, float]]


def body_column(numbers: tuple[int, ...] = (22, 21, 20), gap_mm: float = 14.0, spinous: bool = True) -> BodyColumn:
    """The bodies, the lowest first, ``gap_mm`` apart; their axis leans forward and to the left."""
    x, y, z = (np.arange(n) * step for n, step in zip(SHAPE[::-1], SPACING_MM, strict=True))
    z_mm, y_mm, x_mm = np.meshgrid(z, y, x, indexing="ij", sparse=True)
    axis = np.array([1.0, LEAN[1], LEAN[0]]) / np.linalg.norm([1.0, LEAN[1], LEAN[0]])
    foot = np.array([FIRST_MM, 36.0, 30.0])
    along = (z_mm - foot[0]) * axis[0] + (y_mm - foot[1]) * axis[1] + (x_mm - foot[2]) * axis[2]
    off = [m - foot[i] - along * axis[i] for i, m in enumerate((z_mm, y_mm, x_mm))]
    across_mm = np.sqrt(sum(o**2 for o in off))
    labels: NDArray[Any] = np.zeros(SHAPE, np.uint8)
    middles = {}
    for place, number in enumerate(numbers):
        middle = place * (BODY_MM + gap_mm)
        labels[(np.abs(along - middle) <= BODY_MM / 2) & (across_mm <= RADIUS_MM)] = number
        center = foot + middle * axis
        if spinous:  # a plate behind, thinner than the body, and its root
            behind = (y_mm > center[1] + 13) & (y_mm < center[1] + 50) & (np.abs(x_mm - center[2]) < 5)
            labels[behind & (np.abs(z_mm - center[0] + 4) < 7)] = number
        middles[number] = (float(center[0]), float(center[1]), float(center[2]))
    return BodyColumn(labels, np.where(labels > 0, 0.6, 0.0), middles)
