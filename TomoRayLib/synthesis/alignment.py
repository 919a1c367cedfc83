"""Two radiographs brought to one height: by how much the lateral was taken higher than the AP, from their rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.view_json import VIEW_KEY
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.height_match import HeightMatch, match_heights
from TomoRayLib.images.types import SLOT_SCAN, Radiograph
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.geometry_files import gives_places
from TomoRayLib.synthesis.settings import GeometryOptions

LEAST_SHIFT_MM = 6.0  # nearer ones are left: the network knows them from training
LEAST_MARGIN = 0.12
FULL_HEIGHT_MM, MARGIN_PER_MM = 280.0, 0.001  # a shorter height in common needs a larger margin
LARGEST_MOVED_MM = 70.0  # farther apart too little of the cube is seen by both
LEAST_UNCLEAR_MM = 12.0  # unclear shifts below it are mostly none: scatter brought some of 8 to 10 mm
LEAST_UNCLEAR_MARGIN = 0.05  # and so are those of a smaller margin: pairs in collimated fields brought 40 mm at .03
LARGEST_OFF_LEVEL_DEG = 15.0  # tilt or roll from which rows are no heights


@dataclass(frozen=True)
class Alignment:
    """A pair at one height, what was found, and a sentence if it was changed or may have to be."""

    pair: Pair
    match: HeightMatch | None = None
    warning: str | None = None


def aligned(pair: Pair, seen: Pair | None = None) -> Alignment:
    """Move the lateral view to the height at which its rows fit those of the AP, if that is clear.

    Args:
        pair: The radiographs arranged: head up, bone bright.
        seen: What of them shows the patient: the same radiographs without their borders, ``cut_to``. A border that was
            filled fits anywhere, and as well as anatomy.

    Returns:
        The pair, with the lateral about an isocentre of its own and the cube about that of the AP; the same pair if
        the heights fit already to 6 mm, or it is not clear where they do.
    """
    match = heights_of(seen or pair)
    if match is None or abs(match.higher_mm) < LEAST_SHIFT_MM:
        return Alignment(pair, match)
    if abs(match.higher_mm) > LARGEST_MOVED_MM:
        return Alignment(pair, match, _far(match))
    if match.margin < margin_needed(match.common_mm):
        worth_a_word = abs(match.higher_mm) >= LEAST_UNCLEAR_MM and match.margin >= LEAST_UNCLEAR_MARGIN
        return Alignment(pair, match, _unclear(match) if worth_a_word else None)
    views = pair.views
    x, y, z = views.lateral.isocenter_mm
    lateral = views.lateral.moved_to((x, y, z + match.higher_mm))
    center_mm = views.center_mm or views.ap.isocenter_mm
    moved = replace(pair, views=Biplanar(views.ap, lateral, center_mm))
    sentence = (
        f"The lateral radiograph seems to be taken {_where(match)} than the AP, by what the rows of both show "
        f"(confidence {match.margin:.2f}); it was moved by that. If both heights are right as they are, do not align, "
        "or give the places of the images."
    )
    return Alignment(moved, match, sentence)


def margin_needed(common_mm: float) -> float:
    """The margin from which a shift is clear, for the height that both radiographs show: more for a short one."""
    return LEAST_MARGIN + MARGIN_PER_MM * max(0.0, FULL_HEIGHT_MM - common_mm)


def cut_to(field: tuple[slice, slice], pixels: NDArray[np.float32], view: View) -> tuple[NDArray[np.float32], View]:
    """Return the rows and columns of ``field`` of a radiograph, and the view of them."""
    detector, ends = view.detector, [part.indices(size)[:2] for part, size in zip(field, pixels.shape, strict=True)]
    moved = [(start + stop - size) / 2 for (start, stop), size in zip(ends, pixels.shape, strict=True)]
    down_mm, right_mm = (
        offset + pixel * spacing
        for offset, pixel, spacing in zip(detector.offset_mm, moved, detector.pixel_spacing_mm, strict=True)
    )
    rows, columns = (stop - start for start, stop in ends)
    smaller = Detector(rows, columns, detector.pixel_spacing_mm, (down_mm, right_mm))
    return pixels[field], replace(view, detector=smaller)


def heights_of(pair: Pair) -> HeightMatch | None:
    """By how much the lateral was taken higher than its view says; None if that cannot be told, or rows are oblique."""
    views = (pair.views.ap, pair.views.lateral)
    if any(max(abs(view.tilt_deg), abs(view.roll_deg)) > LARGEST_OFF_LEVEL_DEG for view in views):
        return None
    if min(*pair.ap.shape, *pair.lateral.shape) < 4:
        return None
    top_mm = pair.views.ap.isocenter_mm[2]
    first, second = (_below_mm(view, top_mm) for view in views)
    return match_heights(pair.ap, first, pair.lateral, second)


def _below_mm(view: View, top_mm: float) -> NDArray[np.float64]:
    """(rows,) how far below ``top_mm`` (z in LPS) each row looks, at the isocentre."""
    below: NDArray[np.float64] = view.detector.down_mm() / view.beam.magnifications[0] + top_mm - view.isocenter_mm[2]
    return below


def heights_are_given(images: Iterable[Radiograph], options: GeometryOptions) -> bool:
    """Return whether the places of the images were given: by the user, a file of views, or TomoRay's own files."""
    if options.has_matrices or options.ap_offset_mm is not None or options.lateral_offset_mm is not None:
        return True
    if options.file is not None and gives_places(options.file):
        return True
    return any(states_place(image) for image in images)


def states_place(image: Radiograph) -> bool:
    """Return whether an image's file states its place: by a view that TomoRay wrote, or the position of an RT Image.

    A slot scanner (EOS) takes both views at once, and so at one height.
    """
    header = image.header
    return VIEW_KEY in image.metadata or header.detector_offset_mm is not None or SLOT_SCAN in header.refused


def contradiction(pair: Pair) -> str | None:
    """A sentence if the rows of both clearly contradict heights that were given; the pair stays as it is."""
    match = heights_of(pair)
    if match is None or abs(match.higher_mm) < LEAST_UNCLEAR_MM or match.margin < 2 * margin_needed(match.common_mm):
        return None
    return (
        f"By what the rows of both show, the lateral radiograph was taken {_where(match)} than the AP by the geometry "
        f"given (confidence {match.margin:.2f}). It was used as given: check the places of both images."
    )


def _far(match: HeightMatch) -> str:
    return (
        f"The lateral radiograph seems to be taken {_where(match)} than the AP, or more (confidence "
        f"{match.margin:.2f}): too far to be moved. It was left where its geometry puts it: check that both show the "
        "same part of the body, and give the places of both images."
    )


def _unclear(match: HeightMatch) -> str:
    return (
        f"The lateral radiograph may be taken {_where(match)} than the AP, but the rows of both do not tell clearly "
        f"(confidence {match.margin:.2f}). It was left where its geometry puts it: check the heights of both."
    )


def _where(match: HeightMatch) -> str:
    return f"{abs(match.higher_mm):.0f} mm {'higher' if match.higher_mm > 0 else 'lower'}"
