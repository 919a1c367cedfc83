"""The figures of the paper for one case: its radiographs, its slices in three planes, and its surfaces.

They stand in for Figures 2 to 4 of Zanier et al. (Neurospine 2024;21(1):68-75): what goes in, what comes out slice by
slice beside the truth, and in 3D.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from TomoRayLib.report.color_maps import DIFFERENCE_COLORS
from TomoRayLib.report.content import ReportContent
from TomoRayLib.report.drawing import png_bytes, write_text
from TomoRayLib.report.figures import radiograph_picture, slice_rows, truth_heading
from TomoRayLib.report.solids import Solids, surface_views

FIGURE_NAMES = ("figure2.png", "figure3.png", "figure4.png")
GAP_PX, HEAD_PX, TEXT_PX = 16, 44, 24
WHITE = (255, 255, 255)

Column = tuple[str, Sequence[Image.Image]]


def paper_figures(content: ReportContent, solids: Solids | None = None) -> dict[str, bytes]:
    """Draw the figures of a case.

    Args:
        content: The case; without a truth the columns of the truth are left out.
        solids: Its surfaces in 3D if they are made already.

    Returns:
        PNGs by file name: radiographs, slices, surfaces. What is synthetic is marked in the picture.
    """
    shown = content.shown
    radiographs = [
        ("AP radiograph", [radiograph_picture(content.ap, content.views.ap)]),
        ("Lateral radiograph", [radiograph_picture(content.lateral, content.views.lateral)]),
    ]
    rows, views = slice_rows(shown), surface_views(shown, solids)
    slices: list[Column] = [("Synthetic CT", [row.synthetic for row in rows])]
    surfaces: list[Column] = [("Synthetic CT", [view.synthetic for view in views])]
    if shown.truth_hu is not None:
        truths = [row.truth for row in rows if row.truth is not None]
        slices.insert(0, (truth_heading(shown), truths))
    if shown.is_scored:
        heading = f"Synthetic minus truth, ±{DIFFERENCE_COLORS.high:.0f} {DIFFERENCE_COLORS.unit}"
        slices.append((heading, [row.difference for row in rows if row.difference is not None]))
        surfaces.insert(0, (truth_heading(shown), [view.truth for view in views if view.truth is not None]))
    sheets = (_sheet(radiographs), _sheet(slices), _sheet(surfaces))
    return {name: png_bytes(sheet) for name, sheet in zip(FIGURE_NAMES, sheets, strict=True)}


def _sheet(columns: Sequence[Column]) -> Image.Image:
    """Columns of pictures side by side on white, each under its heading, all pictures of a row at one height."""
    lines = len(columns[0][1])
    heights = [max(pictures[line].height for _, pictures in columns) for line in range(lines)]
    widths = [max(picture.width for picture in pictures) for _, pictures in columns]
    size = (sum(widths) + GAP_PX * (len(widths) + 1), HEAD_PX + sum(heights) + GAP_PX * (lines + 1))
    sheet = Image.new("RGB", size, WHITE)
    left = GAP_PX
    for (heading, pictures), width in zip(columns, widths, strict=True):
        write_text(sheet, (left, HEAD_PX / 2 + 4), heading, size_px=TEXT_PX, anchor="lm")
        top = HEAD_PX + GAP_PX
        for picture, height in zip(pictures, heights, strict=True):
            sheet.paste(picture, (left + (width - picture.width) // 2, top))
            top += height + GAP_PX
        left += width + GAP_PX
    return sheet
