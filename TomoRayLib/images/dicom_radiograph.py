"""One radiograph from a DICOM file (DX, CR, XA, RF, SC): pixels with bone bright, and what the header says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.types import Radiograph, RadiographHeader

VOLUME_MODALITIES = ("CT", "MR", "PT", "NM", "US")
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
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
_ORIENTATION = "Patient Orientation (0020,0020)"


def read_dicom_radiograph(path: Path) -> Radiograph:
    """Read the radiograph of one single-frame DICOM file.

    The modality LUT or rescale slope and intercept is applied, MONOCHROME1 is inverted so that bone is bright, padding
    takes the darkest value; VOI window and LUT are not applied. If the file has Patient Orientation (0020,0020), the
    image is turned so that its rows run to the patient's left (frontal) or to posterior (lateral) and its columns to
    the feet; spacing and ``header.patient_orientation`` are those of the turned image. Each step is noted in
    ``header.notes``.
    Raises InputError for a CT slice or other volume modality, several frames, colour, and pixels that do not decode.
    """
    dataset = _dataset(path)
    _check_kind(dataset, path)
    pixels, notes = _modality_pixels(dataset, path)
    padding = _padding_mask(dataset, pixels.shape)
    header = dicom_header(dataset)
    if header.photometric_interpretation == "MONOCHROME1":
        shown = pixels[~padding] if not padding.all() else pixels
        pixels = (shown.max() + shown.min()) - pixels
        notes.append("MONOCHROME1: inverted on reading, so that bone is bright.")
    if padding.any() and not padding.all():
        pixels = np.where(padding, pixels[~padding].min(), pixels)
        notes.append("Pixel Padding Value (0028,0120): padding set to the darkest value.")
    if header.presentation_intent == "FOR PROCESSING":
        notes.append("FOR PROCESSING: raw detector values; bone may be dark and the scale linear in counts.")
    spacing, header = _detector_spacing(header)
    header = replace(header, notes=(*header.notes, *notes))
    radiograph = _upright(Radiograph(np.asarray(pixels, dtype=np.float32), spacing, header))
    return replace(radiograph, pixels=np.ascontiguousarray(radiograph.pixels))


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
        fill(field, origin, _get(dataset, keyword), _any_number if field in _MAY_BE_ZERO else _positive_number)
    for field, (keyword, origin) in _SPACINGS.items():
        fill(field, origin, _get(dataset, keyword), _spacing)
    for field, (keywords, origin) in _TEXTS.items():
        raw = next((value for keyword in keywords if (value := _get(dataset, keyword))), None)
        fill(field, origin, raw, lambda text: str(text).strip().upper())
    orientation = _get(dataset, "PatientOrientation")
    fill("patient_orientation", _ORIENTATION, orientation or None, _orientation)
    notes.extend(_odd_distances(values))
    notes.extend(_unused_angles(values))
    return RadiographHeader(source_format="DICOM", origins=origins, notes=tuple(notes), **values)


def _dataset(path: Path) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(path, force=True)
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise InputError(f"{path}: expected a readable DICOM file, got {error}; export it again.") from error


def _check_kind(dataset: pydicom.Dataset, path: Path) -> None:
    modality = str(_get(dataset, "Modality") or "").upper()
    if modality in VOLUME_MODALITIES:
        raise InputError(
            f"{path}: expected a radiograph (modality DX, CR, XA, RF), got one image of modality {modality}; "
            "choose the radiograph, or give the CT as the volume."
        )
    frames = int(_get(dataset, "NumberOfFrames") or 1)
    if frames != 1:
        raise InputError(
            f"{path}: expected a single radiograph (2D), got {frames} frames; export the one frame to be used."
        )
    if "Rows" not in dataset or not any(key in dataset for key in ("PixelData", "FloatPixelData")):
        raise InputError(
            f"{path}: expected a DICOM image, got {_get(dataset, 'SOPClassUID') or 'a file without pixels'}; "
            "choose the image itself, not a report or presentation state."
        )


def _modality_pixels(dataset: pydicom.Dataset, path: Path) -> tuple[NDArray[np.float32], list[str]]:
    """(rows, columns) values after the modality LUT, and notes. SimpleITK decodes what pydicom has no decoder for."""
    notes: list[str] = []
    if int(_get(dataset, "SamplesPerPixel") or 1) != 1:
        raise InputError(
            f"{path}: expected a greyscale radiograph, got {dataset.PhotometricInterpretation} with "
            f"{dataset.SamplesPerPixel} values per pixel (a screen capture?); export the original image."
        )
    try:
        pixels = apply_modality_lut(dataset.pixel_array, dataset)
    except Exception as pydicom_error:
        try:
            pixels = np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
        except RuntimeError:
            raise InputError(
                f"{path}: expected pixels that can be decoded, got {pydicom_error}; export it uncompressed."
            ) from pydicom_error
    if "ModalityLUTSequence" in dataset or _rescales(dataset):
        notes.append("Modality LUT or rescale slope and intercept applied.")
    if any(keyword in dataset for keyword in ("WindowCenter", "VOILUTSequence")):
        notes.append("VOI window or LUT left unapplied: the full range of values is kept.")
    return np.asarray(pixels, dtype=np.float32), notes


def _rescales(dataset: pydicom.Dataset) -> bool:
    slope, intercept = _get(dataset, "RescaleSlope"), _get(dataset, "RescaleIntercept")
    return (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)) != (1.0, 0.0)


def _padding_mask(dataset: pydicom.Dataset, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """True at stored values between Pixel Padding Value (0028,0120) and its Range Limit (0028,0121)."""
    first = _get(dataset, "PixelPaddingValue")
    if first is None:
        return np.zeros(shape, dtype=bool)
    limit = _get(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((int(first), int(first if limit is None else limit)))
    try:
        stored = dataset.pixel_array
    except Exception:  # decoded by SimpleITK, which no longer has the stored values
        return np.zeros(shape, dtype=bool)
    return (stored >= low) & (stored <= high)


def _detector_spacing(header: RadiographHeader) -> tuple[tuple[float, float] | None, RadiographHeader]:
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


def _upright(radiograph: Radiograph) -> Radiograph:
    """The radiograph turned to rows towards L or P and columns towards F, as its Patient Orientation says."""
    header = radiograph.header
    stored = header.patient_orientation
    if stored is None:
        note = (
            "View Position PA without Patient Orientation: taken with the patient's left at image right, as viewers "
            "show it, and not mirrored; mirror it if that is wrong."
        )
        return _noted(radiograph, note) if header.view_position == "PA" else radiograph
    right, down = _main_direction(stored[0]), _main_direction(stored[1])
    name = f"{_ORIENTATION} {stored[0]}\\{stored[1]}"
    if len({"across" if way in "LRAP" else "along" for way in (right, down) if way in _OPPOSITE}) != 2:
        return _noted(radiograph, f"{name} is neither frontal nor lateral and could not be used: image left as it is.")
    turns = []
    pixels, spacing = radiograph.pixels, radiograph.pixel_spacing_mm
    if right in "HF":
        pixels, right, down, turns = pixels.T, down, right, ["rows and columns exchanged"]
        spacing = _exchanged(spacing)
        header = replace(
            header,
            imager_pixel_spacing_mm=_exchanged(header.imager_pixel_spacing_mm),
            patient_pixel_spacing_mm=_exchanged(header.patient_pixel_spacing_mm),
            nominal_pixel_spacing_mm=_exchanged(header.nominal_pixel_spacing_mm),
        )
    if right in "RA":
        pixels, right = pixels[:, ::-1], _OPPOSITE[right]
        turns.append("mirrored left to right")
    if down == "H":
        pixels, down = pixels[::-1], "F"
        turns.append("turned upside down")
    header = replace(header, patient_orientation=(right, down))
    turned = Radiograph(pixels, spacing, header, radiograph.metadata)
    if stored != (right, down) and max(len(word) for word in stored) > 1:
        turned = _noted(turned, f"{name} is oblique: taken by its main directions.")
    if turns:
        result = f"so that rows run to {right} and columns to {down}"
        turned = _noted(turned, f"{name}: image {', '.join(turns)} on reading, {result}.")
    return turned


def _noted(radiograph: Radiograph, note: str) -> Radiograph:
    return replace(radiograph, header=replace(radiograph.header, notes=(*radiograph.header.notes, note)))


def _main_direction(text: str) -> str:
    """Return the first letter, by DICOM the main one of an oblique direction; empty if a letter is not a direction."""
    return text[:1] if all(letter in _OPPOSITE for letter in text) else ""


def _exchanged(spacing: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if spacing is None else (spacing[1], spacing[0])


def _get(dataset: pydicom.Dataset, keyword: str) -> Any:
    """Return the value, or None if it is absent, empty or not readable at all."""
    try:
        value = dataset.get(keyword)
    except (TypeError, ValueError, NotImplementedError):  # what pydicom raises for broken values and unknown VRs
        return None
    return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value


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
