"""Letters and text on a radiograph: lead markers and what consoles burn in, white or black, also in a box or a frame.

Strokes are thin, as bright or dark everywhere, and end at once. Metal in a patient is thin too, but its grey values
follow its thickness and what lies behind it; where they are cut off, at the end of the range, its solid, drawn-out
shape tells it from a letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

WORKING_PX = 800  # longer images are looked at in blocks of pixels, of which the brightest or darkest counts
WIDEST_STROKE = 0.03  # of the image's size
LEAST_CONTRAST = 0.12  # of the image's range, of a stroke above what surrounds it
FLAT = 0.03  # of the image's range: strokes of one text differ no more
FLAT_OF_CONTRAST = 0.12  # of a stroke's contrast: nor do the pixels of one letter
EXTREME_PERCENTILE = 97.0  # of the image: letters are brighter
FLAT_SHARE = 0.4  # of a letter's pixels; the others are its softened outline
FLAT_SHARE_IN_LINE = 0.15  # of one beside a letter: thin strokes are all outline
LEAST_HEIGHT, LARGEST_HEIGHT, LARGEST_WIDTH = 0.012, 0.14, 0.6  # of the image's size
LEAST_SINGLE_HEIGHT = 0.022
RING_PX = 3  # around a stroke, where its surroundings are seen
SOLID = 0.8  # pixels over those of a full rectangle with the same second moments: a bar has 1, an L 0.6
SOLID_SHARE = 0.67  # of a text's letters, which may be bars: I, l, 1
LEAST_LETTERS = 3
LARGEST_GAP = 1.8  # between the middles of two letters, in the larger one's size
LARGEST_BOX = 0.4  # of the image's size
LARGEST_MARGIN = 3.0  # height of a box over that of its text


@dataclass(frozen=True, eq=False)
class Letters:
    """One letter or text: ``colour`` ("white", "black"), the slices around it, and ``mask``, its pixels True within
    these ``rows`` and ``columns``."""

    colour: str
    mask: NDArray[np.bool_]
    rows: slice
    columns: slice

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns, for an image's pixels."""
        return self.rows, self.columns


_Mask = tuple[tuple[slice, slice], NDArray[np.bool_]]  # rows and columns, and which pixels in them


