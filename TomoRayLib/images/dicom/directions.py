"""The directions of source and image that a DICOM header states, and what turning the image does to them.

Frames: patient in LPS; IEC 61217's fixed system has x to the right and y into the gantry as one faces it, z up.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.images.types import RadiographHeader

# Patient Position (0018,5100) -> where the fixed system's y (into the gantry) and z (up) point in the patient, LPS.
_UP = {"S": (0.0, -1.0, 0.0), "P": (0.0, 1.0, 0.0), "DR": (1.0, 0.0, 0.0), "DL": (-1.0, 0.0, 0.0)}
_HEAD_FIRST, _FEET_FIRST = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)
PATIENT_POSITIONS = {
    first + lying: (into, up) for first, into in (("HF", _HEAD_FIRST), ("FF", _FEET_FIRST)) for lying, up in _UP.items()
}


def source_of_positioner(primary_deg: float, secondary_deg: float) -> Vector3:
    """Return the unit vector in LPS from the isocentre to the source of a C-arm.

    The angles say where the *detector* stands (PS3.3 C.8.7.5.1.2): primary 0 in front of the chest, +90 at the
    patient's left (LAO), -90 at the right (RAO); secondary +90 at the head (CRA), -90 at the feet (CAU). The source is
    opposite.
    """
    primary, secondary = math.radians(primary_deg), math.radians(secondary_deg)
    to_detector = (
        math.sin(primary) * math.cos(secondary),
        -math.cos(primary) * math.cos(secondary),
        math.sin(secondary),
    )
    x, y, z = (-value for value in to_detector)
    return (x, y, z)


def rt_image_frame(gantry_deg: float, couch_deg: float, patient_position: str) -> NDArray[np.float64]:
    """Return the axes of IEC 61217's gantry system in the patient.

    Args:
        gantry_deg: Gantry Angle (300A,011E): 0 with the source above, 90 with it at the fixed system's +x.
        couch_deg: Patient Support Angle (300A,0122), counter-clockwise as seen from above.
        patient_position: A key of ``PATIENT_POSITIONS``.

    Returns:
        (3, 3), rows x, y and z (towards the source) of the gantry, unit vectors in LPS.
    """
    into, up = (np.array(vector) for vector in PATIENT_POSITIONS[patient_position])
    support_to_patient = np.stack([np.cross(into, up), into, up])  # rows: the couch's x, y, z in LPS
    couch, gantry = math.radians(couch_deg), math.radians(gantry_deg)
    fixed_to_support = np.array(
        [[math.cos(couch), -math.sin(couch), 0.0], [math.sin(couch), math.cos(couch), 0.0], [0.0, 0.0, 1.0]]
    )  # rows: the fixed x, y, z in the couch's system
    gantry_in_fixed = np.array(
        [[math.cos(gantry), 0.0, -math.sin(gantry)], [0.0, 1.0, 0.0], [math.sin(gantry), 0.0, math.cos(gantry)]]
    )
    return np.asarray(gantry_in_fixed @ fixed_to_support @ support_to_patient)


def receptor_axes(receptor_deg: float, orientation: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the directions of an RT Image's rows and columns in the gantry system.

    Args:
        receptor_deg: X-Ray Image Receptor Angle (3002,000E), counter-clockwise as seen from the source.
        orientation: RT Image Orientation (3002,0010), six direction cosines in the receptor's system.

    Returns:
        (2, 3): along a row, along a column.
    """
    angle = math.radians(receptor_deg)
    receptor = np.array(
        [[math.cos(angle), math.sin(angle), 0.0], [-math.sin(angle), math.cos(angle), 0.0], [0.0, 0.0, 1.0]]
    )
    return np.asarray(np.reshape(orientation, (2, 3)) @ receptor)


def direction_letter(vector: NDArray[np.float64]) -> str:
    """Return the main direction of a vector in LPS as Patient Orientation (0020,0020) names it: ``"L"``."""
    axis = int(np.argmax(np.abs(vector)))
    return ("RL", "AP", "FH")[axis][int(vector[axis] > 0)]


def turned(header: RadiographHeader, *, exchanged: bool, mirrored: bool, upside_down: bool) -> RadiographHeader:
    """Return the header of an image that was turned: rows and columns exchanged, then mirrored, then upside down."""
    if exchanged:
        header = replace(
            header,
            imager_pixel_spacing_mm=swapped(header.imager_pixel_spacing_mm),
            patient_pixel_spacing_mm=swapped(header.patient_pixel_spacing_mm),
            nominal_pixel_spacing_mm=swapped(header.nominal_pixel_spacing_mm),
            pixel_aspect=swapped(header.pixel_aspect),
            detector_offset_mm=swapped(header.detector_offset_mm),
            image_axes=None if header.image_axes is None else (header.image_axes[1], header.image_axes[0]),
        )
    down, right = (-1.0 if upside_down else 1.0, -1.0 if mirrored else 1.0)
    header = replace(header, turns=(exchanged, mirrored, upside_down))
    if header.detector_offset_mm is not None:
        down_mm, right_mm = header.detector_offset_mm
        header = replace(header, detector_offset_mm=(down * down_mm, right * right_mm))
    if header.image_axes is not None:
        rows, columns = header.image_axes
        header = replace(header, image_axes=(_times(right, rows), _times(down, columns)))
    return header


def swapped(pair: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if pair is None else (pair[1], pair[0])


def _times(factor: float, vector: Vector3) -> Vector3:
    x, y, z = (factor * value for value in vector)
    return (x, y, z)
