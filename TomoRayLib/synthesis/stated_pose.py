"""Where the source of a radiograph stood, as its header says: the angles of a ``View``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.images.types import RadiographHeader


@dataclass(frozen=True)
class StatedPose:
    """Angles of a view, their origin (empty: nothing states them), a note and a warning."""

    gantry_angle_deg: float
    tilt_deg: float = 0.0
    roll_deg: float = 0.0
    origin: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def angles_of(to_source: Vector3, image_axes: tuple[Vector3, Vector3] | None) -> tuple[float, float, float]:
    """Return gantry angle, tilt and roll (degrees) of a ``View`` with this source.

    Args:
        to_source: Unit vector in LPS from the isocentre to the source.
        image_axes: Unit vectors in LPS along rows and columns; None for an image that is level.
    """
    x, y, z = to_source
    gantry, tilt = math.atan2(x, -y), math.asin(max(-1.0, min(1.0, z)))
    if image_axes is None:
        return math.degrees(gantry), math.degrees(tilt), 0.0
    level = np.array([math.cos(gantry), math.sin(gantry), 0.0])
    plumb = np.cross(level, np.asarray(to_source))  # as View has them: straight down in the detector plane
    right = np.asarray(image_axes[0])
    return math.degrees(gantry), math.degrees(tilt), math.degrees(math.atan2(right @ plumb, right @ level))


def stated_pose(header: RadiographHeader, nominal_deg: float) -> StatedPose:
    """The angles of the header's source, from the side that the image is looked at; else straight.

    A source on the other side (PA, right lateral) is put opposite, on the same line: the network knows sources in
    front and at the left only, and reads an image from the other side wrongly.
    """
    if header.to_source is None:
        return StatedPose(nominal_deg)
    x, y, z = header.to_source
    horizontal = math.hypot(x, y)
    letter = header.patient_orientation[0][:1] if header.patient_orientation is not None else ""
    frontal = letter in "LR" if letter in ("L", "R", "A", "P") else abs(y) >= abs(x)
    seen = abs(y) if frontal else abs(x)
    if horizontal == 0.0 or seen < 0.5 * horizontal:
        gantry_deg = angles_of(header.to_source, None)[0]
        return StatedPose(
            nominal_deg,
            warnings=(
                f"its angles put the source at a gantry angle of {gantry_deg:.0f} deg, but its Patient Orientation is "
                f"{letter}: the angles were not used. Check both.",
            ),
        )
    opposite = y > 0 if frontal else x < 0
    to_source = (-x, -y, -z) if opposite else header.to_source
    gantry_deg, tilt_deg, roll_deg = angles_of(to_source, header.image_axes)
    side = "behind" if frontal else "the patient's right"
    note = (
        f"taken from {side}: the source was put on the opposite side of the same line, so near and far are exchanged.",
    )
    warnings = () if opposite or header.patient_orientation is not None else (_unstated_side(frontal),)
    return StatedPose(gantry_deg, tilt_deg, roll_deg, "header", note if opposite else (), warnings)


def _unstated_side(frontal: bool) -> str:
    """The warning for a C-arm's image that is mirrored if it is shown as seen from its detector."""
    detector, right, other = ("behind", "left", "right") if frontal else ("at the right of", "back", "front")
    return (
        f"its angles put the detector {detector} the patient, but nothing states which way round the image is (Patient "
        f"Orientation (0020,0020)): taken with the patient's {right} at image right. As seen from the detector, the "
        f"{other} would be there: mirror the image if so."
    )
