"""Distances and spacings of a radiograph's header, together: their units, and the magnification that they give."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from TomoRayLib.images.types import RadiographHeader

# A spine takes at least 40 cm from source to detector, and no room is longer than 4 m: so each unit has its own range,
# except that 40 to 80 may be centimetres or, at the usual distances of 40 to 72, inches.
METRES, CENTIMETRES, MILLIMETRES = (0.4, 4.0), (80.0, 400.0), (400.0, 4000.0)
INCHES_OR_CENTIMETRES = (40.0, 80.0)
SMALLEST_MAGNIFICATION, LARGEST_MAGNIFICATION = 1.01, 2.5  # of a body between source and detector
EQUAL_RATIOS = 0.02  # relative difference of the ratios along rows and columns that rounding explains
_MAGNIFICATIONS = f"{SMALLEST_MAGNIFICATION:g} to {LARGEST_MAGNIFICATION:g} of a body between source and detector"


def with_units(header: RadiographHeader) -> RadiographHeader:
    """Distances in mm: those written in cm or m converted with a note, those that no unit explains refused."""
    stated = {field: number for field in ("sid_mm", "sad_mm") if (number := getattr(header, field)) is not None}
    read = {field: in_millimetres(number) for field, number in stated.items()}
    if any(known is not None and known[1] == "cm" for known in read.values()):
        read = {field: in_millimetres(number, 10.0) for field, number in stated.items()}
    values: dict[str, Any] = {}
    notes, refused = [], dict(header.refused)
    for field, number in stated.items():
        name, known = header.origins[field], read[field]
        if known is None:
            values[field] = None
            refused[field] = f"{name} is {number:g} mm, which no X-ray of a spine has{_units_meant(number)}."
        elif known[1] != "mm":
            values[field] = known[0]
            unit = {"cm": "centimetres", "m": "metres"}[known[1]]
            notes.append(f"{name} is {number:g}: taken as {unit}, {known[0]:g} mm.")
    return replace(header, notes=(*header.notes, *notes), refused=refused, **values)


def _units_meant(number: float) -> str:
    if INCHES_OR_CENTIMETRES[0] <= number < INCHES_OR_CENTIMETRES[1]:
        return f" (as inches it would be {number * 25.4:.0f} mm, as centimetres {number * 10:.0f} mm)"
    return ""


def without_unknowns(header: RadiographHeader) -> RadiographHeader:
    """The header without a magnification of 1, which says "not known" of a body; other impossible ones refused."""
    values: dict[str, Any] = {}
    notes, refused = [], dict(header.refused)
    readings = {"magnification": header.magnification}
    if header.sid_mm is not None and header.sad_mm is not None and header.modality != "RTIMAGE":
        readings["sad_mm"] = header.sid_mm / header.sad_mm
    for field, ratio in readings.items():
        if ratio is None or SMALLEST_MAGNIFICATION <= ratio <= LARGEST_MAGNIFICATION:
            continue
        name = header.origins[field]
        if abs(ratio - 1.0) < SMALLEST_MAGNIFICATION - 1.0:
            values[field] = None
            notes.append(f"{name} makes a magnification of 1, as if the detector were inside the body: left out.")
        elif field == "magnification":
            values[field] = None
            refused["sad_mm"] = f"{name} is {ratio:g}: expected {_MAGNIFICATIONS}."
        elif ratio > LARGEST_MAGNIFICATION:
            distances = f"{header.origins['sid_mm']} {header.sid_mm:g} mm and {name} {header.sad_mm:g} mm"
            refused["sad_mm"] = f"{distances} make a magnification of {ratio:.2f}: expected {_MAGNIFICATIONS}."
    return replace(header, notes=(*header.notes, *notes), refused=refused, **values)


def with_magnification(header: RadiographHeader) -> RadiographHeader:
    """The magnification that the spacing calibrated at the patient has against the one at the detector.

    PS3.3 10.7.1.3: a Pixel Spacing that differs from Imager Pixel Spacing is calibrated, whatever its type says.
    """
    field = "imager_pixel_spacing_mm" if header.imager_pixel_spacing_mm is not None else "nominal_pixel_spacing_mm"
    at_detector, at_patient = getattr(header, field), header.patient_pixel_spacing_mm
    if at_detector is None or at_patient is None:
        return header
    names = f"{header.origins[field]} and {header.origins['patient_pixel_spacing_mm']}"
    pair = f"{_shown(at_detector)} and {_shown(at_patient)} mm"
    try:
        ratio = magnification_of(at_detector, at_patient)
    except ValueError as error:
        sentence = f"{names} say {pair}, {error}: not both can be spacings of this image, before and behind the body."
        return replace(header, refused={**header.refused, "pixel_spacing_mm": sentence})
    if ratio is None:
        return header
    kind = f"calibrated by {header.spacing_calibration}" if header.spacing_calibration else "without calibration type"
    note = f"{names} are {pair} ({kind}): magnification {ratio:.3f} (PS3.3 10.7.1.3)."
    return replace(header, spacing_magnification=ratio, notes=(*header.notes, note))


def in_millimetres(number: float, factor: float | None = None) -> tuple[float, str] | None:
    """Return a distance that should be in mm, in mm, and the unit it was written in; None if no unit makes it one.

    Args:
        number: The distance as it is written.
        factor: 10 if another distance of the same header is in cm: then 40 to 80 are cm, too.
    """
    if MILLIMETRES[0] <= number <= MILLIMETRES[1]:
        return number, "mm"
    if CENTIMETRES[0] <= number < CENTIMETRES[1] or (factor == 10.0 and number >= INCHES_OR_CENTIMETRES[0]):
        return (number * 10.0, "cm") if number < CENTIMETRES[1] else None
    return (number * 1000.0, "m") if METRES[0] <= number <= METRES[1] else None


def magnification_of(at_detector_mm: tuple[float, float], at_patient_mm: tuple[float, float]) -> float | None:
    """Return how often the spacing at the detector holds the one calibrated at the patient; None if they are equal.

    Raises ValueError if the two cannot be spacings of one image: the ratios of rows and columns differ, or no body
    between source and detector is magnified so.
    """
    along_rows, along_columns = (far / near for far, near in zip(at_detector_mm, at_patient_mm, strict=True))
    if abs(along_rows / along_columns - 1.0) > EQUAL_RATIOS:
        raise ValueError(f"ratios {along_rows:.3g} and {along_columns:.3g}")
    ratio = math.sqrt(along_rows * along_columns)
    if abs(ratio - 1.0) < SMALLEST_MAGNIFICATION - 1.0:
        return None
    if not SMALLEST_MAGNIFICATION <= ratio <= LARGEST_MAGNIFICATION:
        raise ValueError(f"ratio {ratio:.3g}")
    return ratio


def _shown(spacing_mm: tuple[float, float]) -> str:
    row_mm, column_mm = spacing_mm
    return f"{row_mm:.4g}" if row_mm == column_mm else f"{row_mm:.4g} x {column_mm:.4g}"
