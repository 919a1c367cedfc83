"""Reading, resampling and writing volumes and radiographs. Patient space is LPS in mm; see ``geometry``.

``read_volume``, ``read_labels`` and ``read_radiograph`` say in an InputError what a file is when it is not what was
asked for. Everything is written whole or not at all; a failure to write is an OutputError.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.files import write_atomically
from TomoRayLib.images.dicom_radiograph import read_dicom_radiograph
from TomoRayLib.images.dicom_series import check_stack, choose_series, is_dicom
from TomoRayLib.images.flat_image import check_not_a_volume, radiograph_from_sitk
from TomoRayLib.images.nifti import check_nifti, is_nifti, is_whole_nifti, read_nifti_header
from TomoRayLib.images.types import (
    Radiograph,
    Volume,
    check_finite,
    check_scalar,
    unreadable,
    volume_from_sitk,
    volume_to_sitk,
)

UNKNOWN_SPACING_KEY, UNKNOWN = "TomoRay.pixel_spacing", "unknown"
_COMPRESSION_LEVEL = 2  # as small as level 6 on CT within 1 %, at two thirds of the time

PathLike = str | os.PathLike[str]


def read_volume(path: PathLike) -> Volume:
    """The volume in an NRRD, NIfTI, MetaImage or multi-frame DICOM file, or in a folder that holds a DICOM series.

    Voxels keep the stored number type after slope and intercept are applied (float64 becomes float32).
    Left-handed directions are kept: world positions are right, and ``resample`` puts them onto any grid.

    Raises InputError for a missing or unreadable file, a folder with several series, a 2D image, a 4D or colour image,
    voxels that are not finite, spacing not above 0, sheared directions, and DICOM slices that are no even, straight
    stack.
    """
    path = _existing(path)
    image = _read_series(path) if path.is_dir() else _read_file(path)
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() > 3:
        raise InputError(
            f"{path}: expected one 3D volume, got a sequence of {image.GetSize()[3]} (4D, size {image.GetSize()}); "
            "export the one volume to be used."
        )
    check_scalar(image, str(path))
    if image.GetDimension() == 2 or min(image.GetSize()) == 1:
        raise InputError(
            f"{path}: expected a 3D volume (CT), got a 2D image of size {image.GetSize()}; choose the CT, or give this "
            "file as a radiograph. A CT in DICOM is chosen by its folder, not by one slice."
        )
    volume = volume_from_sitk(image, str(path))
    voxels = volume.voxels.astype(np.float32) if volume.voxels.dtype == np.float64 else volume.voxels
    check_finite(voxels, str(path))
    return Volume(voxels, volume.grid)


def read_labels(path: PathLike) -> Volume:
    """The label map in a file, as int16 (int32 where a label needs it); whole numbers stored as floats are accepted.

    Raises InputError as ``read_volume`` does, and for fractions, which no label map has.
    """
    volume = read_volume(path)
    low, high = float(volume.voxels.min()), float(volume.voxels.max())
    if not np.issubdtype(volume.voxels.dtype, np.integer) and not np.array_equal(volume.voxels, volume.voxels.round()):
        raise InputError(
            f"{path}: expected a label map of whole numbers, got fractions between {low:g} and {high:g}; is this a CT, "
            "a probability map, or a mask resampled without nearest neighbour?"
        )
    dtype = np.int16 if low >= -(2**15) and high < 2**15 else np.int32
    return Volume(volume.voxels.astype(dtype), volume.grid)


def read_radiograph(path: PathLike) -> Radiograph:
    """The radiograph in a DICOM, NRRD, MetaImage, PNG, TIFF or JPEG file, or in a volume file of one slice.

    PNG, JPEG and TIFF give no spacing: their resolution is for print, not for a detector. A one-slice volume whose
    directions say so is turned head up, patient left or posterior at image right. Bright is taken as bone.

    Raises InputError for a missing or unreadable file, a folder, a volume, colour, and pixels that are not finite.
    """
    path = _existing(path)
    if path.is_dir():
        raise InputError(f"{path}: expected a radiograph file (2D), got a folder; choose the file in it.")
    if is_dicom(path):
        radiograph = read_dicom_radiograph(path)
    else:
        check_not_a_volume(_information(path).GetSize(), path)
        radiograph = radiograph_from_sitk(_read_file(path), path)
        if radiograph.metadata.get(UNKNOWN_SPACING_KEY) == UNKNOWN:
            radiograph = Radiograph(radiograph.pixels, None, radiograph.header, radiograph.metadata)
    check_finite(radiograph.pixels, str(path))
    return radiograph


def write_volume(
    path: PathLike, volume: Volume, fields: Mapping[str, str] | None = None, *, compressed: bool = True
) -> None:
    """Write a volume in the format of the ending (.nrrd, .nii.gz, .mha, ...).

    NRRD keeps the text ``fields`` in its header; formats that cannot hold them leave them out. Raises OutputError where
    the file cannot be written whole, ValueError for an ending no format has or a field NRRD cannot hold.
    """
    image = volume_to_sitk(volume)
    _set_fields(image, fields or {})
    _write(image, Path(path), compressed)


def write_image_2d(
    path: PathLike,
    pixels: NDArray[np.float32],
    pixel_spacing_mm: tuple[float, float] | None,
    fields: Mapping[str, str] | None = None,
) -> None:
    """Write pixels ``(row, column)`` as a 2D NRRD with spacing (row, column) and text ``fields`` in its header.

    ``read_radiograph`` gives all of it back, the fields as ``metadata``; spacing None stays None.
    Raises ValueError for another ending, another shape or a field NRRD cannot hold, OutputError on failure to write.
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
    """Texts for the file's header. Raises ValueError for one that NRRD cannot hold."""
    for key, text in fields.items():
        if not key or ":=" in key or any(sign in key for sign in "\n\r\\") or "\r" in text:
            raise ValueError(
                f"NRRD field needs a one-line name without := and a text without \\r; got {key!r}: {text!r}."
            )
        image.SetMetaData(key, text)


