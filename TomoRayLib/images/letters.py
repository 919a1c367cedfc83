"""Letters and text on a radiograph: lead markers and what consoles burn in, white or black, also in a box or a frame.

Strokes are thin, as bright or dark everywhere, and end at once. Metal in a patient is thin too, but its grey values
follow its thickness and what lies behind it; where they are cut off, at the end of the range, its solid, drawn-out
shape tells it from a letter.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """One letter or text: ``colour`` ("white", "black"), its pixels (rows, columns) True, and the slices around it."""

    colour: str
    mask: NDArray[np.bool_]
    rows: slice
    columns: slice


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
    found = []
    for colour, sign in (("white", 1.0), ("black", -1.0)):
        image = _brightest(np.float32(sign) * pixels, block)
        outside = None if hidden is None else _brightest(hidden, block)
        for mask in _bright_letters(image, outside):
            whole = np.kron(mask, np.ones((block, block), dtype=bool))[: pixels.shape[0], : pixels.shape[1]]
            rows, columns = (np.nonzero(whole.any(axis=axis))[0] for axis in (1, 0))
            around = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
            found.append(Letters(colour, whole, *around))
    return found


def _brightest(image: NDArray[Any], block: int) -> NDArray[Any]:
    """The largest value of each block of pixels; the last blocks may be smaller."""
    if block == 1:
        return image
    rows, columns = image.shape
    padded = np.pad(image, ((0, -rows % block), (0, -columns % block)), mode="edge")
    result: NDArray[Any] = padded.reshape(-(-rows // block), block, -(-columns // block), block).max(axis=(1, 3))
    return result


def _bright_letters(image: NDArray[np.float32], hidden: NDArray[np.bool_] | None) -> list[NDArray[np.bool_]]:
    """The masks of letters and texts that are brighter than what surrounds them."""
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

    for i, one in enumerate(parts):
        for j in range(i):
            other = parts[j]
            sizes = sorted((max(one.size), max(other.size)))
            apart = [
                max(a.start, b.start) - min(a.stop, b.stop)
                for a, b in ((one.rows, other.rows), (one.columns, other.columns))
            ]
            smaller = min(min(one.size), min(other.size), sizes[0])
            near = max(apart) <= LARGEST_GAP * sorted((max(one.size[0], 1), max(other.size[0], 1)))[0]
            in_line = min(apart) < 0 or max(apart) <= smaller
            alike = max(one.size[0], other.size[0]) <= 2.2 * min(one.size[0], other.size[0])
            if near and in_line and alike and abs(one.value - other.value) <= tolerance:
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
        rows = slice(min(part.rows.start for part in line), max(part.rows.stop for part in line))
        columns = slice(min(part.columns.start for part in line), max(part.columns.stop for part in line))
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
) -> NDArray[np.bool_]:
    """The letters with their softened outline, and the frame or the box around them."""
    size = max(image.shape)
    mask = np.isin(labels, [part.label for part in group])
    rows = slice(min(part.rows.start for part in group), max(part.rows.stop for part in group))
    columns = slice(min(part.columns.start for part in group), max(part.columns.stop for part in group))
    for frame in frames:
        holds = frame.rows.start < rows.start and frame.rows.stop > rows.stop
        if holds and frame.columns.start < columns.start and frame.columns.stop > columns.stop:
            mask |= labels == frame.label
    mask |= _box_around(image, mask, rows, columns, span)
    result: NDArray[np.bool_] = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=max(1, round(0.004 * size)))
    return result


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
