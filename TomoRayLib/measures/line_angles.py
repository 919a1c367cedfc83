"""The angle that two lines show: of a measure as it was taken, and after somebody has moved the lines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from TomoRayLib.measures.vertebra_frame import Floats

LEFT, BACK, UP = np.eye(3)  # LPS
NORMAL = {  # of the plane of the patient in which an angle is taken; a level has a plane of its own
    "cobb_deg": BACK,
    "thoracic_kyphosis_deg": LEFT,
    "lumbar_lordosis_deg": LEFT,
    "sagittal_angle_deg": LEFT,
    "coronal_centroid_angle_deg": BACK,
    "sagittal_centroid_angle_deg": LEFT,
    "rotation_deg": UP,
}
# positive if the spine is open in front, which turns the lower line to the front against the upper one
KYPHOTIC = ("thoracic_kyphosis_deg", "sagittal_angle_deg", "sagittal_centroid_angle_deg")
UNSIGNED = ("cobb_deg", "coronal_centroid_angle_deg")


def angle_of_lines(
    key: str, lines_mm: Sequence[Sequence[Sequence[float] | Floats]], normal: Sequence[float] | Floats | None = None
) -> float:
    """Return the angle of two lines in degrees, in the plane of a kind of measure and with its sign.

    Args:
        key: Kind of measure.
        lines_mm: Two lines, the upper one first, each from its first to its last point, LPS mm.
        normal: Across the plane of the angle, LPS; the kind's own plane if it is None.

    Raises:
        ValueError: If there is no plane, or a line has no length in it.
    """
    across = NORMAL.get(key) if normal is None else np.asarray(normal, dtype=np.float64) / np.linalg.norm(normal)
    if across is None:
        raise ValueError(f"Expected the plane of {key}: it has none of its own.")
    ways = [np.asarray(line[-1], dtype=np.float64) - np.asarray(line[0], dtype=np.float64) for line in lines_mm]
    upper, lower = (way - (way @ across) * across for way in ways)
    if min(np.linalg.norm(upper), np.linalg.norm(lower)) == 0:
        raise ValueError(f"Expected two lines with a length in the plane of {key}.")
    angle_deg = math.degrees(math.atan2(float(np.cross(upper, lower) @ across), float(upper @ lower)))
    if key in UNSIGNED:
        return abs(angle_deg)
    return -angle_deg if key in KYPHOTIC else angle_deg
