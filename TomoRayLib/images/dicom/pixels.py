"""The pixels of one DICOM radiograph under one contract, whatever decoded them: modality values, bone bright."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_color_lut, apply_modality_lut
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.declared import check_frames
from TomoRayLib.images.dicom.decoding import (
    CellLayout,
    cell_layout,
    decoded_cells,
    settle_syntax,
    stored_values,
    within_stored_bits,
)
from TomoRayLib.images.dicom.header import number_of, value_of
from TomoRayLib.images.dicom.polarity import keeps_linear_intensity, polarity, table_falls, text_of

VOLUME_MODALITIES = ("CT", "MR", "PT", "NM", "US")
OTHER_MODALITIES = ("SEG", "RTDOSE", "SM", "OP", "OPT", "IVUS", "IVOCT", "ES", "XC", "GM")
GREY_TOLERANCE = 8 / 255  # of the full scale, by which JPEG may set the channels of a grey picture apart
_LOSSY_SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
_MONOCHROME = ("MONOCHROME1", "MONOCHROME2", "")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "YBR_PARTIAL_422")


@dataclass(frozen=True)
class ReadPixels:
    """Values (row, column) as float32, bone bright, with notes on what was done and warnings on what to check."""

    values: NDArray[np.float32]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_pixels(dataset: pydicom.Dataset, path: Path) -> ReadPixels:
    """Decode the pixels and apply what the header asks for, in the order of the standard (PS3.4 N.2).

    Stored values, Modality LUT or rescale, then inversion if bone would be dark; padding at the darkest value. VOI
    window and LUT cut values off and are not applied. Grey pictures in a palette or in colour become grey.

    Args:
        dataset: The data set with its pixels.
        path: Its file, for messages.

    Returns:
        The pixels; each note is written by the code that did it.

    Raises:
        InputError: For true colour, and pixels that do not decode or contradict their header.
    """
    photometric = text_of(dataset, "PhotometricInterpretation")
    if photometric not in (*_MONOCHROME, *_COLOUR, "PALETTE COLOR"):
        raise InputError(
            f"{path}: expected Photometric Interpretation (0028,0004) MONOCHROME1 or MONOCHROME2, got {photometric}; "
            "export the original image in greyscale."
        )
    notes = [*settle_syntax(dataset), *compression_notes(dataset)]
    cells = decoded_cells(dataset, path)
    if photometric not in _MONOCHROME or cells.ndim == 3:
        values = _grey(cells, dataset, path)
        return ReadPixels(values, (*notes, f"Stored in colour ({photometric}) with equal channels: read as grey."))
    warnings = (
        [] if photometric else ["Photometric Interpretation (0028,0004) is missing: high values taken as bright."]
    )
    layout, stored = None, cells
    if cells.dtype.kind == "u":
        layout = cell_layout(dataset, path)
        cells, cut_off = within_stored_bits(dataset, cells, layout)
        notes += cut_off
        stored, odd = stored_values(cells, layout)
        warnings += odd
    padding = _padding(dataset, cells, stored, layout)
    pixels, rising, done = _modality_values(dataset, stored, path)
    side = polarity(dataset, pixels, rising=rising)
    pixels = _with_bone_bright(pixels, side.invert, padding)
    notes += [*done, *side.notes]
    if padding is not None:
        notes.append("Pixel Padding Value (0028,0120): padding set to the darkest value.")
    notes += _scale_notes(dataset)
    return ReadPixels(pixels, tuple(notes), (*warnings, *side.warnings))


def plain_values(dataset: pydicom.Dataset, path: Path) -> NDArray[Any]:
    """The stored values with rescale slope and intercept, as programs hold them that invert nothing.

    Args:
        dataset: The data set of one frame, with its pixels.
        path: Its file, for messages.

    Raises:
        InputError: For pixels that do not decode, and more of them than file or memory hold.
    """
    check_frames([(dataset, path)])
    settle_syntax(dataset)
    cells = decoded_cells(dataset, path)
    stored = stored_values(cells, cell_layout(dataset, path))[0] if cells.dtype.kind == "u" else cells
    slope, intercept = _rescale(dataset, path)
    return np.asarray(stored * slope + intercept)


def check_kind(dataset: pydicom.Dataset, path: Path) -> None:
    """Raise InputError for what is no radiograph of one frame."""
    modality = text_of(dataset, "Modality")
    if modality == "CT" and "LOCALIZER" in str(value_of(dataset, "ImageType")).upper():
        raise InputError(
            f"{path}: expected a radiograph (modality DX, CR, XA, RF), got a scout of a CT (Image Type LOCALIZER), "
            "whose rays do not come from one point; choose a radiograph, or give the folder of the whole study, CT and "
            "scouts, as a study."
        )
    if modality in VOLUME_MODALITIES:
        raise InputError(
            f"{path}: expected a radiograph (modality DX, CR, XA, RF), got one image of modality {modality}; "
            "choose the radiograph, or give the CT as the volume."
        )
    if modality in OTHER_MODALITIES:
        raise InputError(
            f"{path}: expected a radiograph (modality DX, CR, XA, RF), got modality {modality}; choose the radiograph."
        )
    frames = value_of(dataset, "NumberOfFrames") or 1
    if str(frames).strip() != "1":
        raise InputError(
            f"{path}: expected a single radiograph (2D), got {frames} frames; export the one frame to be used."
        )
    pixel_data = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    if not (value_of(dataset, "Rows") and value_of(dataset, "Columns") and any(key in dataset for key in pixel_data)):
        kind = pydicom.uid.UID(text_of(dataset, "SOPClassUID")).name or "a DICOM file"
        raise InputError(
            f"{path}: expected a DICOM image, got {kind} without pixels; choose the image itself, not a report or "
            "presentation state."
        )


def _modality_values(
    dataset: pydicom.Dataset, stored: NDArray[Any], path: Path
) -> tuple[NDArray[np.float32], bool, list[str]]:
    """Values after the Modality LUT or rescale, whether it kept their order, and notes."""
    if value_of(dataset, "ModalityLUTSequence") is not None:
        if keeps_linear_intensity(dataset):
            note = "Modality LUT left unapplied: it leads back to the beam's intensity and is no part of the display."
            return stored.astype(np.float32), True, [note]
        _check_modality_table(dataset, path)
        unit = text_of(dataset.ModalityLUTSequence[0], "ModalityLUTType")
        values = apply_modality_lut(stored.astype(np.int32), dataset).astype(np.float32)
        rises = not table_falls(dataset, "ModalityLUTSequence")
        return values, rises, [f"Modality LUT applied{f' ({unit})' if unit else ''}."]
    slope, intercept = _rescale(dataset, path)
    if (slope, intercept) == (1.0, 0.0):
        return stored.astype(np.float32), True, []
    unit = text_of(dataset, "RescaleType")
    note = f"Stored values rescaled by slope {slope:g} and intercept {intercept:g}{f' ({unit})' if unit else ''}."
    return (stored.astype(np.float64) * slope + intercept).astype(np.float32), slope > 0, [note]


def _rescale(dataset: pydicom.Dataset, path: Path) -> tuple[float, float]:
    """Rescale Slope and Intercept. Raises InputError for a slope of 0 and for numbers that are none."""
    slope, intercept = value_of(dataset, "RescaleSlope"), value_of(dataset, "RescaleIntercept")
    try:
        slope, intercept = float(1.0 if slope is None else slope), float(0.0 if intercept is None else intercept)
    except (TypeError, ValueError):
        slope = math.nan
    if slope == 0 or not (math.isfinite(slope) and math.isfinite(intercept)):
        raise InputError(
            f"{path}: expected a Rescale Slope (0028,1053) other than 0 and a Rescale Intercept (0028,1052), got "
            f"{value_of(dataset, 'RescaleSlope')!r} and {value_of(dataset, 'RescaleIntercept')!r}; export the image "
            "again."
        )
    return slope, intercept


def _check_modality_table(dataset: pydicom.Dataset, path: Path) -> None:
    """Give the first mapped value the sign that stored values have. Raises InputError for a table without its parts."""
    try:
        item = dataset.ModalityLUTSequence[0]
        count, first, bits = (int(value) for value in item.LUTDescriptor)
        if value_of(dataset, "PixelRepresentation"):
            item.LUTDescriptor = [count, first - 2**16 if first >= 2**15 else first, bits]
        else:
            item.LUTDescriptor = [count, first % 2**16, bits]
        apply_modality_lut(np.array([first], dtype=np.int32), dataset)
    except Exception as error:  # pydicom raises many kinds on broken tables
        raise InputError(
            f"{path}: expected a Modality LUT Sequence (0028,3000) with descriptor and data, got {error}; export the "
            "image again."
        ) from error


def _padding(
    dataset: pydicom.Dataset, cells: NDArray[Any], stored: NDArray[Any], layout: CellLayout | None
) -> NDArray[np.bool_] | None:
    """True at values between Pixel Padding Value (0028,0120) and Range Limit (0028,0121); None if there are none."""
    name = "Pixel" if layout else "DoubleFloatPixel" if "DoubleFloatPixelData" in dataset else "FloatPixel"
    first, limit = (number_of(dataset, f"{name}Padding{part}") for part in ("Value", "RangeLimit"))
    if first is None:
        return None
    ends = (first, first if limit is None else limit)
    mask = np.zeros(stored.shape, dtype=bool)
    if layout is None:
        mask = (stored >= min(ends)) & (stored <= max(ends))
    else:
        # The pair may be written with the other sign than the values, or fill bits that these do not use.
        low, high = sorted(_as_stored(int(end), layout) for end in ends)
        mask = (stored >= low) & (stored <= high)
        if limit is None:
            mask |= cells == (int(first) & (1 << layout.allocated) - 1)
    return mask if mask.any() and not mask.all() else None


def _as_stored(value: int, layout: CellLayout) -> int:
    """A 16-bit number of the header with the sign that the stored values have."""
    if layout.signed:
        return value - 2**layout.allocated if value >= 2 ** (layout.allocated - 1) else value
    return value % 2**layout.allocated


def _with_bone_bright(
    pixels: NDArray[np.float32], invert: bool, padding: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Invert within the range of what is no padding, and give padding the darkest value of that range."""
    if padding is None and not invert:
        return pixels
    shown = pixels if padding is None else pixels[~padding]
    low, high = shown.min(), shown.max()
    if invert:
        pixels = (high + low) - pixels
    return pixels if padding is None else np.where(padding, low, pixels)


