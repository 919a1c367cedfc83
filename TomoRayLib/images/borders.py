"""Flat borders of a radiograph: collimation, film edges, blanking, with straight edges or round an image intensifier.

A border begins at a side of the image, has one grey value but for noise, and ends at a sharp edge that is straight, or
part of a circle. Air beside a patient is flat too, but the outline of a body is neither straight nor sharp; a table and
the end of a CT in a DRR are straight, but not as sharp as blanking, so black and grey borders must be sharper than the
white ones, which a collimator casts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDES = ("top", "bottom", "left", "right")
ROUND = "round"  # in place of a side: what lies outside a circle

STRIP_PX = 3  # at the very side, from which a border's grey value is taken
FLAT_SHARE = 0.25  # of that strip, which has the border's value
NOISE_SDS = 4.5
TOLERANCE = 0.02  # of the image's range, for JPEG
LARGEST_NOISE = 0.02  # standard deviation of a border over the image's range
LEAST_STEP = 0.05  # of the image's range, between a border and the field
LEAST_DEPTH = 0.008  # of the image's rows or columns, and at least 3 pixels
LARGEST_DEPTH = 0.45
SHARP = 0.012  # of the image's size: within it the step is complete
CRISP, CRISP_SHARE = 0.002, 0.9  # of the image's size, at least 1 pixel, and of the step: that much there already
LARGEST_SLOPE = 0.2
LEAST_FIELD_PX = 16
LEAST_SPAN = 0.3  # of the side, along which the edge must be seen
ON_THE_LINE = {"black": 0.5, "white": 0.7, "grey": 0.7}  # share of what is seen: air makes a black border's edge ragged
ON_THE_LINE_AGAIN = 0.35  # if another side has a border of the same grey value already
ON_THE_CIRCLE = 0.75
OFF_THE_EDGE = 0.004  # of the image's size: how far a point may lie from the line or the circle


@dataclass(frozen=True, eq=False)
class Border:
    """One border: its side, ``colour`` ("black", "white", "grey"), mean depth, its pixels (rows, columns) True, and
    ``blur_px``, over how many pixels the field begins."""

    side: str
    colour: str
    depth_px: int
    mask: NDArray[np.bool_]
    blur_px: int = 0


@dataclass(frozen=True)
class _Flat:
    """The grey value of a border, and by how much its pixels may differ from it."""

    value: float
    tolerance: float


@dataclass(frozen=True)
class _Edge:
    """The edge of a border along the first row: its depth at column 0, and by how much that changes with the column."""

    first: float
    slope: float
    colour: str
    blur_px: int
    flat: _Flat


def find_borders(pixels: NDArray[np.float32]) -> list[Border]:
    """Find the flat borders of a radiograph.

    Args:
        pixels: (rows, columns), bone bright or dark, at any scale.

    Returns:
        At most one border for each side, or one that is round; none if the image has no flat border with a sharp edge.
    """
    sample = pixels[:: max(1, pixels.shape[0] // 512), :: max(1, pixels.shape[1] // 512)]
    low, high = (float(value) for value in np.percentile(sample, (0.5, 99.5)))
    if high <= low:
        return []
    edges: dict[str, _Edge] = {}
    for _ in range(2):  # again, because a border that is hard to see is believed if another side has the same
        known = [edge.flat for edge in edges.values()]
        for side in [side for side in SIDES if side not in edges]:
            edge = _straight_edge(_with_side_on_top(pixels, side), low, high, known)
            if edge is not None:
                edges[side] = edge
        if not edges:
            circle = _outside_a_circle(pixels, low, high)
            return [] if circle is None else [circle]
    return [_border(edges[side], side, pixels.shape) for side in SIDES if side in edges]


def field_within(shape: tuple[int, ...], borders: list[Border]) -> tuple[slice, slice]:
    """Return rows and columns of the rectangle that has none of the borders along a side; of a round one, the square
    within the circle. If that is smaller than ``LEAST_FIELD_PX``, the whole image."""
    top, bottom, left, right = 0, shape[0], 0, shape[1]
    for border in borders:
        depth = int(border.mask.sum(axis=1 if border.side in ("left", "right") else 0).max())
        if border.side == "top":
            top = depth
        elif border.side == "bottom":
            bottom -= depth
        elif border.side == "left":
            left = depth
        elif border.side == "right":
            right -= depth
        else:
            inside = np.argwhere(~border.mask)
            middle, half = inside.mean(axis=0), float(np.sqrt(len(inside) / (2 * np.pi))) - 1
            ends = [(middle[axis] - half, middle[axis] + half) for axis in (0, 1)]
            (top, bottom), (left, right) = (
                (max(0, round(low)), min(size, round(high))) for (low, high), size in zip(ends, shape, strict=True)
            )
    if bottom - top < LEAST_FIELD_PX or right - left < LEAST_FIELD_PX:
        return slice(0, shape[0]), slice(0, shape[1])
    return slice(top, bottom), slice(left, right)


def _border(edge: _Edge, side: str, shape: tuple[int, ...]) -> Border:
    """The border of an image of ``shape`` that ends at an edge."""
    across = shape[::-1] if side in ("left", "right") else shape
    rows, columns = np.ogrid[: across[0], : across[1]]
    mask = rows + 0.5 < edge.first + edge.slope * columns
    depth_px = round(edge.first + edge.slope * (across[1] - 1) / 2)
    return Border(side, edge.colour, depth_px, _with_side_on_top(mask, side, back=True), edge.blur_px)


def _with_side_on_top(image: NDArray[Any], side: str, back: bool = False) -> NDArray[Any]:
    """The image, a view of it, flipped or transposed so that ``side`` is its first row, or ``back`` from there."""
    if side == "bottom":
        return image[::-1]
    if side == "left":
        return image.T
    if side == "right":
        return image[::-1].T if back else image.T[::-1]
    return image


def _flat_value(values: NDArray[np.float32], span: float) -> _Flat | None:
    """The densest grey value of a strip; None if less than ``FLAT_SHARE`` of the strip has about one value."""
    ordered = np.sort(values, axis=None)
    count = max(2, round(FLAT_SHARE * len(ordered)))
    widths = ordered[count - 1 :] - ordered[: len(ordered) - count + 1]
    first = int(np.argmin(widths))
    sd = float(widths[first]) / 0.64  # the middle quarter of a normal distribution is 0.64 standard deviations wide
    if sd > LARGEST_NOISE * span:
        return None
    value = float(np.median(ordered[first : first + count]))
    near = ordered[np.abs(ordered - value) < 3.0 * sd + TOLERANCE * span]
    return _Flat(float(np.median(near)), max(NOISE_SDS * sd, TOLERANCE * span))


def _straight_edge(pixels: NDArray[np.float32], low: float, high: float, known: list[_Flat]) -> _Edge | None:
    """The edge of a border along the first row; None if there is none. ``known`` are borders of other sides."""
    span, (rows, columns) = high - low, pixels.shape
    flat = _flat_value(pixels[:STRIP_PX], span)
    if flat is None:
        return None
    depths = _depths(pixels, flat)
    seen = np.nonzero((depths > 0) & (depths < 0.75 * rows))[0]
    if len(seen) < LEAST_SPAN * columns:
        return None
    line = _line_through(seen, depths[seen], max(1.0, OFF_THE_EDGE * max(rows, columns)))
    if line is None:
        return None
    first, slope, on_it = line
    middle = first + slope * (columns - 1) / 2
    if not max(3.0, LEAST_DEPTH * rows) <= middle <= LARGEST_DEPTH * rows or on_it.sum() < LEAST_SPAN * columns:
        return None
    at = seen[on_it]
    step = _step(pixels, depths[at], at, flat, span)
    if step is None:
        return None
    blur_px, crisp = step
    colour = _colour(flat, pixels[int(np.ceil(middle)) :])
    again = any(abs(other.value - flat.value) <= max(other.tolerance, flat.tolerance) for other in known)
    least = ON_THE_LINE_AGAIN if again else ON_THE_LINE[colour]
    if on_it.mean() < least or (colour != "white" and not crisp):
        return None
    return _Edge(first, slope, colour, blur_px, flat)


def _depths(pixels: NDArray[np.float32], flat: _Flat) -> NDArray[np.int64]:
    """How many pixels of each column, from the first row on, have the border's value; all rows if none differs."""
    rows, columns = pixels.shape
    depths = np.full(columns, rows)
    open_columns = np.arange(columns)
    block = max(16, rows // 16)
    for start in range(0, rows, block):  # most columns end soon
        other = np.abs(pixels[start : start + block][:, open_columns] - flat.value) > flat.tolerance
        ends = other.any(axis=0)
        depths[open_columns[ends]] = start + other[:, ends].argmax(axis=0)
        open_columns = open_columns[~ends]
        if not len(open_columns):
            break
    return depths


def _line_through(
    columns: NDArray[np.int64], depths: NDArray[np.int64], tolerance: float
) -> tuple[float, float, NDArray[np.bool_]] | None:
    """(depth at column 0, slope, which points are on it) of the line that most of the points lie on."""
    few = np.unique(np.linspace(0, len(columns) - 1, 24).astype(int))
    best: tuple[float, float, NDArray[np.bool_]] | None = None
    lines = [(float(np.median(depths)), 0.0), *((float(depths[i]), 0.0) for i in few)]
    for i, j in combinations(few, 2):
        apart = columns[j] - columns[i]
        slope = (depths[j] - depths[i]) / apart
        if apart >= 0.2 * (columns[-1] - columns[0]) and 0 < abs(slope) <= LARGEST_SLOPE:
            lines.append((float(depths[i] - slope * columns[i]), float(slope)))
    for first, slope in lines:
        on_it = np.abs(depths - first - slope * columns) <= tolerance
        if best is None or on_it.sum() > best[2].sum():
            best = (first, slope, on_it)
    if best is None or best[2].sum() < 8:
        return None
    on_it = best[2]
    slope, first = (float(value) for value in np.polyfit(columns[on_it], depths[on_it], 1))
    if abs(slope) * (columns[-1] - columns[0]) < 1.0:
        slope, first = 0.0, float(np.round(np.median(depths[on_it])))
    return first, slope, np.abs(depths - first - slope * columns) <= tolerance


def _step(
    pixels: NDArray[np.float32], depths: NDArray[np.int64], columns: NDArray[np.int64], flat: _Flat, span: float
) -> tuple[int, bool] | None:
    """Pixels in which the field is reached behind a border's edge, and whether that is at once, but for one mixed
    pixel; None if there is no step, or no sharp one."""
    size = max(pixels.shape)
    reach, near = max(3, round(SHARP * size)), max(1, round(CRISP * size))
    behind = np.minimum(depths + np.arange(2 * reach + 2)[:, None], pixels.shape[0] - 1)
    away = np.abs(pixels[behind, columns] - flat.value)
    step = np.median(away, axis=1)
    whole = float(step[reach:].mean())
    if whole < max(LEAST_STEP * span, flat.tolerance) or (away[reach] > flat.tolerance).mean() < 0.6:
        return None
    if step[reach] <= 0.7 * whole:
        return None
    return int(np.argmax(step > 0.7 * whole)), bool(step[near] >= CRISP_SHARE * step[2 * near])


def _colour(flat: _Flat, field: NDArray[np.float32]) -> str:
    """A border's colour beside the field, which may hold parts of other borders."""
    sample = field[:: max(1, field.shape[0] // 256), :: max(1, field.shape[1] // 256)]
    others = sample[np.abs(sample - flat.value) > flat.tolerance]
    if not len(others):
        return "grey"
    dark, bright = np.percentile(others, (5, 95))
    return "black" if flat.value <= dark else "white" if flat.value >= bright else "grey"


def _outside_a_circle(pixels: NDArray[np.float32], low: float, high: float) -> Border | None:
    """The border of an image intensifier or a circular shutter: all four corners are flat, their edge is a circle."""
    (rows, columns), span, size = pixels.shape, high - low, max(pixels.shape)
    patch = max(3, round(0.02 * size))
    ends = (slice(0, patch), slice(-patch, None))
    corners = np.stack([pixels[i, j].ravel() for i in ends for j in ends])
    flat = _flat_value(corners, span)
    if flat is None or (np.abs(corners - flat.value) > flat.tolerance).mean() > 0.1:
        return None
    points, steps = [], []
    for side in SIDES:
        turned = _with_side_on_top(pixels, side)
        depths = _depths(turned, flat)
        at = np.nonzero((depths > patch) & (depths < 0.4 * turned.shape[0]))[0]
        if len(at) < 8:
            continue
        steps.append(_step(turned, depths[at], at, flat, span))
        row, column = depths[at] - 0.5, at.astype(float)
        if side == "bottom":
            row = rows - 1 - row
        elif side == "left":
            row, column = column, row
        elif side == "right":
            row, column = column, columns - 1 - row
        points.append(np.stack([row, column]))
    sharp = [step for step in steps if step is not None]
    if len(points) < 2 or len(sharp) <= len(steps) // 2:
        return None
    row, column = np.concatenate(points, axis=1)
    used = np.ones(len(row), dtype=bool)
    tolerance = max(1.5, OFF_THE_EDGE * size)
    middle_row = middle_column = radius = off = np.float64(0.0)
    for _ in range(4):  # the circle of least squares (Kasa), again without what lies off it
        system = np.stack([row[used], column[used], np.ones(used.sum())], axis=1)
        solved = np.linalg.lstsq(system, row[used] ** 2 + column[used] ** 2, rcond=None)[0]
        middle_row, middle_column = solved[0] / 2, solved[1] / 2
        radius = np.sqrt(max(0.0, solved[2] + middle_row**2 + middle_column**2))
        off = np.abs(np.hypot(row - middle_row, column - middle_column) - radius)
        used = off <= max(tolerance, float(np.quantile(off, 0.6)))
    on_it = off <= tolerance
    if on_it.mean() < ON_THE_CIRCLE or not 0.3 * min(rows, columns) <= radius <= 0.75 * size:
        return None
    angles = np.arctan2(row[on_it] - middle_row, column[on_it] - middle_column)
    if len(np.unique(np.floor(angles / (np.pi / 4)))) < 6:
        return None
    i, j = np.ogrid[:rows, :columns]
    mask = np.hypot(i - middle_row, j - middle_column) > radius
    colour = _colour(flat, pixels[~mask][None])
    if colour != "white" and sum(crisp for _, crisp in sharp) <= len(sharp) // 2:
        return None
    depth_px = round(float(min(rows, columns) / 2 - radius))
    return Border(ROUND, colour, depth_px, mask, max(blur_px for blur_px, _ in sharp))
