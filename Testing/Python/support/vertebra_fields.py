"""Labelled spines of ellipsoids on curved courses, for the tests of vertebra fields, and fields with errors in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.vertebra_field import LEVEL_UNIT, OFFSET_UNIT_MM
from TomoRayLib.geometry.grid import Grid


def course(number: int, first_mm: Sequence[float], gap_mm: float, lean_deg: float, tilt_deg: float) -> NDArray[Any]:
    """Centres (number, 3) in LPS mm down from ``first_mm``: the way leans back by ``lean_deg`` at the top and forward
    at the bottom, and likewise to the left and to the right by ``tilt_deg``; distances grow by 2 % from each to the
    next."""
    places = [np.asarray(first_mm, float)]
    for step in range(number - 1):
        lean, tilt = np.deg2rad([lean_deg, tilt_deg]) * (1 - 2 * step / max(number - 2, 1))
        way = np.array([np.sin(tilt), np.cos(tilt) * np.sin(lean), -np.cos(tilt) * np.cos(lean)])
        places.append(places[-1] + gap_mm * 1.02**step * way)
    return np.array(places)


def labelled_spine(centers_mm: NDArray[Any], numbers: Sequence[int], grid: Grid) -> NDArray[np.uint8]:
    """Labels (z, y, x): a body about each place, tilted along the course, a process behind it and another at its left
    side alone, with gaps at the discs."""
    index = np.stack(np.meshgrid(*(np.arange(size) for size in grid.shape), indexing="ij"))
    scaled = grid.direction_matrix * np.asarray(grid.spacing_mm)
    position = np.moveaxis(index[::-1], 0, -1) @ scaled.T + np.asarray(grid.origin_mm)
    along = np.gradient(centers_mm, axis=0)
    labels = np.zeros(grid.shape, np.uint8)
    for place, down, number in zip(centers_mm, along, numbers, strict=True):
        gap = float(np.linalg.norm(down))
        down = down / gap
        back = np.cross([1.0, 0.0, 0.0], down)
        back = back / np.linalg.norm(back) * (1 if back[1] > 0 else -1)
        side = np.cross(back, down)
        away = position - place
        parts = (
            ((0.0, 0.0, 0.0), (0.8 * gap, 0.6 * gap, 0.4 * gap)),
            ((0.0, 1.0 * gap, 0.25 * gap), (0.2 * gap, 0.7 * gap, 0.2 * gap)),
            ((0.9 * gap, 0.3 * gap, 0.0), (0.6 * gap, 0.2 * gap, 0.2 * gap)),
        )
        for (x, y, z), radii in parts:
            local = np.stack([away @ side - x, away @ back - y, away @ down - z], axis=-1)
            labels[((local / np.asarray(radii)) ** 2).sum(axis=-1) <= 1] = number
    return labels


def with_errors(
    field: NDArray[np.float32], offset_sd_mm: float, level_sd: float, seed: int, width: float = 0.0
) -> NDArray[np.float32]:
    """A field with normal errors of its offsets and levels (in vertebrae), alike over ``width`` voxels."""
    errors = np.random.default_rng(seed).normal(size=field.shape)
    if width:
        errors = ndimage.gaussian_filter(errors, (0, width, width, width))
        errors /= errors.std()
    scales = np.array([offset_sd_mm / OFFSET_UNIT_MM] * 3 + [level_sd / LEVEL_UNIT])
    return (field + errors * scales[:, None, None, None]).astype(np.float32)
