"""Files as SimpleITK reads them, in a process of their own, with its exceptions as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.contained import read_contained
from TomoRayLib.images.headers.volume_header import misnamed
from TomoRayLib.images.types import last_line


@dataclass(frozen=True)
class Information:
    """The header of an image as ITK reads it, in the order (x, y, z)."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]


def read_image(path: Path) -> sitk.Image:
    """Read a file. Raises InputError if it is damaged, crashes its reader or is no image."""
    try:
        read = read_contained("image", path)
    except RuntimeError as error:
        raise _reading_error(path, error) from error
    assert read.values is not None
    return sitk_image(read.values, read.said, read.said["metadata"])


def sitk_image(values: NDArray[Any], said: Mapping[str, Any], metadata: Mapping[str, str]) -> sitk.Image:
    """An image of an array, (z, y, x) with values per voxel behind if ``said`` counts several ``components``; its
    ``spacing``, ``origin`` and ``direction`` too, if they are there."""
    image = sitk.GetImageFromArray(values, isVector=said.get("components", 1) > 1)
    for name in ("Spacing", "Origin", "Direction"):
        if name.lower() in said:
            getattr(image, f"Set{name}")(said[name.lower()])
    for key, value in metadata.items():  # bytes that are no text came as halves of characters, which it refuses
        image.SetMetaData(*(text.encode("utf-8", "replace").decode("utf-8") for text in (key, value)))
    return image


def read_information(path: Path) -> Information:
    """Read the header alone. Raises InputError if it is damaged, crashes its reader or is not that of an image."""
    try:
        said = read_contained("information", path).said
    except RuntimeError as error:
        raise _reading_error(path, error) from error
    return Information(*(tuple(said[name]) for name in ("size", "spacing", "origin", "direction")))


def _reading_error(path: Path, error: RuntimeError) -> InputError:
    """Turn SimpleITK's exception into a sentence."""
    text = str(error)
    if "orthonormal" in text:
        return InputError(
            f"{path}: expected perpendicular axes, got sheared direction cosines (a gantry tilt or an affine "
            "registration in the header); resample it to an orthogonal grid first (Slicer: load it, Harden transform, "
            "Resample Scalar Volume)."
        )
    if "spacing is not supported" in text or "space directions" in text or "space vector" in text:
        return InputError(
            f"{path}: expected a spacing above 0 mm along each axis, got {last_line(error)!r}; correct the header or "
            "export it again."
        )
    if "Unable to determine ImageIO" in text and path.is_file() and (name := misnamed(path)):
        return InputError(f"{path}: expected an ending that tells its format, got another; rename it to {name}.")
    if "Unable to determine ImageIO" in text:
        return InputError(
            f"{path}: expected an image (NRRD, NIfTI, MetaImage, DICOM, PNG, TIFF, JPEG), got another kind of file "
            "or a damaged header; choose an image or export it again."
        )
    return InputError(
        f"{path}: expected a readable image, got {last_line(error)!r}; it may be damaged or incomplete: copy or "
        "export it again."
    )
