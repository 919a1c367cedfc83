"""Slices as a radiologist looks at them: the orientation of voxels in the picture, and which slices show the spine.

Axial is seen from the feet (patient's right at image left, anterior at the top), coronal from the front (right at
image left, superior at the top), sagittal from the patient's left (anterior at image left, superior at the top).
All arrays here lie along the axes of LPS: ``(z, y, x)`` = (superior, posterior, left) for rising indices.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.report.content import Shown
from TomoRayLib.report.label_places import counts_along_axes, vertebra_places

AXIAL_SHARES = (0.82, 0.5, 0.18)  # of the spine's height: superior, middle, inferior level


class Plane(str, Enum):
    """The three standard planes."""

    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"


@dataclass(frozen=True)
class Edges:
    """The orientation letters at the four edges of a picture."""

    left: str
    right: str
    top: str
    bottom: str


EDGES_OF_PLANE = {
    Plane.AXIAL: Edges("R", "L", "A", "P"),
    Plane.CORONAL: Edges("R", "L", "S", "I"),
    Plane.SAGITTAL: Edges("A", "P", "S", "I"),
}
_NORMAL_AXIS = {Plane.AXIAL: 0, Plane.CORONAL: 1, Plane.SAGITTAL: 2}  # of the array (z, y, x)


@dataclass(frozen=True)
class SliceChoice:
    """One slice to show: ``index`` along its plane's normal, the box ``rows`` x ``columns`` of it, a caption."""

    plane: Plane
    index: int
    rows: slice
    columns: slice
    caption: str


def slice_image(voxels: NDArray[Any], plane: Plane, index: int) -> NDArray[Any]:
    """The slice ``index`` of ``voxels`` (z, y, x) as (row, column), row 0 at the top of the picture."""
    picture = np.take(voxels, index, axis=_NORMAL_AXIS[plane])
    return picture if plane is Plane.AXIAL else picture[::-1]


def cut(voxels: NDArray[Any], choice: SliceChoice) -> NDArray[Any]:
    """The chosen slice of ``voxels`` (z, y, x), cut to its box: (row, column)."""
    return slice_image(voxels, choice.plane, choice.index)[choice.rows, choice.columns]


def pixel_size_mm(grid: Grid, plane: Plane) -> tuple[float, float]:
    """(row, column) spacing of a slice picture."""
    x, y, z = grid.spacing_mm
    return {Plane.AXIAL: (y, x), Plane.CORONAL: (z, x), Plane.SAGITTAL: (z, y)}[plane]


def edges_of_axes(right: NDArray[Any], down: NDArray[Any]) -> Edges:
    """The letters of a picture whose columns run along ``right`` and rows along ``down``, unit vectors in LPS."""
    return Edges(*(direction_letters(v) for v in (-right, right, -down, down)))


def edges_of_view(view: View) -> Edges:
    """The letters of a radiograph."""
    return edges_of_axes(view.right, view.down)


def direction_letters(vector: NDArray[Any]) -> str:
    """L, R, P, A, S, I for a direction in LPS; two letters, the main one first, if it is oblique by over 20 deg."""
    letters = ("RL", "AP", "IS")
    order = np.argsort(-np.abs(vector))
    used = [axis for axis in order if abs(vector[axis]) > np.sin(np.deg2rad(20.0))][:2]
    return "".join(letters[axis][int(vector[axis] > 0)] for axis in used)


