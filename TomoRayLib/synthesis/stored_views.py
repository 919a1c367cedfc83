"""What TomoRay wrote into an image file beside its pixels: the view, and the centre of the synthetic CT."""

from __future__ import annotations

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_files import json_value
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.view_json import CENTER, VIEW_KEY, view_from_dict
from TomoRayLib.geometry.views import View
from TomoRayLib.images.types import Radiograph
from TomoRayLib.synthesis.settings import GeometryOptions


def stored_view(radiograph: Radiograph, name: str) -> View:
    """Return the view that TomoRay wrote into an image file. Raises InputError if it cannot be read."""
    try:
        return view_from_dict(json_value(radiograph.metadata[VIEW_KEY]))
    except ValueError as error:
        raise InputError(f"{name} radiograph: the geometry in its file cannot be read ({error}).") from None


def stored_center(radiograph: Radiograph, name: str) -> Vector3 | None:
    """Return the centre of the synthetic CT in LPS mm that TomoRay wrote beside a view, None if it wrote none.

    Raises InputError if it cannot be read.
    """
    try:
        center = json_value(radiograph.metadata.get(VIEW_KEY, "{}")).get(CENTER)
        return None if center is None else (float(center[0]), float(center[1]), float(center[2]))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(f"{name} radiograph: the centre in its file cannot be read ({error}).") from None


def common_center(ap: Radiograph, lateral: Radiograph, options: GeometryOptions) -> Vector3 | None:
    """The centre that both files have beside their views. Raises InputError for an isocentre given in its place."""
    centers = [stored_center(*one) for one in ((ap, "AP"), (lateral, "lateral"))]
    if None in centers or centers[0] != centers[1]:
        return None
    if options.isocenter_mm is not None:
        raise InputError(
            "Expected no isocentre with radiographs whose views lie about different points, as their files say, got "
            "one; leave it out.",
            "isocenter_mm",
        )
    return centers[0]