def write_png(path: PathLike, pixels: NDArray[np.float32], window: tuple[float, float], *, bits: int = 8) -> None:
    """Write pixels ``(row, column)`` as a grey PNG: ``window`` = (low, high) becomes black and white.

    ``bits`` is 8 or 16. PNG keeps neither spacing nor units. Raises ValueError for an empty window or other bits.
    """
    low, high = window
    if not low < high or bits not in (8, 16) or pixels.ndim != 2:
        raise ValueError(
            f"Expected window low < high, bits 8 or 16, 2D pixels; got {window}, {bits}, shape {pixels.shape}."
        )
    white = 2**bits - 1
    grey = np.rint(np.clip((pixels.astype(np.float64) - low) / (high - low), 0.0, 1.0) * white)
    _write(sitk.GetImageFromArray(grey.astype(np.uint8 if bits == 8 else np.uint16)), Path(path))


def _existing(path: PathLike) -> Path:
    """The path of a file that is not empty or of a folder, either of which can be opened. Raises InputError."""
    path = Path(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(path):
                return path
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: expected a file or folder, got a device, pipe or socket; choose an image file.")
        with path.open("rb"):
            pass
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: expected an existing file or folder, got none there; check the spelling.") from None
    except OSError as error:
        raise unreadable(path, error) from error
    if status.st_size == 0:
        raise InputError(f"{path}: expected an image, got an empty file; export or copy it again.")
    return path


def _information(path: Path) -> sitk.ImageFileReader:
    """A reader that has seen the header only. Raises InputError where the header is wrong or no image's."""
    check_nifti(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _reading_error(path, error) from error
    return reader


def _read_file(path: Path) -> sitk.Image:
    try:
        return _information(path).Execute()
    except RuntimeError as error:
        raise _reading_error(path, error) from error


def _read_series(folder: Path) -> sitk.Image:
    files = choose_series(folder)
    if len(files) == 1:
        return _read_file(Path(files[0]))
    check_stack(files, str(folder))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise _reading_error(folder, error) from error


def _reading_error(path: Path, error: RuntimeError) -> InputError:
    """SimpleITK's exception as a sentence."""
    text = str(error)
    if "orthonormal" in text:
        return InputError(
            f"{path}: expected perpendicular axes, got sheared direction cosines (a gantry tilt or an affine "
            "registration in the header); resample it to an orthogonal grid first (Slicer: load it, Harden transform, "
            "Resample Scalar Volume)."
        )
    if "spacing is not supported" in text or "space directions" in text or "space vector" in text:
        return InputError(
            f"{path}: expected a spacing above 0 mm along each axis, got {_last_line(text)!r}; correct the header or "
            "export it again."
        )
    if "Unable to determine ImageIO" in text:
        return InputError(
            f"{path}: expected an image (NRRD, NIfTI, MetaImage, DICOM, PNG, TIFF, JPEG), got a file of another kind "
            "or a damaged header; choose an image or export it again."
        )
    return InputError(
        f"{path}: expected a readable image, got {_last_line(text)!r}; it may be damaged or incomplete: copy or "
        "export it again."
    )


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1].strip()


def _write(image: sitk.Image, path: Path, compressed: bool = True) -> None:
    with write_atomically(path) as partial:
        try:
            sitk.WriteImage(image, str(partial), useCompression=compressed, compressionLevel=_COMPRESSION_LEVEL)
        except RuntimeError as error:
            if "Unable to determine ImageIO" in str(error) or "not determine" in str(error):
                raise ValueError(f"Expected a file ending such as .nrrd or .nii.gz; got {path.name!r}.") from error
            raise OutputError(
                f"Expected to write {path}, got {_last_line(str(error))!r}; check free space and access rights."
            ) from error
        header = read_nifti_header(partial) if is_nifti(path) else None
        if is_nifti(path) and (header is None or not is_whole_nifti(partial, header)):  # ITK reports success
            raise OutputError(f"Expected to write {path} whole, got a truncated file; free some space and try again.")
