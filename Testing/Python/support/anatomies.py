"""A small spine and body drawn from formulas, for phantoms whose places are known."""

from __future__ import annotations

import numpy as np
import torch

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.phantoms.bodies import Body
from TomoRayLib.training.phantoms.body_levels import height_of_level
from TomoRayLib.training.phantoms.spines import Spine

# The hand-made spine leans to the patient's left and to anterior on its way up: mm per mm of height.
LEAN_X, LEAN_Y = 0.15, -0.10


TOP_OF_SPINE, TOP_OF_BODY = 17.0, 16.0  # T10 and T9: each one's topmost level


LEFT_MARKER_LEVEL, BACK_MARKER_LEVEL = 21.5, 18.5  # the middles of L2 and of T11


ROD_LEFT_MM, ROD_FRONT_MM = 40.0, 60.0  # the body's dense rod, left and in front of the body's course


def a_spine(step_mm: float = 2.0, top_mm: float = 300.0) -> Spine:
    """T10 to L5: a soft-edged column on a leaning course, a knob to the left at L2 and one to the back at T11."""
    heights = height_of_level(np.arange(TOP_OF_SPINE, 26.0)) - height_of_level(TOP_OF_SPINE)
    grid = Grid(
        (round(220 / step_mm), round(200 / step_mm), round(float(heights[-1]) / step_mm)),
        (step_mm,) * 3,
        (-30.0, -70.0, top_mm - float(heights[-1])),
    )
    z, y, x = (grid.origin_mm[a] + np.arange(grid.size[a]) * step_mm for a in (2, 1, 0))
    curve = np.stack([80.0 + LEAN_X * (z - top_mm), 20.0 + LEAN_Y * (z - top_mm)], axis=1)
    off_x, off_y = x[None, None, :] - curve[:, 0, None, None], y[None, :, None] - curve[:, 1, None, None]
    bone = np.exp(-0.5 * ((off_x / 11.0) ** 2 + (off_y / 9.0) ** 2))
    middles = top_mm - (height_of_level(np.arange(TOP_OF_SPINE, 25.0) + 0.5) - height_of_level(TOP_OF_SPINE))
    levels = np.stack([np.arange(TOP_OF_SPINE, 25.0) + 0.5, middles], axis=1)
    for level, away_x, away_y in ((LEFT_MARKER_LEVEL, 45.0, 0.0), (BACK_MARKER_LEVEL, 0.0, 45.0)):
        height = float(np.interp(level, *levels.T))
        away = (off_x - away_x) ** 2 + (off_y - away_y) ** 2 + (z - height)[:, None, None] ** 2
        bone = np.maximum(bone, np.exp(-0.5 * away / 6.0**2))
    return Spine("column", torch.from_numpy(np.round(bone * 255).astype(np.uint8)), grid, curve, levels)


def a_body(step_mm: float = 4.0, top_mm: float = -40.0, height_mm: float = 290.0) -> Body:
    """A block of tissue whose HU is its height (z in mm, plus 150), with a soft rod of 1000 HU beside its course."""
    size = (round(320 / step_mm), round(280 / step_mm), round(height_mm / step_mm))
    grid = Grid(size, (step_mm,) * 3, (-200.0, -190.0, top_mm - height_mm + step_mm))
    z, y, x = (grid.origin_mm[a] + np.arange(grid.size[a]) * step_mm for a in (2, 1, 0))
    curve = np.stack([-45.0 - 0.2 * (z - top_mm), -60.0 + 0.05 * (z - top_mm)], axis=1)
    hu = np.broadcast_to(z[:, None, None] + 150.0, grid.shape)
    off_x = x[None, None, :] - (curve[:, 0] + ROD_LEFT_MM)[:, None, None]
    off_y = y[None, :, None] - (curve[:, 1] - ROD_FRONT_MM)[:, None, None]
    hu = hu + (1000.0 - hu) * np.exp(-0.5 * (off_x**2 + off_y**2) / 9.0**2)
    bottom = TOP_OF_BODY + 9.0
    depth = float(height_of_level(bottom) - height_of_level(TOP_OF_BODY))
    anchors = ((TOP_OF_BODY, top_mm - 10.0), (bottom, top_mm - 10.0 - depth))
    return Body("block", torch.from_numpy(np.round(hu).astype(np.int16)), grid, curve, anchors)


def a_coarse_anatomy() -> Anatomy:
    return Anatomy((a_spine(4.0),), (a_body(8.0),))


def labels_of_a_column() -> tuple[np.ndarray, Grid]:
    """Labels (z, y, x) of L1 above L2 above a sacrum, on a grid of 2 x 1.5 x 3 mm; L2 lies more to the left."""
    grid = Grid((50, 60, 40), (2.0, 1.5, 3.0), (-20.0, 35.0, -400.0))
    labels = np.zeros(grid.shape, np.int16)
    labels[26:36, 20:40, 10:30] = 20
    labels[14:26, 20:40, 14:34] = 21
    labels[4:14, 20:40, 14:34] = 26
    return labels, grid
