"""Whether bone is bright: what a DICOM header says about display and about the beam, together.

Photometric Interpretation (0028,0004) tells which values are to be shown bright; a radiograph is shown with bright
bone, so that settles it where nothing else is said. Pixel Intensity Relationship Sign (0028,1041) tells which stored
values met less radiation (PS3.3 C.8.11.3.1.2), whatever is shown bright: it settles raw images, RT images and
fluoroscopy, in which bone is often shown dark. Presentation LUT Shape (2050,0020) repeats the photometric
interpretation and never inverts a second time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from TomoRayLib.images.dicom.header import value_of
from TomoRayLib.images.pair_checks import looks_inverted

_PHOTOMETRIC = "Photometric Interpretation (0028,0004)"
_SIGN = "Pixel Intensity Relationship Sign (0028,1041)"
_RELATIONSHIP = "Pixel Intensity Relationship (0028,1040)"
_SHAPE_OF = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
_FLUOROSCOPY = ("XA", "RF")


@dataclass(frozen=True)
class Polarity:
    """Whether the values must be inverted for bone to be bright, and what there is to tell about it."""

    invert: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def polarity(dataset: pydicom.Dataset, values: NDArray[np.float32], *, rising: bool) -> Polarity:
    """Decide whether bone is bright.

    Args:
        dataset: The header of a monochrome image.
        values: (row, column) after the Modality LUT. They count only if the header contradicts itself.
        rising: Whether the Modality LUT or rescale kept the order of the stored values.

    Returns:
        The decision with its notes. If display and beam contradict each other, the beam decides, unless the edges of
        the image would then be brighter than its middle; a warning names both readings.
    """
    photometric = text_of(dataset, "PhotometricInterpretation") or "MONOCHROME2"
    voi_falls = _voi_falls(dataset)
    high_is_shown_bright = (photometric != "MONOCHROME1") != voi_falls
    shown = f"{_PHOTOMETRIC} {photometric}" + (" with a falling VOI LUT" if voi_falls else "")
    high_is_dense, beam = _dense_side(dataset)
    if high_is_dense is None:
        warnings = _shape_warnings(dataset, photometric)
        return Polarity(not high_is_shown_bright, tuple(_display_notes(photometric, voi_falls)), tuple(warnings))
    bone_is_high = high_is_dense == rising
    if bone_is_high == high_is_shown_bright:
        return Polarity(not bone_is_high, tuple(_display_notes(photometric, voi_falls)))
    invert, reason = not bone_is_high, f"as {beam.split(' (')[0]} says"
    as_said, otherwise = (-values, values) if invert else (values, -values)
    if looks_inverted(as_said, has_borders=False) and not looks_inverted(otherwise, has_borders=False):
        invert, reason = not invert, "because its edges would else be brighter than its middle"
    done = "inverted on reading" if invert else "not inverted"
    warning = (
        f"{shown} shows {'high' if high_is_shown_bright else 'low'} values bright, but by {beam} bone has "
        f"{'high' if bone_is_high else 'low'} ones: {done}, {reason}. Check that bone is bright, and invert it if not."
    )
    return Polarity(invert, ("Inverted on reading, so that bone is bright.",) if invert else (), (warning,))


def text_of(dataset: pydicom.Dataset, keyword: str) -> str:
    """Return a code in capitals without blanks around it, empty if absent."""
    return str(value_of(dataset, keyword) or "").strip().upper()


def keeps_linear_intensity(dataset: pydicom.Dataset) -> bool:
    """True for a Modality LUT of an XA or RF image that is no part of its display (PS3.4 N.2.1.1, PS3.3 C.8.7.1.1.2).

    There the table leads back from the logarithm or another function to the beam's intensity.
    """
    relationship = text_of(dataset, "PixelIntensityRelationship")
    return text_of(dataset, "Modality") in _FLUOROSCOPY and relationship in ("LOG", "DISP", "OTHER")


def table_falls(dataset: pydicom.Dataset, sequence: str) -> bool:
    """True if the first table of a sequence ends lower than it begins."""
    try:
        count, first = dataset[sequence].value[0].LUTDescriptor[:2]
        ends = np.array([first, first + (count or 2**16) - 1], dtype=np.int64)
        apply = apply_modality_lut if sequence == "ModalityLUTSequence" else apply_voi_lut
        begin, end = apply(ends, dataset)
    except Exception:  # a broken table shows nothing
        return False
    return float(end) < float(begin)


def _dense_side(dataset: pydicom.Dataset) -> tuple[bool | None, str]:
    """Whether high stored values met less radiation (None if the header does not say so), and who says so."""
    sign = value_of(dataset, "PixelIntensityRelationshipSign")
    sign = -1 if sign == 2**16 - 1 else sign  # written as unsigned
    if sign in (1, -1):
        return sign == -1, f"{_SIGN} {sign}"
    if text_of(dataset, "Modality") not in _FLUOROSCOPY:
        return None, ""
    if text_of(dataset, "PixelIntensityRelationship") == "LIN":  # proportional to the beam (PS3.3 C.8.7.1.1.2)
        return False, f"{_RELATIONSHIP} LIN"
    if value_of(dataset, "ModalityLUTSequence") is not None and keeps_linear_intensity(dataset):
        return table_falls(dataset, "ModalityLUTSequence"), "Modality LUT Sequence (0028,3000) to the beam's intensity"
    return None, ""


def _display_notes(photometric: str, voi_falls: bool) -> list[str]:
    if photometric == "MONOCHROME1":
        if voi_falls:
            return ["MONOCHROME1 with a VOI LUT that falls: the two cancel each other, so the image was not inverted."]
        return ["MONOCHROME1: inverted on reading, so that bone is bright."]
    return ["VOI LUT falls from bright to dark: inverted on reading, so that bone is bright."] if voi_falls else []


def _shape_warnings(dataset: pydicom.Dataset, photometric: str) -> list[str]:
    shape = text_of(dataset, "PresentationLUTShape")
    if shape not in _SHAPE_OF.values() or shape == _SHAPE_OF.get(photometric):
        return []
    return [
        f"Presentation LUT Shape (2050,0020) {shape} contradicts {_PHOTOMETRIC} {photometric}, which was followed: "
        "check that bone is bright, and invert it if not."
    ]


def _voi_falls(dataset: pydicom.Dataset) -> bool:
    """True if the only display setting is a VOI LUT whose output falls; a window always rises (PS3.3 C.11.2)."""
    return value_of(dataset, "WindowCenter") is None and table_falls(dataset, "VOILUTSequence")
