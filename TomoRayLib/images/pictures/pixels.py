"""From what a picture file stores to a radiograph: one set of rules for PNG, TIFF, JPEG and BMP.

A reader of one format fills a ``Picture``; grey from colour, light from dark, transparency and turning follow here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.declared_size import UNLIMITED, check_declared
from TomoRayLib.images.types import Radiograph, RadiographHeader

GREY_TOLERANCE = 8  # levels of 255 between colour channels that JPEG may add to a grey picture
LARGEST_SIDE = 65535  # pixels; 3.3 m at the finest 0.05 mm of a film scanner
MOST_PIXELS = 10**9  # 30000 x 30000; the largest films scanned finely have half of them
FLOAT_BYTES = 4  # of a pixel of a radiograph
UPRIGHT = 1
_TURNS = {  # Orientation of TIFF 6.0 and Exif: where the stored rows and columns begin
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "rows and columns exchanged",
    6: "turned by 90 degrees clockwise",
    7: "rows and columns exchanged, then turned by 180 degrees",
    8: "turned by 90 degrees anticlockwise",
}


@dataclass(frozen=True, eq=False)
class Picture:
    """What one file stores, not yet turned or inverted.

    ``values`` are (row, column) or (row, column, 3) for colour, ``opacity`` (row, column) has ``opaque`` where nothing
    shines through. ``white`` is the value that stands for black where 0 is white. ``orientation`` is that of Exif.
    """

    kind: str
    values: NDArray[Any]
    opacity: NDArray[Any] | None = None
    opaque: float = 0.0
    white: float | None = None
    orientation: int = UPRIGHT
    orientation_tag: str = "Orientation"
    notes: tuple[str, ...] = ()


def check_picture_size(
    columns: int, rows: int, path: Path, *, value_bytes: float = 0.0, held: int = 0, ratio: float = UNLIMITED
) -> None:
    """Raise InputError for a size that no radiograph has, or that file or memory cannot hold, before it is read.

    Args:
        columns: Pixels along a row.
        rows: Rows.
        path: The file, for messages.
        value_bytes: Bytes of a pixel's values as they are stored.
        held: Bytes of the file.
        ratio: How much its compression can save, as in ``declared_size``.
    """
    if min(columns, rows) < 1 or max(columns, rows) > LARGEST_SIDE or columns * rows > MOST_PIXELS:
        raise InputError(
            f"{path}: expected a radiograph of at most {LARGEST_SIDE} pixels along a side and {MOST_PIXELS // 10**6} "
            f"million in all, got {columns} x {rows} in the header; it is damaged or no radiograph: export it again."
        )
    declared = math.ceil(columns * rows * value_bytes)
    check_declared(path, declared, held, "pixels", ratio=ratio, memory=declared + FLOAT_BYTES * columns * rows)


def radiograph_from_picture(picture: Picture, path: Path) -> Radiograph:
    """Return the radiograph of a picture: grey, bright where it is shown bright, turned as its file says.

    Raises InputError for true colour and for a picture of which nothing is visible.
    """
    pixels, notes = grey_values(picture.values, path)
    notes = [*picture.notes, *notes]
    if picture.white is not None:
        pixels = np.subtract(picture.white, pixels, dtype=np.float32)
        notes.append("White is zero (PhotometricInterpretation 0): inverted on reading, so that bone is bright.")
    if picture.opacity is not None:
        pixels, clear_notes = _without_clear_parts(pixels, picture, path)
        notes += clear_notes
    if picture.orientation in _TURNS:
        pixels = turned(pixels, picture.orientation)
        tag = f"{picture.orientation_tag} {picture.orientation}"
        notes.append(f"{tag}: image {_TURNS[picture.orientation]} on reading, as viewers show it.")
    elif picture.orientation not in (0, UPRIGHT):
        notes.append(f"{picture.orientation_tag} {picture.orientation} is none of 1 to 8: image left as it is.")
    header = RadiographHeader(source_format=picture.kind, turns=turns_of(picture.orientation), notes=tuple(notes))
    return Radiograph(np.array(pixels, dtype=np.float32, order="C", copy=True), None, header)


def grey_values(values: NDArray[Any], path: Path) -> tuple[NDArray[Any], list[str]]:
    """Return grey values (row, column) and notes: the array itself, or one of three equal channels.

    Raises InputError for true colour and for numbers of channels that say nothing.
    """
    if values.ndim == 2:
        return values, []
    if values.shape[-1] == 3:
        first, second, third = (values[..., channel] for channel in range(3))
        high, low = np.maximum(np.maximum(first, second), third), np.minimum(np.minimum(first, second), third)
        if float((high - low).max()) <= _tolerance(values):
            return second, ["Stored in colour with equal channels: read as grey."]
    raise InputError(
        f"{path}: expected a greyscale radiograph, got {values.shape[-1]} different values per pixel (a colour picture "
        "or a screenshot with annotations?); export the original image in greyscale."
    )


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return the picture as viewers show it, by its Orientation from 1 to 8 (TIFF 6.0, page 36)."""
    exchanged, mirrored, upside_down = turns_of(orientation)
    if exchanged:
        pixels = pixels.T
    if mirrored:
        pixels = pixels[:, ::-1]
    if upside_down:
        pixels = pixels[::-1]
    return pixels


def turns_of(orientation: int) -> tuple[bool, bool, bool]:
    """Return whether viewers exchange rows and columns, then mirror, then turn upside down, by its Orientation."""
    exchanged = orientation in (5, 6, 7, 8)  # the stored rows run along the shown columns
    return exchanged, orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)


def _tolerance(values: NDArray[Any]) -> float:
    """The difference of channels that is still grey: of 8 bits, those levels; else as much of the brightest value."""
    return GREY_TOLERANCE if values.dtype == np.uint8 else GREY_TOLERANCE / 255 * float(np.abs(values).max())


def _without_clear_parts(pixels: NDArray[Any], picture: Picture, path: Path) -> tuple[NDArray[Any], list[str]]:
    """The pixels with the darkest visible value where the picture is fully transparent, as padding has it."""
    opacity = picture.opacity
    assert opacity is not None
    clear = opacity == 0
    hidden, partly = int(np.count_nonzero(clear)), int(np.count_nonzero(~clear & (opacity < picture.opaque)))
    notes = []
    if hidden == clear.size:
        raise InputError(
            f"{path}: expected a visible picture, got one that is transparent everywhere; export it again."
        )
    if hidden:
        pixels = np.where(clear, pixels[~clear].min(), pixels)
        notes.append(f"{_percent(hidden, clear.size)} of it is transparent: taken as padding, as dark as the darkest.")
    if partly:
        notes.append(
            f"{_percent(partly, clear.size)} of it is partly transparent: its grey values are taken as stored."
        )
    if not notes:
        notes.append("Stored with transparency, opaque everywhere: read as grey.")
    return pixels, notes


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %"
