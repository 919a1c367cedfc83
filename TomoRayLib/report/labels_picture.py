"""The picture of a CT's labels: a sagittal and a coronal slice that follow the spine, vertebrae coloured and named."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, vertebra_mask
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, vertebra_labels_in
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.masks import bounding_box
from TomoRayLib.images.resampling import cropped, labels_on_grid, resample_averaged
from TomoRayLib.images.types import Volume
from TomoRayLib.report.drawing import (
    AMBER,
    INK,
    Rgb,
    annotate,
    grey_picture,
    png_bytes,
    scaled,
    write_text,
)
from TomoRayLib.report.slices import EDGES_OF_PLANE, Plane

STEP_MM, PIXELS_PER_MM = 1.0, 2.5
MARGIN_MM = 30.0  # around the vertebrae
COURSE_MM = 15.0  # SD of the smoothing of the course along z
BODY_SHARE = 0.3  # of a vertebra's depth from the front: in its body
OPACITY = 0.45
TEXT_PX, HEAD_PX, GAP_PX = 17, 64, 24
# Neighbours differ in hue and in brightness (Okabe and Ito's colours, made for any colour vision).
COLORS: tuple[Rgb, ...] = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))


def labels_picture(ct: Volume, labels: Volume, title: str, notice: str) -> bytes:
    """Draw the vertebrae of a CT.

    Args:
        ct: CT in HU, on any grid.
        labels: VerSe numbers on the same grid; without any, the middle of the CT is drawn.
        title: What is shown.
        notice: How the labels are marked.

    Returns:
        A PNG: sagittal and coronal slices through the vertebral bodies, straightened.
    """
    hu, marks = _around_vertebrae(ct, labels)
    course = _course(marks.voxels)
    rows = np.arange(marks.grid.shape[0])
    slices = {
        Plane.SAGITTAL: (hu.voxels[rows, :, course[1]], marks.voxels[rows, :, course[1]]),
        Plane.CORONAL: (hu.voxels[rows, course[0]], marks.voxels[rows, course[0]]),
    }
    pictures = [_slice_picture(grey[::-1], numbers[::-1], plane) for plane, (grey, numbers) in slices.items()]
    width = max(sum(picture.width for picture in pictures) + GAP_PX * (len(pictures) + 1), 640)
    sheet = Image.new("RGB", (width, HEAD_PX + pictures[0].height + GAP_PX), INK)
    write_text(sheet, (GAP_PX, 12), title, size_px=20, color=(255, 255, 255))
    write_text(sheet, (GAP_PX, 38), notice, size_px=15, color=AMBER)
    left = GAP_PX
    for picture in pictures:
        sheet.paste(picture, (left, HEAD_PX))
        left += picture.width + GAP_PX
    return png_bytes(sheet)


def _around_vertebrae(ct: Volume, labels: Volume) -> tuple[Volume, Volume]:
    """The part of both around the vertebrae, on one grid of 1 mm along LPS; without vertebrae all of it."""
    marks = labels_on_grid(labels, labels.grid.upright(STEP_MM))
    box = bounding_box(vertebra_mask(marks.voxels), margin=round(MARGIN_MM / STEP_MM))
    if box is not None:
        marks = cropped(marks, box)
    return resample_averaged(_part_of(ct, marks.grid), marks.grid), marks


def _part_of(ct: Volume, grid: Grid) -> Volume:
    """The voxels of a volume that a grid needs."""
    corners = (np.c_[grid.corners_mm(), np.ones(8)] @ ct.grid.world_to_index.T)[:, :3]
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, np.array(ct.grid.size) - 1)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, low + 1, ct.grid.size)
    z, y, x = (slice(int(first), int(end)) for first, end in zip(low[::-1], high[::-1], strict=True))
    return cropped(ct, (z, y, x))


def _course(labels: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Index (y, x) of the vertebral bodies in each slice along z; the middle without vertebrae."""
    bone = vertebra_mask(labels)
    heights = np.arange(bone.shape[0])
    places: list[NDArray[np.intp]] = []
    for axis, share in ((2, BODY_SHARE), (1, 0.5)):
        known, wanted = [], []
        for height in np.flatnonzero(bone.any(axis=(1, 2))):
            line = np.flatnonzero(bone[height].any(axis=axis - 1))
            known.append(height)
            wanted.append(np.quantile(line, share))
        if not known:
            places.append(np.full(len(heights), bone.shape[3 - axis] // 2))
            continue
        away = (heights[:, None] - np.array(known)) * STEP_MM / COURSE_MM
        weights = np.exp(-0.5 * (away - away[np.arange(len(heights)), np.abs(away).argmin(axis=1)][:, None]) ** 2)
        smooth = (weights * np.array(wanted)).sum(axis=1) / weights.sum(axis=1)
        places.append(np.clip(np.rint(smooth), 0, bone.shape[3 - axis] - 1).astype(np.intp))
    return places[0], places[1]


def _slice_picture(hu: NDArray[np.float32], labels: NDArray[Any], plane: Plane) -> Image.Image:
    """One slice (row, column), row 0 at the top, with its vertebrae in colours and their names at the right."""
    pixel_mm = (STEP_MM, STEP_MM)
    grey = grey_picture((scaled(hu, pixel_mm, PIXELS_PER_MM) - BONE_WINDOW.low_hu) / BONE_WINDOW.width_hu)
    picture = np.asarray(grey).astype(np.float32)
    names = []
    for label in vertebra_labels_in(np.unique(labels)):
        color = np.array(COLORS[label % len(COLORS)], np.float32)
        share = scaled((labels == label).astype(np.float32), pixel_mm, PIXELS_PER_MM, smooth=False)
        picture += (OPACITY * np.clip(share, 0, 1))[..., None] * (color - picture)
        row, column = (float(values.mean()) for values in np.nonzero(labels == label))
        names.append((NAME_OF_LABEL[label], row * PIXELS_PER_MM, column * PIXELS_PER_MM))
    drawn = Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    for name, row, column in names:
        write_text(drawn, (column, row), name, size_px=TEXT_PX, color=(255, 255, 255), anchor="mm")
    bar_mm = 50.0 if labels.shape[1] * STEP_MM > 60.0 else None
    return annotate(drawn, EDGES_OF_PLANE[plane], PIXELS_PER_MM, bar_mm=bar_mm, text_px=TEXT_PX)
