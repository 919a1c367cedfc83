"""The flat pictures of one case: its radiographs, and its slices with truth and difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.notices import SHORT
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.views import View
from TomoRayLib.report.color_maps import DIFFERENCE_COLORS
from TomoRayLib.report.content import Names, Shown
from TomoRayLib.report.drawing import (
    OUTLINE,
    annotate,
    grey_picture,
    outline,
    paint,
    scaled,
    text_width_px,
    write_text,
)
from TomoRayLib.report.slices import (
    EDGES_OF_PLANE,
    Plane,
    SliceChoice,
    choose_slices,
    cut,
    edges_of_view,
    pixel_size_mm,
)

Array = NDArray[np.float32]

RADIOGRAPH_PX = 720  # longer side
LONG_PIXELS_PER_MM, AXIAL_PIXELS_PER_MM = 3.1, 3.8
TEXT_PX = 24  # the page shows pictures at half size
RADIOGRAPH_PERCENTILES = (1.0, 99.7)
NAME, BLACK = (255, 214, 102), (0, 0, 0)
OUTLINE_MM = 3.0  # of synthetic bone along a ray, where its outline runs on a radiograph
BEFORE_MM = 34.0  # from a vertebra's centroid, near its canal, to before its body
TRUTH, NOT_SCORED = "Truth (CT)", "CT (not scored)"  # headings above pictures of the CT


@dataclass(frozen=True, eq=False)
class SliceRow:
    """One slice in up to four readings. ``outlined`` is the synthetic slice with the truth's outline.

    A CT that is not scored gives no ``outlined`` and no ``difference``.
    """

    caption: str
    synthetic: Image.Image
    truth: Image.Image | None = None
    outlined: Image.Image | None = None
    difference: Image.Image | None = None


def radiograph_picture(pixels: Array, view: View, size_px: int = RADIOGRAPH_PX, text_px: int = TEXT_PX) -> Image.Image:
    """A radiograph (rows, columns), bone bright, with letters and a scale bar of 50 mm at the isocentre."""
    picture, pixels_per_mm = _plain_radiograph(pixels, view, size_px)
    return annotate(picture, edges_of_view(view), pixels_per_mm, text_px=text_px)


def reprojection_picture(pixels: Array, view: View, bone_mm: Array, names: Names = ()) -> Image.Image:
    """A radiograph with the outline of the synthetic bone, and the names of its vertebrae at their centroids.

    Args:
        pixels: The radiograph (rows, columns), bone bright.
        view: Its view, in the frame of the names' places.
        bone_mm: (rows, columns) millimetres of synthetic bone along the rays over the same field, on other pixels.
        names: Names with their places in LPS mm.

    Returns:
        The picture, as large as ``radiograph_picture`` gives it, marked as synthetic.
    """
    picture, pixels_per_mm = _plain_radiograph(pixels, view, RADIOGRAPH_PX)
    size = Image.fromarray(bone_mm).resize(picture.size, Image.Resampling.BILINEAR)
    within = (np.asarray(size) > OUTLINE_MM).astype(np.float32)
    picture = paint(picture, outline(within), OUTLINE)
    rows, columns = pixels.shape
    for name, center_mm in names:
        ((column, row),) = view.project_points(np.array([center_mm]))
        place = ((column + 0.5) * picture.width / columns, (row + 0.5) * picture.height / rows)
        write_text(picture, place, name, size_px=TEXT_PX, color=NAME, anchor="mm", halo=BLACK)
    return annotate(picture, edges_of_view(view), pixels_per_mm, marking=SHORT, text_px=TEXT_PX)


def _plain_radiograph(pixels: Array, view: View, size_px: int) -> tuple[Image.Image, float]:
    """The radiograph in grey, and its pixels per mm at the isocentre."""
    row_mm, column_mm = pixel_size_at_isocenter_mm(view)
    pixels_per_mm = size_px / max(pixels.shape[0] * row_mm, pixels.shape[1] * column_mm)
    values = pixels.astype(np.float32)
    low, high = np.percentile(values, RADIOGRAPH_PERCENTILES)
    share = (scaled(values, (row_mm, column_mm), pixels_per_mm) - low) / max(float(high - low), 1e-6)
    return grey_picture(share), pixels_per_mm


def pixel_size_at_isocenter_mm(view: View) -> tuple[float, float]:
    """(row, column) spacing of the detector, divided by the magnification at the isocentre."""
    row_mm, column_mm = view.detector.pixel_spacing_mm
    down, right = view.beam.magnifications
    return (row_mm / down, column_mm / right)


def geometry_text(view: View) -> str:
    """The view's geometry in a few words with units."""
    row_mm, column_mm = view.detector.pixel_spacing_mm
    size = f"{view.detector.rows} × {view.detector.columns} pixels of {row_mm:.4g} × {column_mm:.4g} mm"
    beam = "Parallel beam"
    if not isinstance(view.beam, ParallelBeam):
        kind = "Cone beam" if isinstance(view.beam, ConeBeam) else "Slot scan"
        sad_mm, sid_mm = view.beam.sad_mm, view.beam.sid_mm
        beam = f"{kind}, SAD {sad_mm:.4g} mm, SID {sid_mm:.4g} mm"
        if sad_mm == sid_mm:  # the scouts of a CT
            beam = f"{kind}, drawn in the plane of the synthetic CT's middle, {sad_mm:.4g} mm from the source"
    return f"{beam}; {size}; gantry {view.gantry_angle_deg:g}°"