def choose_slices(shown: Shown, axial_side_mm: float = 120.0, margin_mm: float = 14.0) -> tuple[SliceChoice, ...]:
    """A sagittal and a coronal slice through the spine's centre of mass, and three axial levels.

    With labels the axial levels pass through the centres of complete vertebrae. Sagittal and coronal boxes have one
    width in mm. Without any bone: the middle of the field of view.
    """
    bone, grid = shown.bone, shown.grid
    low, middle, high = _middle_and_ends(shown)
    rows = _box(low[0], high[0], margin_mm, grid.spacing_mm[2], grid.shape[0])
    rows = slice(grid.shape[0] - rows.stop, grid.shape[0] - rows.start)  # row 0 is superior
    half_mm = max((high[1] - low[1]) * grid.spacing_mm[1], (high[2] - low[2]) * grid.spacing_mm[0]) / 2 + margin_mm
    choices = []
    for plane, axis, normal in ((Plane.SAGITTAL, 1, 2), (Plane.CORONAL, 2, 1)):
        spacing = grid.spacing_mm[2 - axis]
        columns = _around((low[axis] + high[axis]) / 2, half_mm, spacing, grid.shape[axis])
        place = _place(grid, normal, int(middle[normal]))
        choices.append(SliceChoice(plane, int(middle[normal]), rows, columns, f"{plane.value.capitalize()}, {place}"))
    half_side = axial_side_mm / 2
    for level, name in _axial_levels(shown, low[0], high[0]):
        here = np.argwhere(bone[level])
        y, x = here.mean(axis=0) if len(here) else middle[1:]
        y_box = _around(y, half_side, grid.spacing_mm[1], grid.shape[1])
        x_box = _around(x, half_side, grid.spacing_mm[0], grid.shape[2])
        choices.append(SliceChoice(Plane.AXIAL, level, y_box, x_box, f"Axial{name}, {_place(grid, 0, level)}"))
    return tuple(choices)


def _middle_and_ends(shown: Shown) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First index (k, j, i) of any bone, middle of the spine, last index of bone; without any, those of the grid."""
    counts = counts_along_axes(shown.bone)
    if counts is None:
        last = np.array(shown.grid.shape) - 1
        return np.zeros(3, np.int64), np.rint(last / 2).astype(np.int64), last
    middle = [float(along @ np.arange(len(along))) / float(along.sum()) for along in counts]
    both = [counts, counts_along_axes(shown.synthetic_mask) or counts]
    ends = np.array([[np.flatnonzero(along)[[0, -1]] for along in one] for one in both])  # (mask, axis, end)
    return ends[:, :, 0].min(axis=0), np.rint(middle).astype(np.int64), ends[:, :, 1].max(axis=0)


def _axial_levels(shown: Shown, low: int, high: int) -> list[tuple[int, str]]:
    """(slice, ", name of the vertebra") from superior to inferior."""
    wanted = [round(low + share * (high - low)) for share in AXIAL_SHARES]
    centers = _vertebra_centers(shown)
    levels: list[tuple[int, str]] = []
    for level in wanted:
        free = {name: center for name, center in centers.items() if f", {name}" not in [n for _, n in levels]}
        if free:
            name = min(free, key=lambda key: abs(free[key] - level))
            levels.append((round(free[name]), f", {name}"))
        else:
            levels.append((level, ""))
    return levels


def _vertebra_centers(shown: Shown) -> dict[str, float]:
    """Height index of the centre of each vertebra that lies completely inside the field of view."""
    if shown.truth_labels is None:
        return {}
    places = vertebra_places(shown.truth_labels).items()
    return {NAME_OF_LABEL[label]: float(place.center_index[0]) for label, place in places if place.is_whole}


def _place(grid: Grid, axis: int, index: int) -> str:
    """The position of a slice in LPS: ``x = 12 mm``."""
    name = "zyx"[axis]
    position = grid.origin_mm[2 - axis] + index * grid.spacing_mm[2 - axis]
    return f"{name} = {position:.0f} mm".replace("-", "\N{MINUS SIGN}")


def _box(low: float, high: float, margin_mm: float, spacing_mm: float, count: int) -> slice:
    margin = margin_mm / spacing_mm
    return slice(max(0, int(low - margin)), min(count, int(np.ceil(high + margin)) + 1))


def _around(center: float, half_mm: float, spacing_mm: float, count: int) -> slice:
    """``2 * half_mm`` about ``center``, moved into the grid if it would leave it."""
    length = min(count, max(1, round(2 * half_mm / spacing_mm)))
    start = min(max(0, round(center - (length - 1) / 2)), count - length)
    return slice(start, start + length)
