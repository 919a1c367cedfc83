"""Writing volumes, 2D images and pictures, atomically; a failure to write is an OutputError."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.files import write_atomically
from TomoRayLib.images.headers.nifti_header import is_nifti, is_whole_nifti, read_nifti_header
from TomoRayLib.images.numeric_locale import decimal_points
from TomoRayLib.images.types import Volume, last_line, volume_to_sitk

UNKNOWN_SPACING_KEY, UNKNOWN = "TomoRay.pixel_spacing", "unknown"
_FULL_BYTES = 2**16  # of free space, below which a disk counts as full
_COMPRESSION_LEVEL = 2  # as small as level 6 on CT within 1 %, at two thirds of the time

# One file each, which keeps the grid; of other formats ITK writes two files, loses directions or ends the process.
VOLUME_ENDINGS = (".nrrd", ".mha", ".nii", ".nii.gz")

PathLike = str | os.PathLike[str]


def write_volume(
    path: PathLike, volume: Volume, fields: Mapping[str, str] | None = None, *, compressed: bool = True
) -> None:
    """Write a volume atomically in the format of the file's ending: .nrrd, .mha, .nii or .nii.gz.

    Args:
        path: The file to write.
        volume: Voxels ``(z, y, x)`` on a grid in LPS mm.
        fields: Texts for the header. NRRD keeps them; formats that cannot hold them leave them out.
        compressed: Whether voxels are compressed.

    Raises:
        OutputError: If the file cannot be written completely.
        InputError: If the ending is another.
        ValueError: If NRRD cannot hold a field.
    """
    if not Path(path).name.lower().endswith(VOLUME_ENDINGS):
        raise InputError(
            f"Expected a file name ending in {', '.join(VOLUME_ENDINGS[:-1])} or {VOLUME_ENDINGS[-1]}, the formats "
            f"that keep a volume's place in one file; got {Path(path).name!r}.",
            field="out",
        )
    image = volume_to_sitk(volume)
    _set_fields(image, fields or {})
    _write(image, Path(path), compressed)


def write_image_2d(
    path: PathLike,
    pixels: NDArray[np.float32],
    pixel_spacing_mm: tuple[float, float] | None,
    fields: Mapping[str, str] | None = None,
) -> None:
    """Write a 2D image atomically as NRRD. ``read_radiograph`` gives all of it back, the fields as ``metadata``.

    Args:
        path: The file to write, ending in .nrrd.
        pixels: ``(row, column)``, row 0 at the top.
        pixel_spacing_mm: (row, column) spacing in mm; None stays None.
        fields: Texts for the header.

    Raises:
        OutputError: If the file cannot be written completely.
        ValueError: If the ending is another, the pixels are not 2D, or NRRD cannot hold a field.
    """
    if Path(path).suffix.lower() != ".nrrd" or pixels.ndim != 2:
        raise ValueError(f"Expected a .nrrd file and 2D pixels; got {path} and shape {pixels.shape}.")
    image = sitk.GetImageFromArray(np.ascontiguousarray(pixels))
    texts = dict(fields or {})
    if pixel_spacing_mm is None:
        texts[UNKNOWN_SPACING_KEY] = UNKNOWN
    else:
        row_mm, column_mm = pixel_spacing_mm
        image.SetSpacing((float(column_mm), float(row_mm)))
    _set_fields(image, texts)
    _write(image, Path(path))


def _set_fields(image: sitk.Image, fields: Mapping[str, str]) -> None:
    """Set the texts of the file's header. Raises ValueError for one that NRRD cannot hold."""
    for key, text in fields.items():
        if not key or ":=" in key or any(sign in key for sign in "\n\r\\") or "\r" in text:
            raise ValueError(
                f"NRRD field needs a one-line name without := and a text without \\r; got {key!r}: {text!r}."
            )
        image.SetMetaData(key, text)


def write_png(path: PathLike, pixels: NDArray[np.float32], window: tuple[float, float], *, bits: int = 8) -> None:
    """Write pixels atomically as a grey PNG, which keeps neither spacing nor units.

    Args:
        path: The file to write.
        pixels: ``(row, column)``, row 0 at the top.
        window: The values (low, high) that become black and white.
        bits: 8 or 16.

    Raises:
        OutputError: If the file cannot be written completely.
        ValueError: If the window is empty, the bits are others, or the pixels are not 2D.
    """
    low, high = window
    if not low < high or bits not in (8, 16) or pixels.ndim != 2:
        raise ValueError(
            f"Expected window low < high, bits 8 or 16, 2D pixels; got {window}, {bits}, shape {pixels.shape}."
        )
    white = 2**bits - 1
    grey = np.rint(np.clip((pixels.astype(np.float64) - low) / (high - low), 0.0, 1.0) * white)
    _write(sitk.GetImageFromArray(grey.astype(np.uint8 if bits == 8 else np.uint16)), Path(path))


def _write(image: sitk.Image, path: Path, compressed: bool = True) -> None:
    with write_atomically(path) as partial:
        try:
            with decimal_points():
                sitk.WriteImage(image, str(partial), useCompression=compressed, compressionLevel=_COMPRESSION_LEVEL)
        except RuntimeError as error:
            _check_free(partial)
            raise OutputError(
                f"Expected to write {path}, got {last_line(error)!r}; check free space and access rights."
            ) from error
        if is_nifti(path) and not _is_whole(partial):  # ITK reports success
            _check_free(partial)
            raise OutputError(f"Expected to write all of {path}, got a truncated file; free some space and try again.")


def _is_whole(path: Path) -> bool:
    try:
        header = read_nifti_header(path)
    except InputError:
        return False
    return header is not None and is_whole_nifti(path, header)


def _check_free(path: Path) -> None:
    """Raise OSError if the disk of a file is full: what ITK says then speaks of its own functions."""
    if shutil.disk_usage(path.parent).free < _FULL_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