def truth_heading(shown: Shown) -> str:
    """The heading above pictures of the truth: ``Truth (CT)``, with whose labels cut it out if not the user's."""
    return TRUTH if shown.labels_by is None else f"{TRUTH.removesuffix(')')}, {shown.labels_by})"


def slice_rows(shown: Shown) -> tuple[SliceRow, ...]:
    """Sagittal, coronal and three axial slices."""
    return tuple(slice_row(shown, choice) for choice in choose_slices(shown))


def slice_row(
    shown: Shown,
    choice: SliceChoice,
    pixels_per_mm: float | None = None,
    text_px: int = TEXT_PX,
    bar_mm: float | None = 50.0,
    compared: bool = True,
) -> SliceRow:
    """One slice in all readings that the case allows, in the bone window; those that compare only if ``compared``."""
    default = AXIAL_PIXELS_PER_MM if choice.plane is Plane.AXIAL else LONG_PIXELS_PER_MM
    painter = _SlicePainter(shown, choice, pixels_per_mm or default, text_px, bar_mm)
    plain = painter.plain(shown.synthetic_hu)
    synthetic = painter.lettered(plain, SHORT, shown.synthetic_names)
    if shown.truth_hu is None:
        return SliceRow(choice.caption, synthetic)
    truth = painter.lettered(painter.plain(shown.truth_hu), None, shown.truth_names)
    if shown.truth_mask is None or not compared:
        return SliceRow(choice.caption, synthetic, truth)
    return SliceRow(
        caption=choice.caption,
        synthetic=synthetic,
        truth=truth,
        outlined=painter.outlined(plain, shown.truth_mask),
        difference=painter.difference(shown.synthetic_hu, shown.truth_hu),
    )


def name_place(grid: Grid, choice: SliceChoice, center_mm: Vector3, pixels_per_mm: float) -> tuple[float, float]:
    """(x, y) in the picture of a sagittal slice at the height of a vertebra's centroid, before its body."""
    _, j, k = np.linalg.solve(grid.index_to_world, (*center_mm, 1.0))[:3]
    row_mm, column_mm = pixel_size_mm(grid, choice.plane)
    row = grid.shape[0] - 1 - k - choice.rows.start  # row 0 is superior
    x_mm = (j - choice.columns.start + 0.5) * column_mm - BEFORE_MM
    return (x_mm * pixels_per_mm, (row + 0.5) * row_mm * pixels_per_mm)


class _SlicePainter:
    """Draws one chosen slice of any volume of the case in the same size and with the same letters."""

    def __init__(
        self, shown: Shown, choice: SliceChoice, pixels_per_mm: float, text_px: int, bar_mm: float | None
    ) -> None:
        self.choice, self.pixels_per_mm, self.text_px, self.bar_mm = choice, pixels_per_mm, text_px, bar_mm
        self.pixel_mm = pixel_size_mm(shown.grid, choice.plane)
        self.edges = EDGES_OF_PLANE[choice.plane]
        self.grid = shown.grid

    def lettered(self, plain: Image.Image, marking: str | None, names: Names = ()) -> Image.Image:
        """The plain slice with its letters, in a sagittal one with the names of vertebrae before them."""
        picture = self._annotated(plain.copy(), marking)
        if self.choice.plane is Plane.SAGITTAL:
            for name, center_mm in names:
                x, y = name_place(self.grid, self.choice, center_mm, self.pixels_per_mm)
                size_px = round(0.8 * self.text_px)
                within = max(x, text_width_px(name, size_px) + 2)
                write_text(picture, (within, y), name, size_px=size_px, color=NAME, anchor="rm", halo=BLACK)
        return picture

    def outlined(self, plain: Image.Image, mask: NDArray[np.bool_]) -> Image.Image:
        """The plain slice with the outline of a mask (z, y, x)."""
        return self._annotated(paint(plain, outline(self._scaled(mask, smooth=False)), OUTLINE), SHORT)

    def difference(self, synthetic_hu: NDArray[Any], truth_hu: NDArray[Any]) -> Image.Image:
        """Synthetic minus truth, both clipped to the bone window first, as they are shown."""
        low, high = BONE_WINDOW.low_hu, BONE_WINDOW.high_hu
        ours, true = (cut(hu, self.choice).astype(np.float32) for hu in (synthetic_hu, truth_hu))
        gap = np.clip(ours, low, high) - np.clip(true, low, high)
        picture = Image.fromarray(DIFFERENCE_COLORS(scaled(gap, self.pixel_mm, self.pixels_per_mm)))
        return self._annotated(picture, SHORT, dark_on_light=True)

    def plain(self, hu: NDArray[Any]) -> Image.Image:
        """The slice of HU (z, y, x) without letters."""
        return grey_picture((self._scaled(hu) - BONE_WINDOW.low_hu) / BONE_WINDOW.width_hu)

    def _scaled(self, values: NDArray[Any], smooth: bool = True) -> Array:
        return scaled(cut(values, self.choice), self.pixel_mm, self.pixels_per_mm, smooth=smooth)

    def _annotated(self, picture: Image.Image, marking: str | None, dark_on_light: bool = False) -> Image.Image:
        return annotate(
            picture,
            self.edges,
            self.pixels_per_mm,
            bar_mm=self.bar_mm,
            marking=marking,
            dark_on_light=dark_on_light,
            text_px=self.text_px,
        )
