"""The pixels of one DICOM radiograph: decoded, with the modality LUT applied, bone bright."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom_header import value_of

VOLUME_MODALITIES = ("CT", "MR", "PT", "NM", "US")


def read_pixels(dataset: pydicom.Dataset, path: Path) -> tuple[NDArray[np.float32], list[str]]:
    """Decode the pixels, bone bright, padding at the darkest value.

    Args:
        dataset: The dataset with its pixels.
        path: Its file, for messages and for SimpleITK.

    Returns:
        Values (row, column) as float32, and notes on what was done.

    Raises:
        InputError: For colour, and pixels that do not decode.
    """
    pixels, notes = _modality_pixels(dataset, path)
    padding = _padding_mask(dataset, pixels.shape)
    if str(value_of(dataset, "PhotometricInterpretation") or "").strip().upper() == "MONOCHROME1":
        shown = pixels[~padding] if not padding.all() else pixels
        pixels = (shown.max() + shown.min()) - pixels
        notes.append("MONOCHROME1: inverted on reading, so that bone is bright.")
    if padding.any() and not padding.all():
        pixels = np.where(padding, pixels[~padding].min(), pixels)
        notes.append("Pixel Padding Value (0028,0120): padding set to the darkest value.")
    if str(value_of(dataset, "PresentationIntentType") or "").strip().upper() == "FOR PROCESSING":
        notes.append("FOR PROCESSING: raw detector values; bone may be dark and the scale linear in counts.")
    return np.asarray(pixels, dtype=np.float32), notes


def check_kind(dataset: pydicom.Dataset, path: Path) -> None:
    modality = str(value_of(dataset, "Modality") or "").upper()
    if modality in VOLUME_MODALITIES:
        raise InputError(
            f"{path}: expected a radiograph (modality DX, CR, XA, RF), got one image of modality {modality}; "
            "choose the radiograph, or give the CT as the volume."
        )
    frames = int(value_of(dataset, "NumberOfFrames") or 1)
    if frames != 1:
        raise InputError(
            f"{path}: expected a single radiograph (2D), got {frames} frames; export the one frame to be used."
        )
    if "Rows" not in dataset or not any(key in dataset for key in ("PixelData", "FloatPixelData")):
        raise InputError(
            f"{path}: expected a DICOM image, got {value_of(dataset, 'SOPClassUID') or 'a file without pixels'}; "
            "choose the image itself, not a report or presentation state."
        )


def _modality_pixels(dataset: pydicom.Dataset, path: Path) -> tuple[NDArray[np.float32], list[str]]:
    """(rows, columns) values after the modality LUT, and notes. SimpleITK decodes what pydicom has no decoder for."""
    notes: list[str] = []
    if int(value_of(dataset, "SamplesPerPixel") or 1) != 1:
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
    slope, intercept = value_of(dataset, "RescaleSlope"), value_of(dataset, "RescaleIntercept")
    return (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)) != (1.0, 0.0)


def _padding_mask(dataset: pydicom.Dataset, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """True at stored values between Pixel Padding Value (0028,0120) and its Range Limit (0028,0121)."""
    first = value_of(dataset, "PixelPaddingValue")
    if first is None:
        return np.zeros(shape, dtype=bool)
    limit = value_of(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((int(first), int(first if limit is None else limit)))
    try:
        stored = dataset.pixel_array
    except Exception:  # decoded by SimpleITK, which no longer has the stored values
        return np.zeros(shape, dtype=bool)
    return (stored >= low) & (stored <= high)
