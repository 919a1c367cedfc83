"""What a DICOM header says about a radiograph: distances, spacings, angles, view and orientation.

Attributes are read from the top of the data set, where ``read_data_set`` puts those of functional groups too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pydicom

from TomoRayLib.images.dicom.directions import (
    PATIENT_POSITIONS,
    direction_letter,
    receptor_axes,
    rt_image_frame,
    source_of_positioner,
)
from TomoRayLib.images.dicom.distances import with_magnification, with_units, without_unknowns
from TomoRayLib.images.types import SLOT_SCAN, RadiographHeader

# Field of RadiographHeader -> DICOM keyword, the name that the standard and viewers show, tag.
_DISTANCES = {
    "sid_mm": (
        ("RTImageSID", "RT Image SID (3002,0026)"),
        ("DistanceSourceToDetector", "Distance Source to Detector (0018,1110)"),
    ),
    "sad_mm": (
        ("RadiationMachineSAD", "Radiation Machine SAD (3002,0022)"),
        ("DistanceSourceToIsocenter", "Distance Source to Isocenter (0018,9402)"),
        ("DistanceSourceToPatient", "Distance Source to Patient (0018,1111)"),
    ),
}
_NUMBERS = {
    "magnification": (
        "EstimatedRadiographicMagnificationFactor",
        "Estimated Radiographic Magnification Factor (0018,1114)",
    ),
    "primary_angle_deg": ("PositionerPrimaryAngle", "Positioner Primary Angle (0018,1510)"),
    "secondary_angle_deg": ("PositionerSecondaryAngle", "Positioner Secondary Angle (0018,1511)"),
}
_SPACINGS = {
    "imager_pixel_spacing_mm": (
        ("ImagePlanePixelSpacing", "Image Plane Pixel Spacing (3002,0011)"),
        ("ImagerPixelSpacing", "Imager Pixel Spacing (0018,1164)"),
    ),
    "patient_pixel_spacing_mm": (("PixelSpacing", "Pixel Spacing (0028,0030)"),),
    "nominal_pixel_spacing_mm": (("NominalScannedPixelSpacing", "Nominal Scanned Pixel Spacing (0018,2010)"),),
    "pixel_aspect": (("PixelAspectRatio", "Pixel Aspect Ratio (0028,0034)"),),
}
_TEXTS = {
    "modality": (("Modality",), "Modality (0008,0060)"),
    "positioner_type": (("PositionerType",), "Positioner Type (0018,1508)"),
    "view_position": (("ViewPosition",), "View Position (0018,5101)"),
    "body_part": (("BodyPartExamined",), "Body Part Examined (0018,0015)"),
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
# Angles of the beam against the detector: a View has its detector perpendicular to the central ray.
_SLANTS = {
    "DetectorPrimaryAngle": "Detector Primary Angle (0018,1530)",
    "DetectorSecondaryAngle": "Detector Secondary Angle (0018,1531)",
    "ColumnAngulation": "Column Angulation (0018,1450)",
    "ColumnAngulationPatient": "Column Angulation (Patient) (0018,9447)",
    "GantryPitchAngle": "Gantry Pitch Angle (300A,014A)",
}
LARGEST_SLANT_DEG = 3.0  # changes distances on the detector by less than 1 %
SAME_SHAPE, RESIZED = 0.05, 1.4  # a collimated or cropped image has another shape, or is hardly smaller
ANGLE_TOLERANCE_DEG = 0.5  # positioners write what they measured, -0.2 for 0
ORIENTATION = "Patient Orientation (0020,0020)"
LONGEST_DETECTOR_MM, JOINED = 500.0, ("STITCH", "COMPOSED", "PASTED")  # usual ones have 430 mm
_ORIGIN_TEXTS = {
    "ImageType": "Image Type (0008,0008)",
    "DerivationDescription": "Derivation Description (0008,2111)",
    "SeriesDescription": "Series Description (0008,103E)",
    "AcquisitionDeviceProcessingDescription": "Acquisition Device Processing Description (0018,1400)",
}
SLOT_SCANNERS = ("EOS", "BIOSPACE", "LODOX")  # makers of slot scanners alone
RT_IMAGE, C_ARM = "RTIMAGE", "CARM"
_RT_NORMAL = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # rows along the receptor's x, columns against its y


def dicom_header(dataset: pydicom.Dataset) -> RadiographHeader:
    """Collect what a DICOM dataset says about a radiograph's geometry; unusable values become None with a note."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    notes: list[str] = []

    def fill(field: str, origin: str, raw: Any, convert: Callable[[Any], Any]) -> None:
        if field in values or raw is None or (isinstance(raw, str) and not raw.strip()):
            return
        try:
            values[field] = convert(raw)
            origins[field] = origin
        except (TypeError, ValueError):
            notes.append(f"{origin}: {raw!r} is not usable and was left out.")

    for field, choices in _DISTANCES.items():
        for keyword, origin in choices:
            fill(field, origin, value_of(dataset, keyword), _positive_number)
    for field, (keyword, origin) in _NUMBERS.items():
        fill(field, origin, value_of(dataset, keyword), _any_number if field in _MAY_BE_ZERO else _positive_number)
    for field, choices in _SPACINGS.items():
        for keyword, origin in choices:
            fill(field, origin, value_of(dataset, keyword), _spacing)
    for field, (keywords, origin) in _TEXTS.items():
        raw = next((value for keyword in keywords if (value := value_of(dataset, keyword))), None)
        fill(field, origin, raw, lambda text: str(text).strip().upper())
    orientation = value_of(dataset, "PatientOrientation")
    fill("patient_orientation", ORIENTATION, orientation or None, _orientation)
    header = RadiographHeader(source_format="DICOM", origins=origins, notes=tuple(notes), **values)
    header = with_magnification(without_unknowns(with_units(header)))
    header = _with_rt_image(header, dataset) if header.modality == RT_IMAGE else _with_positioner(header, dataset)
    for step in (_without_slot_scans, _with_slants, _with_field, _with_length):
        header = step(header, dataset)
    return header


