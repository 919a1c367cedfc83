"""Rays of image points, and the point nearest to the rays of two views: the way back from radiographs into the patient.

Works for every beam: a cone's rays leave one source, a slot scan's leave a source at the height of their row, parallel
rays have a direction alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam
from TomoRayLib.geometry.views import Biplanar, View

LEAST_SINE = 1e-3  # of the angle between two rays


@dataclass(frozen=True)
class Meeting:
    """Where two rays come nearest to each other.

    Args:
        point_mm: (x, y, z) in LPS mm, halfway between them.
        gap_mm: Their distance there: 0 if both image points show the same point of the patient.
    """

    point_mm: tuple[float, float, float]
    gap_mm: float


def ray_of(view: View, pixel: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ray that hits a pixel.

    Args:
        view: The view.
        pixel: (row, column), whole numbers at pixel centres.

    Returns:
        A point of the ray (its source, if it has one) in LPS mm and its unit direction towards the detector, (3,) each.
    """
    detector, iso = view.detector, np.asarray(view.isocenter_mm)
    down_mm, right_mm = (
        (place - (count - 1) / 2) * spacing + offset
        for place, count, spacing, offset in zip(
            pixel, detector.shape, detector.pixel_spacing_mm, detector.offset_mm, strict=True
        )
    )
    along, across = down_mm * view.down, right_mm * view.right
    if isinstance(view.beam, ParallelBeam):
        return iso + along + across, -view.to_source
    behind_mm = view.beam.sid_mm - view.beam.sad_mm
    hit = iso - behind_mm * view.to_source + along + across
    source = view.source_mm if isinstance(view.beam, ConeBeam) else view.source_mm + along
    direction = hit - source
    return source, direction / np.linalg.norm(direction)


def meeting_of(pair: Biplanar, ap: tuple[float, float], lateral: tuple[float, float]) -> Meeting:
    """The point that a pixel of each view shows.

    Args:
        pair: Both views.
        ap: (row, column) in the AP radiograph.
        lateral: (row, column) in the lateral radiograph.

    Raises:
        InputError: If the two rays are parallel.
    """
    (first, towards), (second, across) = ray_of(pair.ap, ap), ray_of(pair.lateral, lateral)
    cosine = float(towards @ across)
    sine_squared = 1.0 - cosine**2
    if sine_squared < LEAST_SINE**2:
        raise InputError(
            "Expected views from two directions, got parallel rays, which meet nowhere; check the angles of both.",
            "angles_deg",
        )
    between = second - first
    on_first = first + towards * float(between @ towards - cosine * (between @ across)) / sine_squared
    on_second = second + across * float(cosine * (between @ towards) - between @ across) / sine_squared
    x, y, z = ((on_first + on_second) / 2).tolist()
    return Meeting((x, y, z), float(np.linalg.norm(on_first - on_second)))
