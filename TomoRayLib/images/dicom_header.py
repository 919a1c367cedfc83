"""What a DICOM header says about a radiograph: distances, spacings, angles, view and orientation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pydicom

from TomoRayLib.images.types import RadiographHeader

SHORTEST_SID_MM = 300.0  # below this a distance was almost surely given in centimetres

# Field of RadiographHeader -> DICOM keyword, the name that the standard and viewers show, tag.
_NUMBERS = {
    "sid_mm": ("DistanceSourceToDetector", "Distance Source to Detector (0018,1110)"),
    "sad_mm": ("DistanceSourceToPatient", "Distance Source to Patient (0018,1111)"),
    "magnification": (
        "EstimatedRadiographicMagnificationFactor",
        "Estimated Radiographic Magnification Factor (0018,1114)",
    ),
    "primary_angle_deg": ("PositionerPrimaryAngle", "Positioner Primary Angle (0018,1510)"),
    "secondary_angle_deg": ("PositionerSecondaryAngle", "Positioner Secondary Angle (0018,1511)"),
}
_SPACINGS = {
    "imager_pixel_spacing_mm": ("ImagerPixelSpacing", "Imager Pixel Spacing (0018,1164)"),
    "patient_pixel_spacing_mm": ("PixelSpacing", "Pixel Spacing (0028,0030)"),
    "nominal_pixel_spacing_mm": ("NominalScannedPixelSpacing", "Nominal Scanned Pixel Spacing (0018,2010)"),
}
_TEXTS = {
    "modality": (("Modality",), "Modality (0008,0060)"),
    "view_position": (("ViewPosition",), "View Position (0018,5101)"),
    "laterality": (("ImageLaterality", "Laterality"), "Image Laterality (0020,0062) or Laterality (0020,0060)"),
    "spacing_calibration": (("PixelSpacingCalibrationType",), "Pixel Spacing Calibration Type (0028,0A02)"),
    "photometric_interpretation": (("PhotometricInterpretation",), "Photometric Interpretation (0028,0004)"),
    "presentation_intent": (("PresentationIntentType",), "Presentation Intent Type (0008,0068)"),
    "pixel_intensity_relationship": (
        ("PixelIntensityRelationship",),
        "Pixel Intensity Relationship (0028,1040)",
    ),
}
_MAY_BE_ZERO = ("primary_angle_deg", "secondary_angle_deg")
ANGLE_TOLERANCE_DEG = 0.5  # positioners write what they measured, -0.2 for 0
ORIENTATION = "Patient Orientation (0020,0020)"


def dicom_header(dataset: pydicom.Dataset) -> RadiographHeader:
    """Collect what a DICOM dataset says about a radiograph's geometry; unusable values become None with a note."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    notes: list[str] = []

    def fill(field: str, origin: str, raw: Any, convert: Callable[[Any], Any]) -> None:
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return
        try:
            values[field] = convert(raw)
            origins[field] = origin
        except (TypeError, ValueError):
            notes.append(f"{origin}: {raw!r} is not usable and was left out.")

    for field, (keyword, origin) in _NUMBERS.items():
        fill(field, origin, value_of(dataset, keyword), _any_number if field in _MAY_BE_ZERO else _positive_number)
    for field, (keyword, origin) in _SPACINGS.items():
        fill(field, origin, value_of(dataset, keyword), _spacing)
    for field, (keywords, origin) in _TEXTS.items():
        raw = next((value for keyword in keywords if (value := value_of(dataset, keyword))), None)
        fill(field, origin, raw, lambda text: str(text).strip().upper())
    orientation = value_of(dataset, "PatientOrientation")
    fill("patient_orientation", ORIENTATION, orientation or None, _orientation)
    notes.extend(_odd_distances(values))
    notes.extend(_unused_angles(values))
    return RadiographHeader(source_format="DICOM", origins=origins, notes=tuple(notes), **values)


def detector_spacing(header: RadiographHeader) -> tuple[tuple[float, float] | None, RadiographHeader]:
    """Return the spacing at the detector if the header has it, else the next best one with a note."""
    for field in ("imager_pixel_spacing_mm", "patient_pixel_spacing_mm", "nominal_pixel_spacing_mm"):
        spacing: tuple[float, float] | None = getattr(header, field)
        if spacing is None:
            continue
        notes = header.notes
        if field == "patient_pixel_spacing_mm" and header.spacing_is_at_patient:
            notes += (
                f"Pixel Spacing (0028,0030) is calibrated ({header.spacing_calibration}) to the patient and there is "
                "no Imager Pixel Spacing: multiply it by the magnification for the spacing at the detector.",
            )
        elif field == "patient_pixel_spacing_mm":
            notes += ("Pixel Spacing (0028,0030) without calibration type: taken as the spacing at the detector.",)
        origins = {**header.origins, "radiograph.pixel_spacing_mm": header.origins[field]}
        return spacing, replace(header, origins=origins, notes=notes)
    return None, header


def value_of(dataset: pydicom.Dataset, keyword: str) -> Any:
    """Return the value, or None if it is absent, empty or not readable at all."""
    try:
        value = dataset.get(keyword)
    except (TypeError, ValueError, NotImplementedError):  # what pydicom raises for broken values and unknown VRs
        return None
    return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value


def _odd_distances(values: dict[str, Any]) -> list[str]:
    notes = []
    for field in ("sid_mm", "sad_mm"):
        if values.get(field, SHORTEST_SID_MM) < SHORTEST_SID_MM:
            notes.append(f"{_NUMBERS[field][1]} is {values[field]:g} mm: was it written in centimetres?")
    if "sid_mm" in values and "sad_mm" in values and values["sad_mm"] > values["sid_mm"]:
        notes.append("Distance Source to Patient exceeds Distance Source to Detector: were they swapped?")
    return notes


def _unused_angles(values: dict[str, Any]) -> list[str]:
    """A note for each positioner angle other than that of a straight AP or lateral view."""
    notes = []
    for field, period_deg in (("primary_angle_deg", 90.0), ("secondary_angle_deg", 360.0)):
        angle_deg = values.get(field, 0.0)
        if abs(math.remainder(angle_deg, period_deg)) > ANGLE_TOLERANCE_DEG:
            notes.append(
                f"{_NUMBERS[field][1]}: positioner angle {angle_deg:g} deg is not used; give the geometry yourself."
            )
    return notes


def _any_number(raw: Any) -> float:
    number = float(raw)
    if not math.isfinite(number):
        raise ValueError(raw)
    return number


def _positive_number(raw: Any) -> float:
    number = _any_number(raw)
    if number <= 0:
        raise ValueError(raw)
    return number


def _spacing(raw: Any) -> tuple[float, float]:
    row_mm, column_mm = (_positive_number(value) for value in raw)
    return (row_mm, column_mm)


def _orientation(raw: Any) -> tuple[str, str]:
    if isinstance(raw, str):  # one value instead of two
        raise ValueError(raw)
    right, down = (str(value).strip().upper() for value in raw)
    return (right, down)
