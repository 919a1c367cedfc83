"""The surfaces of one case in 3D: synthetic, true, and the synthetic one coloured by its distance to the true one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from TomoRayLib.base.notices import SHORT
from TomoRayLib.report.color_maps import DISTANCE_COLORS
from TomoRayLib.report.content import Shown
from TomoRayLib.report.drawing import annotate, on_white
from TomoRayLib.report.slices import edges_of_axes
from TomoRayLib.report.surface_pictures import (
    BONE_COLOR,
    SYNTHETIC_COLOR,
    VIEWPOINTS,
    Frame,
    Hits,
    Viewpoint,
    brightness,
    common_frame,
    first_hits,
    painted,
    shade,
)

SURFACE_PIXEL_MM = 0.5
TEXT_PX = 24  # the page shows pictures at half size


@dataclass(frozen=True, eq=False)
class SurfaceView:
    """The surfaces from one side. ``distance`` is the synthetic one coloured by its distance to the truth."""

    caption: str
    synthetic: Image.Image
    truth: Image.Image | None = None
    distance: Image.Image | None = None


def surface_views(
    shown: Shown,
    viewpoints: tuple[Viewpoint, ...] = VIEWPOINTS,
    pixel_mm: float = SURFACE_PIXEL_MM,
    text_px: int = TEXT_PX,
) -> tuple[SurfaceView, ...]:
    """The surfaces of the synthetic spine and the true one from each viewpoint; empty masks give empty pictures."""
    painter = SolidPainter(shown, viewpoints, pixel_mm, text_px)
    captions, plain = [viewpoint.name for viewpoint in viewpoints], painter.synthetic()
    if not painter.has_truth:
        return tuple(SurfaceView(*both) for both in zip(captions, plain, strict=True))
    pictures = zip(captions, plain, painter.truth(), painter.distance(), strict=True)
    return tuple(SurfaceView(*four) for four in pictures)


@dataclass(frozen=True, eq=False)
class SolidPainter:
    """Draws the surfaces of a case from all viewpoints in one frame; rays meet each surface once for all readings."""

    shown: Shown
    viewpoints: tuple[Viewpoint, ...]
    pixel_mm: float
    text_px: int

    @property
    def has_truth(self) -> bool:
        return self.shown.surfaces.truth_mask is not None

    def synthetic(self) -> list[Image.Image]:
        return [self._finished(painted(*lit, SYNTHETIC_COLOR), number) for number, lit in enumerate(self._lit)]

    def truth(self) -> list[Image.Image]:
        """Those of the true surface; of none if there is no truth."""
        field, frame = self.shown.surfaces.truth_field, self._frame
        return [
            self._finished(shade(first_hits(field, eye, frame), eye, BONE_COLOR, self.pixel_mm), number, None)
            for number, eye in enumerate(self.viewpoints)
        ]

    def distance(self) -> list[Image.Image]:
        """The synthetic surface, each point in the colour of its distance to the true one."""
        points = [hits.points_mm for hits, _ in self._lit]
        away_mm = self.shown.surfaces.to_truth.away_mm(np.concatenate(points))
        parts = np.split(DISTANCE_COLORS(away_mm), np.cumsum([len(some) for some in points])[:-1])
        lit = zip(self._lit, parts, strict=True)
        return [self._finished(painted(*one, colors), number) for number, (one, colors) in enumerate(lit)]

    @cached_property
    def _frame(self) -> Frame:
        surfaces = self.shown.surfaces
        masks = [surfaces.synthetic_mask, surfaces.truth_mask]
        return common_frame(masks, self.viewpoints, pixel_mm=self.pixel_mm)

    @cached_property
    def _lit(self) -> list[tuple[Hits, NDArray[np.floating[Any]]]]:
        """The hits on the synthetic surface from each viewpoint, and how bright they are."""
        hits = [first_hits(self.shown.surfaces.synthetic_field, eye, self._frame) for eye in self.viewpoints]
        return [(one, brightness(one, eye, self.pixel_mm)) for one, eye in zip(hits, self.viewpoints, strict=True)]

    def _finished(self, rgba: NDArray[np.uint8], number: int, marking: str | None = SHORT) -> Image.Image:
        eye, text_px = self.viewpoints[number], round(self.text_px * 0.85)
        edges = edges_of_axes(eye.right, eye.down)
        return annotate(on_white(rgba), edges, 1 / self.pixel_mm, marking=marking, dark_on_light=True, text_px=text_px)
