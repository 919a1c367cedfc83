"""Colour maps as short tables that read right in print and with any colour vision; no plotting library needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from TomoRayLib.report.markup import escape

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
        lower = np.minimum(place.astype(np.intp), len(self.stops) - 2)
        share = place - lower.astype(np.float32)
        rest = 1 - share
        colors = np.empty((*place.shape, 3), np.uint8)
        for channel, stops in enumerate(np.asarray(self.stops, dtype=np.float32).T):
            colors[..., channel] = np.rint(stops[:-1].take(lower) * rest + stops[1:].take(lower) * share)
        return colors


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
# ColorBrewer YlOrRd (Apache-2.0, Cynthia Brewer): brighter and yellower is surer; on grey slices, over dark and bright.
YELLOW_RED: tuple[Rgb, ...] = (
    (255, 255, 204),
    (255, 237, 160),
    (254, 217, 118),
    (254, 178, 76),
    (253, 141, 60),
    (252, 78, 42),
    (227, 26, 28),
    (189, 0, 38),
    (128, 0, 38),
)
UNCERTAINTY_COLORS = ColorMap("uncertainty", YELLOW_RED, 0.0, 0.5, "")


def color_bar(colors: ColorMap, ticks: tuple[float, ...], texts: tuple[str, ...], name: str) -> str:
    """A horizontal colour bar as SVG, with ``texts`` under ``ticks`` (values in the map's unit)."""
    stops = "".join(
        f'<stop offset="{100 * n / (len(colors.stops) - 1):g}%" stop-color="rgb({r},{g},{b})"/>'
        for n, (r, g, b) in enumerate(colors.stops)
    )
    marks = []
    for value, text in zip(ticks, texts, strict=True):
        x = 400 * (value - colors.low) / (colors.high - colors.low)
        anchor = "start" if x <= 0 else "end" if x >= 400 else "middle"
        marks.append(f'<text x="{x:g}" y="32" text-anchor="{anchor}">{escape(text)}</text>')
    return (
        f'<div class="bar"><svg viewBox="0 0 400 36" role="img" aria-label="{escape(name)}" font-size="12.5" '
        f'fill="#18202a"><defs><linearGradient id="{colors.name}">{stops}</linearGradient></defs>'
        f'<rect width="400" height="14" fill="url(#{colors.name})" stroke="#8a949e" stroke-width=".5"/>'
        f"{''.join(marks)}</svg></div>"
    )
