"""One radiograph from a DICOM file (DX, CR, XA, RF, SC): pixels with bone bright, and what the header says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from TomoRayLib.images.dicom.declared import check_frames
from TomoRayLib.images.dicom.directions import swapped, turned
from TomoRayLib.images.dicom.files import read_data_set
from TomoRayLib.images.dicom.header import ORIENTATION, detector_spacing, dicom_header
from TomoRayLib.images.dicom.patient import patient_tokens
from TomoRayLib.images.dicom.pixels import check_kind, read_pixels
from TomoRayLib.images.quiet import no_warnings
from TomoRayLib.images.types import Radiograph

_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}


def read_dicom_radiograph(path: Path) -> Radiograph:
    """Read the radiograph of one single-frame DICOM file.

    The modality LUT or rescale slope and intercept is applied; if bone would be dark by what the header says of display
    and beam, the image is inverted; padding takes the darkest value; VOI window and LUT are not applied. If the file
    has Patient Orientation (0020,0020), the image is turned so that its rows run to the patient's left (frontal) or to
    posterior (lateral) and its columns to the feet; spacing and ``header.patient_orientation`` are those of the turned
    image. Each step is noted in ``header.notes``; ``header.warnings`` name what the header contradicts itself on.
    Raises InputError for a CT slice or other volume modality, several frames, colour, and pixels that do not decode.
    """
    with no_warnings():
        dataset = read_data_set(path)
        check_kind(dataset, path)
        check_frames([(dataset, path)])
        pixels = read_pixels(dataset, path)
        header = replace(dicom_header(dataset), patient_tokens=patient_tokens(dataset))
    spacing, header = detector_spacing(header)
    header = replace(header, notes=(*header.notes, *pixels.notes), warnings=(*header.warnings, *pixels.warnings))
    radiograph = _upright(Radiograph(pixels.values, spacing, header))
    return replace(radiograph, pixels=np.ascontiguousarray(radiograph.pixels))


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
    name = f"{header.origins.get('patient_orientation', ORIENTATION)} {stored[0]}\\{stored[1]}"
    if len({"across" if way in "LRAP" else "along" for way in (right, down) if way in _OPPOSITE}) != 2:
        warning = (
            f"{name} is neither frontal nor lateral and could not be used: image left as it is. It may be upside down, "
            "mirrored, or seen along the body: check it."
        )
        return replace(radiograph, header=replace(header, warnings=(*header.warnings, warning)))
    turns = []
    pixels, spacing = radiograph.pixels, radiograph.pixel_spacing_mm
    if right in "HF":
        pixels, right, down, turns = pixels.T, down, right, ["rows and columns exchanged"]
        spacing = swapped(spacing)
    if right in "RA":
        pixels, right = pixels[:, ::-1], _OPPOSITE[right]
        turns.append("mirrored left to right")
    if down == "H":
        pixels, down = pixels[::-1], "F"
        turns.append("turned upside down")
    done = " ".join(turns)
    header = turned(header, exchanged="exchanged" in done, mirrored="mirrored" in done, upside_down="upside" in done)
    upright = Radiograph(pixels, spacing, replace(header, patient_orientation=(right, down)), radiograph.metadata)
    if stored != (right, down) and max(len(word) for word in stored) > 1:
        upright = _noted(upright, f"{name} is oblique: taken by its main directions.")
    if turns:
        result = f"so that rows run to {right} and columns to {down}"
        upright = _noted(upright, f"{name}: image {', '.join(turns)} on reading, {result}.")
    return upright


def _noted(radiograph: Radiograph, note: str) -> Radiograph:
    return replace(radiograph, header=replace(radiograph.header, notes=(*radiograph.header.notes, note)))


def _main_direction(text: str) -> str:
    """Return the first letter, by DICOM the main one of an oblique direction; empty if a letter is not a direction."""
    return text[:1] if all(letter in _OPPOSITE for letter in text) else ""
