"""One picture of a case: radiographs, arrow, slices and surfaces in 3D."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from TomoRayLib.base.notices import NOTICE, SHORT
from TomoRayLib.report.color_maps import DISTANCE_COLORS
from TomoRayLib.report.content import ReportContent, Shown
from TomoRayLib.report.drawing import AMBER, INK, png_bytes, write_text
from TomoRayLib.report.figures import NOT_SCORED, radiograph_picture, slice_row, truth_heading
from TomoRayLib.report.slices import choose_slices
from TomoRayLib.report.solids import Solids

SURFACE_TEXT_PX = 19  # on pictures of half a millimetre a pixel, which are made smaller
_WHY_NOT_SCORED = (
    "Scores and true surfaces need a vertebra segmentation:",
    "none was given, or none of its vertebrae lies in this",
    "field of view.",
)


def overview_figure(content: ReportContent, solids: Solids | None = None) -> bytes:
    """Draw one picture of a case: radiographs, arrow, truth above synthetic in slices and in 3D.

    Args:
        content: One case's radiographs, volumes and scores.
        solids: Its surfaces in 3D if they are made already.

    Returns:
        A PNG of 1600 x 900 pixels.
    """
    shown = content.shown
    sheet = Image.new("RGB", (1600, 900), (255, 255, 255))
    ImageDraw.Draw(sheet).rectangle((0, 0, 1600, 62), fill=INK)
    write_text(sheet, (32, 32), "TomoRay", size_px=30, color=(255, 255, 255), anchor="lm")
    write_text(
        sheet, (176, 33), "two spine radiographs in, a synthetic CT out", size_px=22, color=(214, 222, 230), anchor="lm"
    )
    write_text(sheet, (1568, 33), NOTICE, size_px=20, color=AMBER, anchor="rm")
    for top, name, pixels, view in (
        (104, "AP radiograph", content.ap, content.views.ap),
        (504, "Lateral radiograph", content.lateral, content.views.lateral),
    ):
        write_text(sheet, (32, top - 11), name, size_px=19, anchor="ls")
        _paste(sheet, radiograph_picture(pixels, view, 350, 15), (32, top, 350, 350))
    _arrow(ImageDraw.Draw(sheet), 404, 478)
    _paste_results(sheet, shown, solids or Solids(shown))
    return png_bytes(sheet)


def _paste_results(sheet: Image.Image, shown: Shown, solids: Solids) -> None:
    """Slices and 3D pictures into the right part of the overview: truth above, synthetic below."""
    choices = choose_slices(shown)
    rows = [slice_row(shown, choice, pixels_per_mm=2.2, text_px=15, compared=False) for choice in choices[:2]]
    rows += [slice_row(shown, choice, 228 / 120, text_px=19, bar_mm=None, compared=False) for choice in choices[2:]]
    has_truth = shown.truth_hu is not None
    truth_name = truth_heading(shown) if shown.is_scored else NOT_SCORED
    lines = [(truth_name, 104, True), ("Synthetic", 504, False)] if has_truth else [("Synthetic", 304, False)]
    for name, top, is_truth in lines:
        write_text(sheet, (500, top - 11), name, size_px=19, anchor="ls")
        left = 500
        for row in rows[:2]:
            left += _paste(sheet, _required(row.truth if is_truth else row.synthetic), (left, top, 220, 350)) + 8
        for number, row in enumerate(rows[2:]):
            box = (left, top + number * 118, 114, 114)
            _paste(sheet, _required(row.truth if is_truth else row.synthetic), box)
        left_3d = left + 114 + 34
        if is_truth and not shown.is_scored:  # a CT without labelled vertebrae has no surface
            for number, line in enumerate(_WHY_NOT_SCORED):
                write_text(sheet, (left_3d, top + 24 * number), line, size_px=17)
            continue
        colored = shown.is_scored and not is_truth
        title = f"{name} in 3D" + (", coloured by distance to the truth" if colored else "")
        write_text(sheet, (left_3d, top - 11), title, size_px=19, anchor="ls")
        width = (1568 - left_3d) // len(solids.viewpoints)
        colors = solids.truth if is_truth else solids.distance if colored else solids.synthetic
        pictures = solids.pictures(colors, SURFACE_TEXT_PX, None if is_truth else SHORT)
        for number, picture in enumerate(pictures):
            _paste(sheet, picture, (left_3d + number * width, top, width - 6, 350))
    if shown.is_scored:
        _color_bar(sheet, (1290, 868, 1568, 880))


def _required(picture: Image.Image | None) -> Image.Image:
    if picture is None:
        raise ValueError("This picture needs the case's truth; got none. Ask for the synthetic one.")
    return picture


def _paste(sheet: Image.Image, picture: Image.Image, box: tuple[int, int, int, int]) -> int:
    """Fit the picture into the box (left, top, width, height), at its upper left; return the width that it takes."""
    left, top, width, height = box
    share = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
    sheet.paste(picture.resize(size, Image.Resampling.LANCZOS), (left, top))
    return size[0]


def _arrow(draw: ImageDraw.ImageDraw, left: int, right: int) -> None:
    middle = 478
    draw.rectangle((left, middle - 5, right - 22, middle + 5), fill=(90, 104, 120))
    draw.polygon(((right - 26, middle - 20), (right, middle), (right - 26, middle + 20)), fill=(90, 104, 120))


def _color_bar(sheet: Image.Image, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    ramp = np.linspace(DISTANCE_COLORS.low, DISTANCE_COLORS.high, right - left)
    strip = np.broadcast_to(DISTANCE_COLORS(ramp)[None], (bottom - top, right - left, 3))
    sheet.paste(Image.fromarray(np.ascontiguousarray(strip)), (left, top))
    write_text(sheet, (left - 10, (top + bottom) / 2), "0 mm", size_px=15, anchor="rm")
    write_text(sheet, (left - 62, (top + bottom) / 2), "Distance", size_px=15, anchor="rm")
    write_text(sheet, (right, bottom + 3), f"{DISTANCE_COLORS.high:g} mm or more", size_px=13, anchor="rt")
