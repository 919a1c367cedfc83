"""Measures of one vertebra: heights of its body, wedge ratio, axial rotation."""

from __future__ import annotations

import math

import numpy as np

from TomoRayLib.measures.definitions import OF_VERTEBRA
from TomoRayLib.measures.measure import Line, Measure, measured, not_measurable
from TomoRayLib.measures.vertebral_body import POSITIONS, NoBody, VertebralBody


def vertebra_measures(body: VertebralBody | NoBody) -> tuple[Measure, ...]:
    """Measure one vertebra.

    Args:
        body: Its body.

    Returns:
        One measure for each key of ``OF_VERTEBRA``, all of them without a value if there is no body.
    """
    if isinstance(body, NoBody):
        return tuple(not_measurable(key, body.name, body.because) for key in OF_VERTEBRA)
    heights = tuple(
        measured(f"height_{name}_mm", body.name, body.heights_mm[name], _height_line(body, name)) for name in POSITIONS
    )
    ratio = body.heights_mm["anterior"] / body.heights_mm["posterior"]
    return (*heights, measured("wedge_ratio", body.name, ratio), _rotation(body))


def _height_line(body: VertebralBody, position: str) -> Line:
    """The line along which a height is taken, half-way between the points of both endplates and as long as it."""
    middle = (body.points_mm[f"upper_{position}"] + body.points_mm[f"lower_{position}"]) / 2
    half = body.frame.superior * body.heights_mm[position] / 2
    return middle + half, middle - half


def _rotation(body: VertebralBody) -> Measure:
    if body.no_direction is not None:
        return not_measurable("rotation_deg", body.name, body.no_direction)
    back, middle = body.frame.posterior, body.frame.middle_mm
    angle_deg = math.degrees(math.atan2(-back[0], back[1]))  # the front points to -back; LPS x is the patient's left
    half = body.depth_mm / 2
    straight = np.array([0.0, -half, 0.0])
    turned = half * np.array([-back[0], -back[1], 0.0]) / math.hypot(back[0], back[1])
    return measured("rotation_deg", body.name, angle_deg, (middle, middle + straight), (middle, middle + turned))