def _grey(cells: NDArray[Any], dataset: pydicom.Dataset, path: Path) -> NDArray[np.float32]:
    """The grey values of a picture in a palette or in colour. Raises InputError for true colour."""
    photometric = text_of(dataset, "PhotometricInterpretation")
    try:
        colours = apply_color_lut(cells, dataset) if photometric == "PALETTE COLOR" else cells
    except Exception as error:  # pydicom raises many kinds on broken palettes
        raise InputError(
            f"{path}: expected a palette for PALETTE COLOR, got {error}; export the image in greyscale."
        ) from error
    tolerance = GREY_TOLERANCE * (255 if colours.dtype == np.uint8 else float(colours.max()))
    if colours.ndim != 3 or np.ptp(colours[..., :3].astype(np.float32), axis=-1).max() > tolerance:
        raise InputError(
            f"{path}: expected a greyscale radiograph, got {photometric} with {colours.shape[-1]} values per pixel "
            "(a screen capture?); export the original image."
        )
    return colours[..., 1].astype(np.float32)


def compression_notes(dataset: pydicom.Dataset) -> list[str]:
    """Return a note if compression has changed the grey values."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if text_of(dataset, "LossyImageCompression") != "01" and syntax not in _LOSSY_SYNTAXES:
        return []
    ratio = value_of(dataset, "LossyImageCompressionRatio")
    try:
        ratios = [float(value) for value in (ratio if hasattr(ratio, "__iter__") else [ratio] if ratio else [])]
    except (TypeError, ValueError):
        ratios = []
    said = f", {math.prod(ratios):.3g} : 1" if ratios else ""
    return [f"Lossy Image Compression (0028,2110){said}: grey values are not those that were acquired."]


def _scale_notes(dataset: pydicom.Dataset) -> list[str]:
    notes = []
    if any(value_of(dataset, keyword) is not None for keyword in ("WindowCenter", "VOILUTSequence")):
        notes.append("VOI window or LUT left unapplied: the full range of values is kept.")
    if text_of(dataset, "PixelIntensityRelationship") == "LIN":
        notes.append("Pixel Intensity Relationship (0028,1040) LIN: values are linear in the beam's intensity.")
    if text_of(dataset, "PresentationIntentType") == "FOR PROCESSING":
        dark = "" if value_of(dataset, "PixelIntensityRelationshipSign") in (1, -1) else "bone may be dark and "
        notes.append(f"FOR PROCESSING: raw detector values; {dark}the scale may be linear in counts.")
    return notes
