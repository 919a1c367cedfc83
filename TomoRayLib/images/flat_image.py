"""A radiograph from a SimpleITK image: NRRD, MetaImage or NIfTI of two dimensions, or of one slice as Slicer writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.picture_pixels import grey_values
from TomoRayLib.images.types import Radiograph, RadiographHeader

ALONG_AXIS = 0.7  # cosine from which a direction counts as lying along a patient axis (45 degrees)
_BOOKKEEPING = ("ITK_", "NRRD_")  # fields that ITK adds by itself


def check_not_a_volume(size: Sequence[int], path: Path) -> None:
    """Raise InputError for an image of more than one slice. ``size`` in (x, y, z) order."""
    if len([count for count in size if count > 1]) > 2:
        raise InputError(
            f"{path}: expected a radiograph (2D, rows x columns), got a 3D volume of size {tuple(size)}; choose the "
            "radiograph, or use this file as the CT."
        )


def radiograph_from_sitk(image: sitk.Image, path: Path) -> Radiograph:
    """The radiograph of a 2D image or of a volume with one slice along any axis.

    Raises InputError for a volume of several slices and for true colour.
    """
    check_not_a_volume(image.GetSize(), path)
    notes: list[str] = []
    image, colour_notes = _grey(image, path)
    notes.extend(colour_notes)
    pixels, spacing, orientation = _flattened(image)
    if not _has_spacing(path):
        spacing = None
    metadata = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if not key.startswith(_BOOKKEEPING)}
    origins: dict[str, str] = {}
    if spacing is not None:
        origins["radiograph.pixel_spacing_mm"] = f"{path.suffix.lstrip('.')} header"
    if orientation is not None:
        origins["patient_orientation"] = "directions of the one-slice volume"
    header = RadiographHeader(
        source_format=path.suffix.lstrip(".").upper(),
        patient_orientation=orientation,
        origins=origins,
        notes=tuple(notes),
    )
    return Radiograph(np.ascontiguousarray(pixels, dtype=np.float32), spacing, header, metadata)


def _grey(image: sitk.Image, path: Path) -> tuple[sitk.Image, list[str]]:
    """The image itself, or the grey one of a picture stored as RGB (A) with equal channels."""
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return image, []
    values = sitk.GetArrayViewFromImage(image).reshape(-1, 1, count)
    _, notes = grey_values(values[..., :3], path)
    return sitk.VectorIndexSelectionCast(image, 1), notes


def _flattened(
    image: sitk.Image,
) -> tuple[NDArray[np.generic], tuple[float, float] | None, tuple[str, str] | None]:
    """Return pixels (row, column), spacing (row, column), and the patient orientation if the directions tell it."""
    pixels = sitk.GetArrayFromImage(image)
    if image.GetDimension() == 2:
        return pixels, (image.GetSpacing()[1], image.GetSpacing()[0]), None
    thin = _thin_axis(image.GetSize())
    column_axis, row_axis = (axis for axis in range(3) if axis != thin)
    pixels = pixels.reshape([count for axis, count in zip((2, 1, 0), pixels.shape[-3:], strict=True) if axis != thin])
    spacing = image.GetSpacing()
    directions = np.asarray(image.GetDirection()).reshape(image.GetDimension(), -1)[:3, :3]
    right, down = directions[:, column_axis], directions[:, row_axis]
    spacing_mm = (spacing[row_axis], spacing[column_axis])
    if abs(right[2]) > ALONG_AXIS:  # columns run along the patient: transposed
        pixels, spacing_mm, right, down = pixels.T, (spacing_mm[1], spacing_mm[0]), down, right
    if abs(down[2]) <= ALONG_AXIS:
        return pixels, spacing_mm, None  # an orientation that says nothing, as plain pictures get
    if down[2] > 0:
        pixels = pixels[::-1]
    across = int(np.argmax(np.abs(right[:2])))  # 0: left-right, an AP view; 1: anterior-posterior, a lateral one
    if right[across] < 0:
        pixels = pixels[:, ::-1]
    return pixels, spacing_mm, (("L", "P")[across], "F")


def _thin_axis(size: Sequence[int]) -> int:
    """The axis with one slice; the last of several."""
    return max(axis for axis in range(3) if size[axis] == 1)


def _has_spacing(path: Path) -> bool:
    """True if the file's header itself gives a spacing in mm."""
    if path.suffix.lower() not in (".nrrd", ".nhdr"):
        return True
    with path.open("rb") as file:
        lines = file.read(2**16).split(b"\n\n")[0].splitlines()
    return any(line.lower().startswith((b"spacings:", b"space directions:")) for line in lines)
