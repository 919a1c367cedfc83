"""Each vertebra in a picture of its own: a sagittal and a coronal cut through its body, the truth above the synthetic.

All cuts are of one size in mm, and the two of a vertebra of one place: that of the true body, so that a synthetic one
that lies beside it is seen to. Without a truth it is the place of the synthetic body.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.base.notices import SHORT
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.measures.vertebra_frame import body_middle_mm, vertebra_masks
from TomoRayLib.report.content import ReportContent, Shown
from TomoRayLib.report.drawing import (
    AMBER,
    OUTLINE,
    WHITE,
    Rgb,
    annotate,
    grey_picture,
    outline,
    paint,
    scaled,
    write_text,
)
from TomoRayLib.report.label_places import vertebra_places
from TomoRayLib.report.slices import Plane, pixel_size_mm, slice_image

WIDTH_MM, HEIGHT_MM = 62.0, 50.0  # of a cut: a lumbar body with half of its neighbours
PIXELS_PER_MM = 3.2
SIZE_PX = (round(HEIGHT_MM * PIXELS_PER_MM), round(WIDTH_MM * PIXELS_PER_MM))  # (rows, columns)
BAR_MM = 20.0
GAP_PX = 4
TEXT_PX, NAME_PX = 20, 20
NAMED_MM2 = 120.0  # the part of a cut that a vertebra needs for its name
LINE_PX = 2
BLACK = (0, 0, 0)
TRUTH, NOT_SCORED = "TRUTH", "CT"
PLANES = (Plane.SAGITTAL, Plane.CORONAL)
_NORMAL_AXIS = {Plane.CORONAL: 1, Plane.SAGITTAL: 2}  # of the array (z, y, x)

Index = tuple[int, int, int]  # (k, j, i)


@dataclass(frozen=True, eq=False)
class VertebraPicture:
    """One vertebra: its VerSe number, the true one if there is a truth, and its sagittal and its coronal cut."""

    label: int
    picture: Image.Image

    @property
    def name(self) -> str:
        """``"T12"``."""
        return NAME_OF_LABEL[self.label]


@dataclass(frozen=True, eq=False)
class VertebraStrip:
    """The pictures of whole vertebrae from cranial to caudal, and the names of those that the field of view cuts."""

    pictures: tuple[VertebraPicture, ...]
    cut: tuple[str, ...]


def vertebra_strip(content: ReportContent, middles_mm: Mapping[int, Vector3] | None = None) -> VertebraStrip:
    """Draw each whole vertebra: of the truth if its vertebrae are told apart, else of the synthetic CT.

    Args:
        content: The case.
        middles_mm: Middles of bodies in LPS mm by VerSe number, as far as they are known; others are looked for.

    Returns:
        The strip; no pictures if no vertebrae are told apart.
    """
    shown = content.shown
    labels = shown.synthetic_labels if shown.truth_labels is None else shown.truth_labels
    if labels is None:
        return VertebraStrip((), ())
    places = vertebra_places(labels)
    whole = [label for label, place in places.items() if place.is_whole]
    if shown.truth_labels is None and content.spine is not None:
        whole = [one.number for one in content.spine.vertebrae if one.whole and one.number in whole]
    found = _middles(labels, shown.grid, whole, middles_mm or {})
    doubt = content.synthetic_doubt
    pictures = tuple(VertebraPicture(label, _picture(shown, label, found[label], doubt)) for label in whole)
    return VertebraStrip(pictures, tuple(NAME_OF_LABEL[label] for label in places if label not in whole))


def _middles(labels: NDArray[Any], grid: Grid, wanted: list[int], known_mm: Mapping[int, Vector3]) -> dict[int, Index]:
    """Middles of bodies as indices (k, j, i)."""
    masks = {} if set(wanted) <= set(known_mm) else vertebra_masks(labels, grid)
    middles = {}
    for label in wanted:
        place = np.asarray(known_mm[label] if label in known_mm else body_middle_mm(masks[label]))
        i, j, k = np.rint(np.linalg.solve(grid.index_to_world, np.append(place, 1.0))[:3]).astype(int).tolist()
        middles[label] = (k, j, i)
    return middles


def _picture(shown: Shown, label: int, middle: Index, doubt: str) -> Image.Image:
    """The cuts of one vertebra; ``doubt`` stands behind the names of synthetic ones."""
    cuts = [_Cut(shown, plane, middle, doubt) for plane in PLANES]
    rows = [[cut.truth(label) for cut in cuts]] if shown.truth_hu is not None else []
    rows.append([cut.synthetic(label) for cut in cuts])
    height, width = SIZE_PX
    sheet = Image.new("RGB", (2 * width + GAP_PX, len(rows) * (height + GAP_PX) - GAP_PX), WHITE)
    for down, row in enumerate(rows):
        for right, picture in enumerate(row):
            sheet.paste(picture, (right * (width + GAP_PX), down * (height + GAP_PX)))
    return sheet


class _Cut:
    """A cut of one size along a plane through a place, in the bone window."""

    def __init__(self, shown: Shown, plane: Plane, middle: Index, doubt: str) -> None:
        self._shown, self._plane, self._middle, self._doubt = shown, plane, middle, doubt
        self._pixel_mm = pixel_size_mm(shown.grid, plane)

    def truth(self, label: int) -> Image.Image:
        """The CT, with the outline of a true vertebra if it is scored."""
        assert self._shown.truth_hu is not None
        picture = self._grey(self._shown.truth_hu)
        if self._shown.truth_labels is None:
            return self._lettered(picture, NOT_SCORED, WHITE)
        return self._lettered(self._outlined(picture, self._true(label), OUTLINE), TRUTH, WHITE)

    def synthetic(self, label: int) -> Image.Image:
        """The synthetic CT with its own outlines, and with that of the true vertebra if there is a truth. Without one
        the outline is that of its own vertebra ``label`` alone."""
        picture = self._grey(self._shown.synthetic_hu)
        alone = self._shown.truth_labels is None
        own = self._own(label if alone else None)
        for mask in own.values():
            picture = self._outlined(picture, mask, AMBER)
        if not alone:
            picture = self._outlined(picture, self._true(label), OUTLINE)
            if self._plane is Plane.SAGITTAL:
                self._write_names(picture, own)
        if self._plane is Plane.CORONAL:
            annotate(picture, None, PIXELS_PER_MM, bar_mm=BAR_MM, text_px=TEXT_PX)
        return self._lettered(picture, SHORT, AMBER)

    def _true(self, label: int) -> NDArray[np.bool_]:
        assert self._shown.truth_labels is not None
        return self._window(self._shown.truth_labels, 0) == label

    def _own(self, label: int | None) -> dict[int, NDArray[np.bool_]]:
        """The synthetic vertebrae in the cut, or ``label`` alone; all bone as 0 if they are not told apart."""
        if self._shown.synthetic_labels is None:
            return {0: self._window(self._shown.synthetic_mask, 0)}
        labels = self._window(self._shown.synthetic_labels, 0)
        wanted = [label] if label is not None else [one for one in np.unique(labels).tolist() if one]
        return {one: labels == one for one in wanted}

    def _write_names(self, picture: Image.Image, own: Mapping[int, NDArray[np.bool_]]) -> None:
        """The names of synthetic vertebrae at the front of what the cut shows of them, if that is worth a name."""
        rows_mm, columns_mm = self._pixel_mm
        for label, mask in own.items():
            rows, columns = np.nonzero(mask)
            if label and len(rows) * rows_mm * columns_mm >= NAMED_MM2:
                right_mm = (columns.mean() - (mask.shape[1] - 1) / 2) * columns_mm
                down_mm = (rows.mean() - (mask.shape[0] - 1) / 2) * rows_mm
                place = (SIZE_PX[1] / 2 + right_mm * PIXELS_PER_MM, SIZE_PX[0] / 2 + down_mm * PIXELS_PER_MM)
                name = NAME_OF_LABEL[label] + self._doubt
                write_text(picture, place, name, size_px=NAME_PX, color=AMBER, anchor="mm", halo=BLACK)

    def _grey(self, hu: NDArray[Any]) -> Image.Image:
        shown = self._scaled(self._window(hu, BONE_WINDOW.low_hu))
        return grey_picture((shown - BONE_WINDOW.low_hu) / BONE_WINDOW.width_hu)

    def _outlined(self, picture: Image.Image, mask: NDArray[np.bool_], color: Rgb) -> Image.Image:
        return paint(picture, outline(self._scaled(mask, smooth=False), LINE_PX), color)

    def _scaled(self, part: NDArray[Any], smooth: bool = True) -> NDArray[np.float32]:
        """A part of a slice about its middle as a picture of ``SIZE_PX``."""
        whole = scaled(part, self._pixel_mm, PIXELS_PER_MM, smooth=smooth)
        top, left = ((have - want) // 2 for have, want in zip(whole.shape, SIZE_PX, strict=True))
        return whole[top : top + SIZE_PX[0], left : left + SIZE_PX[1]]

    def _lettered(self, picture: Image.Image, marking: str, color: Rgb) -> Image.Image:
        write_text(picture, (4, 4), marking, size_px=TEXT_PX, color=color, halo=BLACK)
        return picture

    def _window(self, voxels: NDArray[Any], outside: float) -> NDArray[Any]:
        """The part of a volume (z, y, x) that holds the cut in its middle, (row, column), row 0 superior; ``outside``
        beyond the volume."""
        k, *across = self._middle
        normal = _NORMAL_AXIS[self._plane]
        whole = slice_image(voxels, self._plane, across[normal - 1])
        centers = (voxels.shape[0] - 1 - k, across[2 - normal])
        halves = [
            math.ceil(size_mm / 2 / step) for size_mm, step in zip((HEIGHT_MM, WIDTH_MM), self._pixel_mm, strict=True)
        ]
        shape = (2 * halves[0] + 1, 2 * halves[1] + 1)
        result = np.full(shape, outside, dtype=whole.dtype)
        source, place = [], []
        for center, half, count in zip(centers, halves, whole.shape, strict=True):
            first, last = max(center - half, 0), min(center + half + 1, count)
            source.append(slice(first, last))
            place.append(slice(first - center + half, last - center + half))
        result[tuple(place)] = whole[tuple(source)]
        return result
