"""The numbers of a radiograph's geometry as the panel's boxes show them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from TomoRayLib.slicer.scene.geometry_origins import BY_USER
from TomoRayLib.slicer.scene.view_geometry import ViewGeometry, ViewOrigins

NUMBERS = ("Sid", "Sad", "Spacing", "Angle", "Down", "Right")
UNIT_OF_NUMBER = {"Sid": "mm", "Sad": "mm", "Spacing": "mm", "Angle": "°", "Down": "mm", "Right": "mm"}
PLACE = ("Down", "Right")  # of the image's middle from the isocentre, in its plane
# The boxes round: a smaller difference is no edit.
AGREES = {"Sid": 0.05, "Sad": 0.05, "Spacing": 5e-4, "Angle": 0.06, "Down": 0.006, "Right": 0.006}


def parameter_of(view: str, name: str) -> str:
    """The parameter that holds a number of a view, "ap" or "lateral"."""
    return f"{view}{name}{'Deg' if name == 'Angle' else 'Mm'}"


def values_of(geometry: ViewGeometry) -> dict[str, float]:
    """A geometry's numbers, 0 for those that are not known."""
    spacing = geometry.pixel_spacing_mm
    down, right = geometry.offset_at_isocenter_mm
    return {
        "Sid": geometry.sid_mm or 0.0,
        "Sad": geometry.sad_mm or 0.0,
        "Spacing": spacing[0] if spacing else 0.0,
        "Angle": geometry.angle_deg,
        "Down": down,
        "Right": right,
    }


def origin_of(read: ViewGeometry, origins: ViewOrigins, name: str, shown: float) -> str:
    """The origin of a number in its box: the user's if it is not as read; an image that nobody moved has none."""
    value = values_of(read)[name]
    if abs(shown - value) > AGREES[name]:
        return BY_USER
    if name in PLACE:
        return origins.angle if value else ""
    return str(getattr(origins, name.lower()))


def edited(read: ViewGeometry, shown: Mapping[str, float], aspect: float) -> ViewGeometry:
    """A geometry as read, with the numbers in the boxes in place of its own.

    Args:
        read: The geometry of the image.
        shown: The numbers by name; one that only rounds what was read changes nothing.
        aspect: Column over row spacing, where the spacing is not known.
    """
    parallel = read.sid_mm is None
    sid_mm = None if parallel else _kept(read.sid_mm, shown["Sid"])
    sad_mm = None if parallel else _kept(read.sad_mm, shown["Sad"])
    spacing = read.pixel_spacing_mm
    if read.is_slot and sid_mm and sad_mm and read.sid_mm and read.sad_mm:
        aspect *= sid_mm / sad_mm  # square pixels at the isocentre
        if spacing and read.spacing_is_at_isocenter:
            spacing = (spacing[0], spacing[1] * (sid_mm / sad_mm) / (read.sid_mm / read.sad_mm))
    ratio = spacing[1] / spacing[0] if spacing else aspect
    changed = replace(
        read,
        sid_mm=sid_mm,
        sad_mm=sad_mm,
        pixel_spacing_mm=_spacing(spacing, shown["Spacing"], ratio),
        angle_deg=_kept(read.angle_deg, shown["Angle"], AGREES["Angle"]),
        aspect=ratio,
    )
    stated = read.offset_at_isocenter_mm
    offset = tuple(_kept(value, shown[name], AGREES[name]) for name, value in zip(PLACE, stated, strict=True))
    if offset == stated and changed.magnifications == read.magnifications:
        return changed
    down, right = (value * larger for value, larger in zip(offset, changed.magnifications, strict=True))
    return replace(changed, offset_mm=(down, right))


def _spacing(read: tuple[float, float] | None, row_mm: float, ratio: float) -> tuple[float, float] | None:
    if row_mm <= 0:
        return None
    if read is not None and abs(read[0] - row_mm) <= AGREES["Spacing"]:
        return read
    return (row_mm, row_mm * ratio)


def _kept(read: float | None, shown: float, rounding: float = AGREES["Sid"]) -> float:
    """The number as read if the box only rounds it, else the user's."""
    return read if read is not None and abs(read - shown) <= rounding else shown
