"""Geometry files: a pair of views as JSON, ``{"ap": {...}, "lateral": {...}}``, perhaps with a centre of its own.

``"places": "assumed"`` beside the views says that nobody gave the places of the images: they may be aligned.
``"origins"`` says where their numbers came from, for the report: ``{"ap": {"SID": "header", ...}, "lateral": {...}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_files import read_json
from TomoRayLib.geometry.presets import PRESETS
from TomoRayLib.geometry.view_json import CENTER, view_from_dict, view_to_dict
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.synthesis.settings import GeometryOptions

PLACES, ASSUMED = "places", "assumed"
ORIGINS = "origins"


def views_of_file(options: GeometryOptions) -> Biplanar | None:
    """Return the views of the geometry file, None without one.

    Raises InputError for an isocentre beside a centre in it.
    """
    if options.file is None:
        return None
    pair = read_views(options.file)
    if pair.center_mm is not None and options.isocenter_mm is not None:
        raise InputError(
            f"Expected no isocentre with {Path(options.file).name}, whose views lie about different points and which "
            "states the centre of the synthetic CT; leave the isocentre out, or change center_mm in the file.",
            "isocenter_mm",
        )
    return pair


def read_views(path: str) -> Biplanar:
    """Read a pair of views from a JSON file: ``{"ap": {...}, "lateral": {...}}``. Raises InputError."""
    try:
        content = read_json(Path(path))
        return Biplanar(view_from_dict(content["ap"]), view_from_dict(content["lateral"]), content.get(CENTER))
    except FileNotFoundError:
        raise InputError(
            f"Expected the geometry to be one of {sorted(PRESETS)} or a JSON file, got {path!r}, which does not exist.",
            "geometry",
        ) from None
    except (OSError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"The geometry file {path} must hold the views 'ap' and 'lateral' (see docs/geometry.md): {error}",
            "geometry",
        ) from None


def gives_places(path: str) -> bool:
    """Return whether a geometry file gives the places of the images; True if it does not say that they are assumed.

    A file that cannot be read gives them, too: ``read_views`` says what is wrong with it.
    """
    try:
        return bool(read_json(Path(path)).get(PLACES) != ASSUMED)
    except (OSError, ValueError, AttributeError):
        return True


def stated_origins(path: str) -> dict[str, dict[str, str]]:
    """Return where the numbers of each view came from, by "ap" and "lateral"; empty if the file does not say so.

    A file that cannot be read says nothing: ``read_views`` says what is wrong with it.
    """
    try:
        content = read_json(Path(path)).get(ORIGINS, {})
        return {view: {str(name): str(origin) for name, origin in content[view].items()} for view in content}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def views_to_dict(
    views: Biplanar, *, places_assumed: bool = False, origins: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """Return both views as plain numbers, as ``read_views`` reads them."""
    beside: dict[str, Any] = {} if views.center_mm is None else {CENTER: list(views.center_mm)}
    beside |= {PLACES: ASSUMED} if places_assumed else {}
    beside |= {ORIGINS: {view: dict(of_view) for view, of_view in origins.items()}} if origins else {}
    return {"ap": view_to_dict(views.ap), "lateral": view_to_dict(views.lateral), **beside}
