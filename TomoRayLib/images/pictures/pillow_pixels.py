"""Pillow's values of one picture file, read by the plug-in of its format and without Pillow's own limits."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.Image import Image
from PIL.ImageFile import ImageFile

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.pictures.pixels import UPRIGHT
from TomoRayLib.images.quiet import WhileAnyIsInside, no_stderr

_EXIF_ORIENTATION = 0x0112


def _lift_limit() -> Callable[[], object]:
    kept = PIL.Image.MAX_IMAGE_PIXELS
    PIL.Image.MAX_IMAGE_PIXELS = None
    return lambda: setattr(PIL.Image, "MAX_IMAGE_PIXELS", kept)


# Pillow's limit of 179 million pixels for TIFF: films are larger, and their sizes are checked before.
without_limit = WhileAnyIsInside(_lift_limit)


def opened(
    reader: Callable[[io.BytesIO], ImageFile], content: bytes, path: Path, kind: str
) -> tuple[NDArray[Any], int]:
    """Pillow's values (of a PNG's palette: indices) and the Exif Orientation, read by the plug-in of the one format."""
    try:
        with no_stderr(), reader(io.BytesIO(content)) as picture:
            picture.load()
            shown: Image = picture
            if picture.mode == "1":
                shown = picture.convert("L")
            elif picture.mode == "P" and kind != "PNG":
                shown = picture.convert("RGB")
            return np.array(shown), exif_orientation(picture)
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise damaged(path, kind, str(error) or type(error).__name__) from error


def exif_orientation(picture: Image) -> int:
    """Return the Orientation of a file's Exif block; 1, upright, if it has none that can be read."""
    try:
        value = picture.getexif().get(_EXIF_ORIENTATION, UPRIGHT)
    except Exception:  # Pillow raises many kinds on damaged blocks, which are of no other use here
        return UPRIGHT
    return value if isinstance(value, int) else UPRIGHT


def damaged(path: Path, kind: str, found: str) -> InputError:
    return InputError(
        f"{path}: expected a readable {kind} picture, got {found}; it may be damaged or incomplete: copy or "
        "export it again."
    )
