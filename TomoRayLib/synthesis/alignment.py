"""Two radiographs brought to one height: by how much the lateral was taken higher than the AP, from their rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.view_json import VIEW_KEY
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.height_match import HeightMatch, match_heights
from TomoRayLib.images.types import Radiograph
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.geometry_files import gives_places
from TomoRayLib.synthesis.settings import GeometryOptions

LEAST_SHIFT_MM = 6.0  # nearer ones are left: the network knows them from training
LEAST_MARGIN = 0.12
LEAST_UNCLEAR_MM = 12.0  # unclear shifts below it are mostly none: scatter brought some of 8 to 10 mm
LARGEST_OFF_LEVEL_DEG = 15.0  # tilt or roll from which rows are no heights


@dataclass(frozen=True)
class Alignment:
    """A pair at one height, what was found, and a sentence if it was changed or may have to be."""

    pair: Pair
    match: HeightMatch | None = None
    warning: str | None = None


def aligned(pair: Pair) -> Alignment:
    """Move the lateral view to the height at which its rows fit those of the AP, if that is clear.

    Args:
        pair: The radiographs arranged: head up, bone bright.

    Returns:
        The pair, with the lateral about an isocentre of its own and the cube about that of the AP; the same pair if
        the heights fit already to 6 mm, or it is not clear where they do.
    """
    match = heights_of(pair)
    if match is None or abs(match.higher_mm) < LEAST_SHIFT_MM:
        return Alignment(pair, match)
    if match.margin < LEAST_MARGIN:
        return Alignment(pair, match, _unclear(match) if abs(match.higher_mm) >= LEAST_UNCLEAR_MM else None)
    views = pair.views
    x, y, z = views.lateral.isocenter_mm
    lateral = views.lateral.moved_to((x, y, z + match.higher_mm))
    center_mm = views.center_mm or views.ap.isocenter_mm
    moved = replace(pair, views=Biplanar(views.ap, lateral, center_mm))
    sentence = (
        f"The lateral radiograph seems to be taken {_where(match)} than the AP, by what the rows of both show "
        f"(confidence {match.margin:.2f}); it was moved by that. If both heights are right as they are, give the place "
        "of the lateral image, or do not align."
    )
    return Alignment(moved, match, sentence)


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
    return any(VIEW_KEY in image.metadata for image in images)


def contradiction(pair: Pair) -> str | None:
    """A sentence if the rows of both clearly contradict heights that were given; the pair stays as it is."""
    match = heights_of(pair)
    if match is None or abs(match.higher_mm) < LEAST_UNCLEAR_MM or match.margin < 2 * LEAST_MARGIN:
        return None
    return (
        f"By what the rows of both show, the lateral radiograph was taken {_where(match)} than the AP by the geometry "
        f"given (confidence {match.margin:.2f}). It was used as given: check the places of both images."
    )


def _unclear(match: HeightMatch) -> str:
    return (
        f"The lateral radiograph may be taken {_where(match)} than the AP, but the rows of both do not tell clearly "
        f"(confidence {match.margin:.2f}). It was left where its geometry puts it: check the heights of both."
    )


def _where(match: HeightMatch) -> str:
    return f"{abs(match.higher_mm):.0f} mm {'higher' if match.higher_mm > 0 else 'lower'}"
