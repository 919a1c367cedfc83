"""Measures of one level, two neighbouring vertebrae: disc height, segmental angle, slip."""

from __future__ import annotations

import math

import numpy as np

from TomoRayLib.measures.definitions import OF_LEVEL
from TomoRayLib.measures.measure import Measure, measured, not_measurable
from TomoRayLib.measures.vertebra_frame import Floats
from TomoRayLib.measures.vertebral_body import Endplate, NoBody, VertebralBody

OVERLAP = "the endplates overlap: the mask does not tell both bodies apart"


def level_measures(upper: VertebralBody | NoBody, lower: VertebralBody | NoBody) -> tuple[Measure, ...]:
    """Measure the level between two neighbouring vertebrae.

    Args:
        upper: Body of the upper one.
        lower: Body of the lower one.

    Returns:
        One measure for each key of ``OF_LEVEL``.
    """
    subject = f"{upper.name}/{lower.name}"
    for body in (upper, lower):
        if isinstance(body, NoBody):
            because = f"{body.name}: {body.because}"
            return tuple(not_measurable(key, subject, because) for key in OF_LEVEL)
    assert isinstance(upper, VertebralBody)
    assert isinstance(lower, VertebralBody)
    return _disc_height(subject, upper, lower), _angle(subject, upper, lower), _slip(subject, upper, lower)


def _disc_height(subject: str, upper: VertebralBody, lower: VertebralBody) -> Measure:
    normal = upper.lower.normal + lower.upper.normal
    normal = normal / np.linalg.norm(normal)
    above, below = upper.lower.center_mm, lower.upper.center_mm
    height_mm = float((above - below) @ normal)
    if height_mm <= 0:
        return not_measurable("disc_height_mm", subject, OVERLAP)
    middle = (above + below) / 2
    return measured(
        "disc_height_mm", subject, height_mm, (middle + normal * height_mm / 2, middle - normal * height_mm / 2)
    )


def _angle(subject: str, upper: VertebralBody, lower: VertebralBody) -> Measure:
    side = upper.frame.left + lower.frame.left
    side = side / np.linalg.norm(side)
    back = upper.frame.posterior + lower.frame.posterior
    back = back - (back @ side) * side
    back = back / np.linalg.norm(back)
    up = np.cross(side, back)
    # tilt of an endplate: how it rises towards the back
    tilts = [math.atan2(-float(plate.normal @ back), float(plate.normal @ up)) for plate in (upper.lower, lower.upper)]
    angle_deg = math.degrees(tilts[1] - tilts[0])
    return measured(
        "segmental_angle_deg",
        subject,
        angle_deg,
        _line(upper.lower, side, upper.depth_mm),
        _line(lower.upper, side, lower.depth_mm),
    )


def _slip(subject: str, upper: VertebralBody, lower: VertebralBody) -> Measure:
    along = lower.frame.posterior - (lower.frame.posterior @ lower.upper.normal) * lower.upper.normal
    along = along / np.linalg.norm(along)
    above, below = upper.back_wall_mm["lower"], lower.back_wall_mm["upper"]
    slip_mm = -float((above - below) @ along)
    return measured("slip_mm", subject, slip_mm, (below, below - along * slip_mm))


def _line(plate: Endplate, side: Floats, length_mm: float) -> tuple[Floats, Floats]:
    """The line through an endplate's middle across ``side``, from the front, as long as the body is deep."""
    way = np.cross(plate.normal, side)
    half = way * length_mm / 2 / np.linalg.norm(way)
    return plate.center_mm - half, plate.center_mm + half