def detector_spacing(header: RadiographHeader) -> tuple[tuple[float, float] | None, RadiographHeader]:
    """Return the spacing at the detector if the header has it, else the next best one with a note."""
    for field in ("imager_pixel_spacing_mm", "nominal_pixel_spacing_mm", "patient_pixel_spacing_mm"):
        spacing: tuple[float, float] | None = getattr(header, field)
        if spacing is None:
            continue
        notes = header.notes
        if field == "patient_pixel_spacing_mm" and header.spacing_is_at_patient:
            notes += (
                f"Pixel Spacing (0028,0030) is calibrated ({header.spacing_calibration}) to the patient and there is "
                "no Imager Pixel Spacing: times the magnification it is the spacing at the detector.",
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
    except Exception:  # pydicom raises many kinds for broken values and unknown VRs
        return None
    return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value


def number_of(dataset: pydicom.Dataset, keyword: str) -> float | None:
    """Return the value if it is one finite number, else None."""
    try:
        return _any_number(value_of(dataset, keyword))
    except (TypeError, ValueError):
        return None


def _with_positioner(header: RadiographHeader, dataset: pydicom.Dataset) -> RadiographHeader:
    """The direction of a C-arm's source; a note for angles of another positioner, which have no such definition."""
    primary, secondary = header.primary_angle_deg, header.secondary_angle_deg
    if primary is None and secondary is None:
        in_room_deg = number_of(dataset, "PositionerIsocenterPrimaryAngle")
        if in_room_deg is None:
            return header
        note = f"Positioner Isocenter Primary Angle (0018,9463) {in_room_deg:g} deg is the room's, not the patient's: "
        return replace(header, notes=(*header.notes, note + "not used."))
    kind = header.positioner_type
    if kind == C_ARM or (kind is None and header.modality in ("XA", "RF")):
        if primary is None:
            note = f"{header.origins['secondary_angle_deg']} without a primary angle: not used."
            return replace(header, notes=(*header.notes, note))
        return replace(header, to_source=source_of_positioner(primary, secondary or 0.0))
    notes = []
    for field, period_deg in (("primary_angle_deg", 90.0), ("secondary_angle_deg", 360.0)):
        angle_deg = getattr(header, field)
        if angle_deg is not None and abs(math.remainder(angle_deg, period_deg)) > ANGLE_TOLERANCE_DEG:
            notes.append(
                f"{header.origins[field]}: positioner angle {angle_deg:g} deg is not used; give the geometry yourself "
                "(only a C-arm's angles are defined about the patient)."
            )
    return replace(header, notes=(*header.notes, *notes))


def _with_rt_image(header: RadiographHeader, dataset: pydicom.Dataset) -> RadiographHeader:
    """Directions and offset of an RT Image (PS3.3 C.8.8.2, IEC 61217), and the patient orientation that they give."""
    plane = str(value_of(dataset, "RTImagePlane") or "NORMAL").strip().upper()
    if plane != "NORMAL":
        sentence = f"RT Image Plane (3002,000C) is {plane}: expected NORMAL, a receptor perpendicular to the beam."
        return replace(header, refused={**header.refused, "geometry": sentence})
    gantry_deg = number_of(dataset, "GantryAngle")
    if gantry_deg is None:
        return header
    position = str(value_of(dataset, "PatientPosition") or "").strip().upper()
    notes, warnings = [f"Gantry Angle (300A,011E) {gantry_deg:g} deg, patient {position}: used."], []
    if position not in PATIENT_POSITIONS:
        notes = [f"Gantry Angle (300A,011E) {gantry_deg:g} deg: used for a patient who lies head first, supine."]
        if position:
            warnings = [f"Patient Position (0018,5100) is {position}, taken as head first, supine: check the angles."]
        position = "HFS"
    gantry = rt_image_frame(gantry_deg, number_of(dataset, "PatientSupportAngle") or 0.0, position)
    orientation = _numbers_in(dataset, "RTImageOrientation", 6) or _RT_NORMAL
    axes = receptor_axes(number_of(dataset, "XRayImageReceptorAngle") or 0.0, orientation)
    rows, columns = axes @ gantry
    header = replace(
        header,
        to_source=_vector(gantry[2]),
        image_axes=(_vector(rows), _vector(columns)),
        detector_offset_mm=_rt_offset(dataset, header.imager_pixel_spacing_mm, axes),
        notes=(*header.notes, *notes),
        warnings=(*header.warnings, *warnings),
    )
    if header.patient_orientation is None:
        origins = {**header.origins, "patient_orientation": "Gantry Angle (300A,011E) and RT Image Orientation"}
        letters = (direction_letter(rows), direction_letter(columns))
        return replace(header, patient_orientation=letters, origins=origins)
    return header


def _rt_offset(
    dataset: pydicom.Dataset, spacing_mm: tuple[float, float] | None, axes: np.ndarray
) -> tuple[float, float] | None:
    """(down, right) of the image's middle from the central ray.

    RT Image Position is the first pixel in the receptor's system, whose origin the translation puts into the gantry's.
    """
    position = _numbers_in(dataset, "RTImagePosition", 2)
    translation = _numbers_in(dataset, "XRayImageReceptorTranslation", 3)
    middle = np.zeros(3) if translation is None else np.array((*translation[:2], 0.0))
    if position is not None and spacing_mm is not None:
        turn = receptor_axes(number_of(dataset, "XRayImageReceptorAngle") or 0.0, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
        middle += np.array(position) @ turn
        middle += axes[0] * (dataset.Columns - 1) / 2 * spacing_mm[1] + axes[1] * (dataset.Rows - 1) / 2 * spacing_mm[0]
    elif translation is None:
        return None
    right_mm, down_mm = axes @ middle
    return (float(down_mm), float(right_mm))


def _without_slot_scans(header: RadiographHeader, dataset: pydicom.Dataset) -> RadiographHeader:
    """A mark for a scanner whose rays do not come from one point, and whose spacing is not the detector's."""
    maker = str(value_of(dataset, "Manufacturer") or "").strip()
    found = f"Manufacturer (0008,0070) is {maker}"
    if str(value_of(dataset, "DetectorConfiguration") or "").strip().upper() == "SLOT":
        found = "Detector Configuration (0018,7005) is SLOT"
    elif not maker.upper().startswith(SLOT_SCANNERS):
        return header
    sentence = f"{found}, a slot scan: its rays come from no one point, but from a fan that is moved along the body."
    return replace(header, refused={**header.refused, SLOT_SCAN: sentence})


def _with_slants(header: RadiographHeader, dataset: pydicom.Dataset) -> RadiographHeader:
    """A warning for a beam that does not meet the detector at a right angle."""
    warnings = tuple(
        f"{name} is {angle_deg:g} deg: such a slant of the beam is not used. Check the geometry."
        for keyword, name in _SLANTS.items()
        if (angle_deg := number_of(dataset, keyword)) is not None and abs(angle_deg) > LARGEST_SLANT_DEG
    )
    return replace(header, warnings=(*header.warnings, *warnings))


def _with_field(header: RadiographHeader, dataset: pydicom.Dataset) -> RadiographHeader:
    """A warning for an image that was reduced or enlarged while its spacing stayed.

    Field of View Dimension(s) is the size in mm of what Pixel Data shows, at the detector.
    """
    field_mm = _numbers_in(dataset, "FieldOfViewDimensions", 2)
    spacing_mm = header.imager_pixel_spacing_mm
    size = (value_of(dataset, "Rows"), value_of(dataset, "Columns"))
    if field_mm is None or spacing_mm is None or None in size or min(field_mm) <= 0:
        return header
    pixels_mm = [int(count) * mm for count, mm in zip(size, spacing_mm, strict=True)]
    long, short = (stated / shown for stated, shown in zip(sorted(field_mm), sorted(pixels_mm), strict=True))
    if not (abs(long / short - 1.0) < SAME_SHAPE and max(long, 1.0 / long) > RESIZED):
        return header
    warning = (
        f"Field of View Dimension(s) (0018,1149) is {field_mm[0]:g} x {field_mm[1]:g} mm, but the pixels of "
        f"{header.origins['imager_pixel_spacing_mm']} make {pixels_mm[0]:.0f} x {pixels_mm[1]:.0f} mm: was the image "
        "resized? Check the pixel spacing."
    )
    return replace(header, warnings=(*header.warnings, warning))


def _numbers_in(dataset: pydicom.Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return ``count`` finite numbers, or None if the value is not that."""
    try:
        numbers = tuple(_any_number(value) for value in value_of(dataset, keyword))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count else None


def _with_length(header: RadiographHeader, dataset: pydicom.Dataset) -> RadiographHeader:
    """A warning for a plain film that is longer than a detector, or is said to be put together from several."""
    size = (number_of(dataset, "Rows"), number_of(dataset, "Columns"))
    spacing_mm = header.imager_pixel_spacing_mm or header.patient_pixel_spacing_mm
    if header.modality not in ("DX", "CR", "RG", "RF") or spacing_mm is None or None in size:
        return header
    long_mm = max(count * mm for count, mm in zip(size, spacing_mm, strict=True) if count is not None)
    texts = {name: str(value_of(dataset, keyword) or "").upper() for keyword, name in _ORIGIN_TEXTS.items()}
    joined = next((f"{name} says {word}" for name, text in texts.items() for word in JOINED if word in text), None)
    if long_mm <= LONGEST_DETECTOR_MM and joined is None:
        return header
    if joined is not None:
        said = f"The image is {long_mm:.0f} mm long and it was put together from several exposures ({joined}): its"
    else:
        said = f"The image is {long_mm:.0f} mm long: if it was put together from several exposures, its"
    warning = (
        f"{said} rays come from several points, but one was assumed, so heights away from its middle are off. Use a "
        "single exposure."
    )
    return replace(header, warnings=(*header.warnings, warning))


def _vector(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


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
