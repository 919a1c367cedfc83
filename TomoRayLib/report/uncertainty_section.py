"""How sure a synthetic CT is: a report's section with the slices overlaid by where the bone mask may be wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.notices import SHORT
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.report.color_maps import UNCERTAINTY_COLORS, color_bar
from TomoRayLib.report.content import Shown
from TomoRayLib.report.drawing import annotate, data_uri, grey_picture, png_bytes, scaled
from TomoRayLib.report.markup import escape
from TomoRayLib.report.slices import EDGES_OF_PLANE, Plane, SliceChoice, choose_slices, cut, pixel_size_mm

LONG_PIXELS_PER_MM, AXIAL_PIXELS_PER_MM = 2.2, 3.0
TEXT_PX = 18
OPAQUE_FROM = 0.25  # from here on the overlay hides the grey value; nothing is drawn over what is surely right


def uncertainty_section(shown: Shown, uncertainty: Volume | None, expected_dice: float | None) -> str:
    """The section as HTML; nothing without ``uncertainty``.

    Args:
        shown: The case's volumes.
        uncertainty: Probability that the bone mask is wrong, on any grid.
        expected_dice: The Dice with the true bone that follows from it.
    """
    if uncertainty is None:
        return ""
    wrong = _on_grid(uncertainty, shown)
    figures = "".join(
        f'<figure><img src="{data_uri(png_bytes(picture))}" width="{picture.width}" height="{picture.height}" '
        f'alt="Uncertainty, {escape(choice.caption)}"><figcaption>{escape(choice.caption)}</figcaption></figure>'
        for choice in choose_slices(shown)
        for picture in (overlaid(shown, wrong, choice),)
    )
    high = UNCERTAINTY_COLORS.high
    bar = color_bar(
        UNCERTAINTY_COLORS,
        (0.0, high / 2, high),
        ("surely right", f"{high / 2:.0%}", f"{high:.0%} or more"),
        "Colour scale of the probability that the bone mask is wrong",
    )
    dice = "" if expected_dice is None else f" By it the Dice with the true vertebrae would be {expected_dice:.2f}."
    return (
        '<h2>How sure it is</h2><p class="caption">Colour: the probability that bone is drawn where there is none, or '
        "left out where there is some, by the network's answers to small variations of geometry and grey values."
        f"{dice} It is right on average over people, not for each of them, and knows nothing of what the network never "
        f'learned, such as fractures.</p>{bar}<div class="gallery">{figures}</div>'
    )


def overlaid(shown: Shown, wrong: NDArray[np.float32], choice: SliceChoice) -> Image.Image:
    """Draw a slice of the synthetic CT with the probability ``wrong`` (z, y, x) on ``shown.grid`` in colour over it."""
    pixels_per_mm = AXIAL_PIXELS_PER_MM if choice.plane is Plane.AXIAL else LONG_PIXELS_PER_MM
    pixel_mm = pixel_size_mm(shown.grid, choice.plane)
    grey = scaled(cut(shown.synthetic_hu, choice), pixel_mm, pixels_per_mm)
    below = np.asarray(grey_picture((grey - BONE_WINDOW.low_hu) / BONE_WINDOW.width_hu), dtype=np.float32)
    share = scaled(cut(wrong, choice), pixel_mm, pixels_per_mm, smooth=False)
    opacity = np.clip(share / OPAQUE_FROM, 0.0, 1.0)[..., None]
    mixed = below * (1.0 - opacity) + UNCERTAINTY_COLORS(share) * opacity
    picture = Image.fromarray(np.rint(mixed).astype(np.uint8))
    return annotate(picture, EDGES_OF_PLANE[choice.plane], pixels_per_mm, marking=SHORT, text_px=TEXT_PX)


def _on_grid(uncertainty: Volume, shown: Shown) -> NDArray[np.float32]:
    if uncertainty.grid.same_as(shown.grid):
        return uncertainty.voxels.astype(np.float32, copy=False)
    return resample(uncertainty, shown.grid, Interpolation.LINEAR, fill=0.0).voxels
