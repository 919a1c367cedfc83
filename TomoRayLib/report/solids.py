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

Rgba = NDArray[np.uint8]

SURFACE_PIXEL_MM = 0.5
TEXT_PX = 24  # the page shows pictures at half size


@dataclass(frozen=True, eq=False)
class SurfaceView:
    """The surfaces from one side. ``distance`` is the synthetic one coloured by its distance to the truth."""

    caption: str
    synthetic: Image.Image
    truth: Image.Image | None = None
    distance: Image.Image | None = None


def surface_views(shown: Shown, solids: Solids | None = None) -> tuple[SurfaceView, ...]:
    """The surfaces of the synthetic spine and the true one from each viewpoint; empty masks give empty pictures.

    ``solids`` are those of ``shown`` if they are made already.
    """
    solids = solids or Solids(shown)
    captions = [viewpoint.name for viewpoint in solids.viewpoints]
    lists = [solids.pictures(colors, TEXT_PX, marking) for colors, marking in _readings(solids)]
    return tuple(SurfaceView(*one) for one in zip(captions, *lists, strict=True))


def _readings(solids: Solids) -> list[tuple[list[Rgba], str | None]]:
    """The coloured surfaces of a view in its order, and how each is marked."""
    if not solids.has_truth:
        return [(solids.synthetic, SHORT)]
    return [(solids.synthetic, SHORT), (solids.truth, None), (solids.distance, SHORT)]


@dataclass(frozen=True, eq=False)
class Solids:
    """The surfaces of a case from all viewpoints in one frame; rays meet each surface once for all pictures of it."""

    shown: Shown
    viewpoints: tuple[Viewpoint, ...] = VIEWPOINTS
    pixel_mm: float = SURFACE_PIXEL_MM

    @property
    def has_truth(self) -> bool:
        return self.shown.surfaces.truth_mask is not None

    @cached_property
    def synthetic(self) -> list[Rgba]:
        return [painted(*lit, SYNTHETIC_COLOR) for lit in self._lit]

    @cached_property
    def truth(self) -> list[Rgba]:
        """Those of the true surface; of none if there is no truth."""
        field, frame = self.shown.surfaces.truth_field, self._frame
        return [shade(first_hits(field, eye, frame), eye, BONE_COLOR, self.pixel_mm) for eye in self.viewpoints]

    @cached_property
    def distance(self) -> list[Rgba]:
        """The synthetic surface, each point in the colour of its distance to the true one."""
        points = [hits.points_mm for hits, _ in self._lit]
        away_mm = self.shown.surfaces.to_truth.away_mm(np.concatenate(points))
        parts = np.split(DISTANCE_COLORS(away_mm), np.cumsum([len(some) for some in points])[:-1])
        return [painted(*lit, colors) for lit, colors in zip(self._lit, parts, strict=True)]

    def pictures(self, colors: list[Rgba], text_px: int, marking: str | None = SHORT) -> list[Image.Image]:
        """One of the readings above as pictures with letters at their edges and a scale bar."""
        return [
            annotate(
                on_white(rgba),
                edges_of_axes(eye.right, eye.down),
                1 / self.pixel_mm,
                marking=marking,
                dark_on_light=True,
                text_px=round(text_px * 0.85),
            )
            for rgba, eye in zip(colors, self.viewpoints, strict=True)
        ]

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
