"""Colour maps as short tables that read right in print and with any colour vision; no plotting library needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class ColorMap:
    """Evenly spaced colours (8 bits) with linear steps between them, for values from ``low`` to ``high``."""

    name: str
    stops: tuple[Rgb, ...]
    low: float
    high: float
    unit: str

    def __call__(self, values: ArrayLike) -> NDArray[np.uint8]:
        """(..., 3) colours of ``values`` (any shape); values outside take the end colours."""
        place = (np.asarray(values, dtype=np.float32) - self.low) / (self.high - self.low)
        place = np.clip(place, 0.0, 1.0) * (len(self.stops) - 1)
        lower = np.minimum(place.astype(np.int64), len(self.stops) - 2)
        table = np.asarray(self.stops, dtype=np.float32)
        share = (place - lower)[..., None]
        return np.rint(table[lower] * (1 - share) + table[lower + 1] * share).astype(np.uint8)


# Magma (CC0, matplotlib) from 0.97 to 0.2 at 11 places: light is near, dark is far, also in grey print.
MAGMA_REVERSED: tuple[Rgb, ...] = (
    (252, 240, 178),
    (254, 204, 143),
    (254, 167, 114),
    (251, 131, 95),
    (240, 95, 94),
    (216, 69, 108),
    (186, 56, 120),
    (153, 45, 128),
    (121, 34, 130),
    (90, 22, 126),
    (59, 15, 112),
)
# ColorBrewer RdBu, reversed (Apache-2.0, Cynthia Brewer): blue below, white at zero, red above.
BLUE_WHITE_RED: tuple[Rgb, ...] = (
    (5, 48, 97),
    (33, 102, 172),
    (67, 147, 195),
    (146, 197, 222),
    (209, 229, 240),
    (247, 247, 247),
    (253, 219, 199),
    (244, 165, 130),
    (214, 96, 77),
    (178, 24, 43),
    (103, 0, 31),
)

DISTANCE_COLORS = ColorMap("distance", MAGMA_REVERSED, 0.0, 10.0, "mm")
DIFFERENCE_COLORS = ColorMap("difference", BLUE_WHITE_RED, -600.0, 600.0, "HU")