@dataclass(frozen=True)
class _Part:
    """A connected part of strokes: its label, slices, grey value, size and shape."""

    label: int
    rows: slice
    columns: slice
    value: float
    solidity: float
    flat_share: float

    @property
    def is_sure(self) -> bool:
        return self.flat_share >= FLAT_SHARE

    @property
    def size(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def middle(self) -> tuple[float, float]:
        return (self.rows.start + self.rows.stop) / 2, (self.columns.start + self.columns.stop) / 2


def find_letters(pixels: NDArray[np.float32], hidden: NDArray[np.bool_] | None = None) -> list[Letters]:
    """Find letters and text on a radiograph.

    Args:
        pixels: (rows, columns), bone bright or dark, at any scale.
        hidden: (rows, columns), True where a border lies, which is not searched.

    Returns:
        Each letter, or each line of text with its box and frame.
    """
    block = max(1, max(pixels.shape) // WORKING_PX)
    outside = None if hidden is None else _brightest(hidden, block)
    found = []
    for colour, image in (("white", _brightest(pixels, block)), ("black", -_brightest(pixels, block, np.minimum))):
        for place, mask in _bright_letters(image, outside):
            rows, columns = (
                slice(one.start * block, min(one.stop * block, size))
                for one, size in zip(place, pixels.shape, strict=True)
            )
            mask = mask.repeat(block, axis=0).repeat(block, axis=1)[
                : rows.stop - rows.start, : columns.stop - columns.start
            ]
            found.append(Letters(colour, mask, rows, columns))
    return found


def _brightest(image: NDArray[Any], block: int, larger: np.ufunc = np.maximum) -> NDArray[Any]:
    """The largest, or smallest, value of each block of pixels; the last blocks may be smaller."""
    for _ in range(2):  # down, then across
        result = image[::block].copy()
        for first in range(1, block):
            others = image[first::block]
            larger(result[: len(others)], others, out=result[: len(others)])
        image = result.T
    return image


def _bright_letters(image: NDArray[np.float32], hidden: NDArray[np.bool_] | None) -> list[_Mask]:
    """Letters and texts that are brighter than what surrounds them."""
    size = max(image.shape)
    field = image if hidden is None or hidden.all() else image[~hidden]
    low, extreme, high = (float(value) for value in np.percentile(field, (0.5, EXTREME_PERCENTILE, 99.5)))
    span = high - low
    if span <= 0:
        return []
    if hidden is not None:
        image = np.where(hidden, np.float32(low), image)
    width = max(7, 2 * round(WIDEST_STROKE * size / 2) + 1)
    strokes = image - ndimage.grey_opening(image, size=(width, width)) > LEAST_CONTRAST * span
    labels, count = ndimage.label(strokes, structure=np.ones((3, 3)))
    if not count:
        return []
    parts: list[_Part] = []
    others: list[_Part] = []
    frames: list[_Part] = []
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        part = _part(image, labels, label, place, span)
        if part is None or part.value < extreme - FLAT * span:
            continue
        height, breadth = part.size
        if part.is_sure and max(height, breadth) <= LARGEST_BOX * size:
            frames.append(part)
        if min(height, breadth) <= LARGEST_HEIGHT * size and max(height, breadth) <= LARGEST_WIDTH * size:
            (parts if part.is_sure and max(height, breadth) >= LEAST_HEIGHT * size else others).append(part)
    result = []
    for group in _grouped(parts, FLAT * span):
        if _is_text(group, image.shape):
            result.append(_mask_of(_whole_line(group, others, FLAT * span), frames, image, labels, span))
    return result


def _part(
    image: NDArray[np.float32], labels: NDArray[np.int32], label: int, place: tuple[slice, slice], span: float
) -> _Part | None:
    """A connected part, if its pixels have one value and end at once; None for others."""
    inside = labels[place] == label
    if inside.sum() < 6:
        return None
    values = image[place][inside]
    value = float(np.percentile(values, 90))
    reach = RING_PX + 1
    wider = tuple(
        slice(max(0, one.start - reach), min(size, one.stop + reach))
        for one, size in zip(place, image.shape, strict=True)
    )
    ours = labels[wider] == label
    ring = ndimage.binary_dilation(ours, np.ones((3, 3)), iterations=RING_PX) & (labels[wider] == 0)
    near = ring & ~ndimage.binary_dilation(ours, np.ones((3, 3)), iterations=1)
    if not near.any():
        return None
    contrast = value - float(np.median(image[wider][near]))
    tolerance = min(FLAT * span, FLAT_OF_CONTRAST * contrast)
    flat_share = float((np.abs(values - value) <= tolerance).mean())
    if contrast < LEAST_CONTRAST * span or flat_share < FLAT_SHARE_IN_LINE:
        return None
    points = np.argwhere(inside).astype(float)
    moments = np.cov(points.T, bias=True) + np.eye(2) / 12  # a pixel is as wide as itself
    solidity = len(points) / (12 * float(np.sqrt(max(np.linalg.det(moments), 1e-9))))
    return _Part(label, place[0], place[1], value, solidity, flat_share)


def _grouped(parts: list[_Part], tolerance: float) -> list[list[_Part]]:
    """Parts of one grey value and about one size that stand side by side."""
    owner = list(range(len(parts)))

    def first(index: int) -> int:
        while owner[index] != index:
            index = owner[index]
        return index

    starts = np.array([(part.rows.start, part.columns.start) for part in parts]).reshape(-1, 2)
    stops = np.array([(part.rows.stop, part.columns.stop) for part in parts]).reshape(-1, 2)
    heights, smallest = (stops - starts)[:, 0], (stops - starts).min(axis=1)
    values = np.array([part.value for part in parts])
    for i in range(len(parts)):
        apart = np.maximum(starts[i], starts[:i]) - np.minimum(stops[i], stops[:i])
        low, high = np.minimum(heights[i], heights[:i]), np.maximum(heights[i], heights[:i])
        near = apart.max(axis=1) <= LARGEST_GAP * low
        in_line = (apart.min(axis=1) < 0) | (apart.max(axis=1) <= np.minimum(smallest[i], smallest[:i]))
        alike = (high <= 2.2 * low) & (np.abs(values[i] - values[:i]) <= tolerance)
        for j in np.nonzero(near & in_line & alike)[0].tolist():
            owner[first(i)] = first(j)
    groups: dict[int, list[_Part]] = {}
    for index, part in enumerate(parts):
        groups.setdefault(first(index), []).append(part)
    return list(groups.values())


def _whole_line(group: list[_Part], others: list[_Part], tolerance: float) -> list[_Part]:
    """A text with the parts beside it that are in its line and as bright, if less surely letters."""
    line, left = list(group), list(others)
    grew = True
    while grew:
        rows, columns = _around(line)
        height = rows.stop - rows.start
        beside = [
            part
            for part in left
            if rows.start - 0.25 * height <= part.rows.start
            and part.rows.stop <= rows.stop + 0.25 * height
            and max(part.columns.start - columns.stop, columns.start - part.columns.stop) <= LARGEST_GAP * height
            and abs(part.value - group[0].value) <= 2 * tolerance
        ]
        grew = bool(beside)
        line += beside
        left = [part for part in left if part not in beside]
    return line


def _is_text(group: list[_Part], shape: tuple[int, ...]) -> bool:
    """True if the shapes are those of letters: several that are not all bars, or one, large enough, that is no bar and
    does not touch a side of the image, as a corner of air does."""
    size = max(shape)
    open_shapes = [part for part in group if part.solidity <= SOLID]
    if len(group) >= LEAST_LETTERS:
        return len(open_shapes) >= (1 - SOLID_SHARE) * len(group)
    return any(
        LEAST_SINGLE_HEIGHT * size <= part.size[0] <= LARGEST_HEIGHT * size
        and 0.35 <= part.size[0] / part.size[1] <= 3.0
        and min(part.rows.start, part.columns.start) > 0
        and part.rows.stop < shape[0]
        and part.columns.stop < shape[1]
        for part in open_shapes
    )


def _mask_of(
    group: list[_Part],
    frames: list[_Part],
    image: NDArray[np.float32],
    labels: NDArray[np.int32],
    span: float,
) -> _Mask:
    """The letters with their softened outline, and the frame or the box around them."""
    outline = max(1, round(0.004 * max(image.shape)))
    rows, columns = _around(group)
    held_by = [
        frame
        for frame in frames
        if frame.rows.start < rows.start
        and frame.rows.stop > rows.stop
        and frame.columns.start < columns.start
        and frame.columns.stop > columns.stop
    ]
    height, breadth = rows.stop - rows.start, columns.stop - columns.start
    reach = ceil((LARGEST_MARGIN + 1) * height) + outline + 3  # a larger box is none
    margins = (reach, reach + breadth)
    window = tuple(
        slice(max(0, one.start - margin), one.stop + margin)
        for one, margin in zip(_around([*group, *held_by]), margins, strict=True)
    )
    first_row, first_column = window[0].start, window[1].start
    mask = np.isin(labels[window], [part.label for part in (*group, *held_by)])
    mask |= _box_around(
        image[window],
        mask,
        slice(rows.start - first_row, rows.stop - first_row),
        slice(columns.start - first_column, columns.stop - first_column),
        span,
    )
    mask = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=outline)
    down, across = ndimage.find_objects(mask.astype(np.int8))[0]
    place = (
        slice(down.start + first_row, down.stop + first_row),
        slice(across.start + first_column, across.stop + first_column),
    )
    return place, mask[down, across]


def _around(parts: list[_Part]) -> tuple[slice, slice]:
    """Rows and columns of the rectangle around parts."""
    return (
        slice(min(part.rows.start for part in parts), max(part.rows.stop for part in parts)),
        slice(min(part.columns.start for part in parts), max(part.columns.stop for part in parts)),
    )


def _box_around(
    image: NDArray[np.float32], mask: NDArray[np.bool_], rows: slice, columns: slice, span: float
) -> NDArray[np.bool_]:
    """The flat rectangle that the letters stand in; nothing if what surrounds them is not flat or no rectangle."""
    nothing = np.zeros(image.shape, dtype=bool)
    reach = max(2, round(0.15 * (rows.stop - rows.start)))
    around = (
        slice(max(0, rows.start - reach), rows.stop + reach),
        slice(max(0, columns.start - reach), columns.stop + reach),
    )
    letters = ndimage.binary_dilation(mask[around], np.ones((3, 3)), iterations=1)
    ground = image[around][~letters]
    if ground.size < 8:
        return nothing
    value = float(np.median(ground))
    if (np.abs(ground - value) <= FLAT * span).mean() < 0.6:
        return nothing
    flat, _ = ndimage.label(np.abs(image - value) <= FLAT * span)
    touched = flat[around][~letters & (flat[around] > 0)]
    if not touched.size:
        return nothing
    box = flat == np.bincount(touched).argmax()
    place = ndimage.find_objects(box.astype(np.int8))[0]
    height, text_height = place[0].stop - place[0].start, rows.stop - rows.start
    breadth, text_breadth = place[1].stop - place[1].start, columns.stop - columns.start
    if height > LARGEST_MARGIN * text_height or breadth > text_breadth + (LARGEST_MARGIN - 1) * text_height:
        return nothing  # air
    full = ndimage.binary_fill_holes(box[place] | mask[place])
    if full.mean() < 0.85:
        return nothing
    nothing[place] = full
    return nothing
