"""One picture of a case: sagittal and coronal slice of the truth and of every method, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.report.content import Shown
from TomoRayLib.report.drawing import AMBER, INK, png_bytes, write_text
from TomoRayLib.report.figures import SliceRow, slice_row
from TomoRayLib.report.slices import Plane, choose_slices

PIXELS_PER_MM, TEXT_PX, HEAD_PX, GAP_PX = 1.3, 13, 30, 8
BONE_HU = 400.0  # what a mask without grey values is drawn as
TRUTH = "Truth (CT)"

GreyAndMask = tuple[NDArray[np.float32] | None, NDArray[np.bool_]]


def methods_picture(
    truth_hu: NDArray[np.float32], truth_labels: NDArray[np.integer], grid: Grid, methods: Mapping[str, GreyAndMask]
) -> bytes:
    """Draw a case.

    Args:
        truth_hu: HU (z, y, x) of the truth.
        truth_labels: Its vertebrae, likewise.
        grid: Their grid, along the axes of LPS.
        methods: HU and bone mask of each method on the same grid; without HU, its mask is drawn as even bone.

    Returns:
        A PNG in the bone window: each column a method, sagittal slice above the coronal one, methods marked synthetic.
    """
    columns: list[tuple[str, list[Image.Image]]] = []
    for name, (hu, mask) in methods.items():
        drawn = np.where(mask, BONE_HU, BONE_WINDOW.low_hu).astype(np.float32) if hu is None else hu
        shown = Shown(grid, drawn, mask, truth_hu, truth_labels)
        choices = [one for one in choose_slices(shown) if one.plane is not Plane.AXIAL]
        rows = [slice_row(shown, choice, PIXELS_PER_MM, TEXT_PX, bar_mm=None, compared=False) for choice in choices]
        if not columns:
            columns.append((TRUTH, [_truth_of(row) for row in rows]))
        columns.append((name, [row.synthetic for row in rows]))
    widths = [max(picture.width for picture in pictures) for _, pictures in columns]
    heights = [max(pictures[line].height for _, pictures in columns) for line in range(2)]
    width = sum(widths) + GAP_PX * (len(widths) + 1)
    sheet = Image.new("RGB", (width, HEAD_PX + sum(heights) + 2 * GAP_PX), INK)
    left = GAP_PX
    for (name, pictures), column in zip(columns, widths, strict=True):
        color = (255, 255, 255) if name == TRUTH else AMBER
        write_text(sheet, (left, 8), name, size_px=TEXT_PX, color=color)
        top = HEAD_PX
        for picture, height in zip(pictures, heights, strict=True):
            sheet.paste(picture, (left, top))
            top += height + GAP_PX
        left += column + GAP_PX
    return png_bytes(sheet)


def _truth_of(row: SliceRow) -> Image.Image:
    assert row.truth is not None
    return row.truth
