"""Reading volumes, label maps and radiographs. Patient space is LPS in mm; see ``geometry``.

``read_volume``, ``read_labels`` and ``read_radiograph`` say in an InputError what a file is when it is not what was
asked for.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom_files import is_dicom
from TomoRayLib.images.dicom_radiograph import read_dicom_radiograph
from TomoRayLib.images.dicom_series import check_stack, choose_series
from TomoRayLib.images.flat_image import check_not_a_volume, radiograph_from_sitk
from TomoRayLib.images.nifti import check_nifti
from TomoRayLib.images.types import (
    Radiograph,
    Volume,
    check_finite,
    check_scalar,
    last_line,
    unreadable,
    volume_from_sitk,
)
from TomoRayLib.images.writing import UNKNOWN, UNKNOWN_SPACING_KEY, PathLike


def read_volume(path: PathLike) -> Volume:
    """Read a volume from an NRRD, NIfTI, MetaImage or multi-frame DICOM file, or from a folder with one DICOM series.

    Voxels keep the stored number type after slope and intercept are applied (float64 becomes float32). Left-handed
    directions are kept: world positions are right, and ``resample`` puts them onto any grid.

    Args:
        path: A file, or a folder that holds the files of one DICOM series.

    Returns:
        Voxels ``(z, y, x)`` with their grid in LPS mm. A CT is in HU.

    Raises:
        InputError: If the file is missing or unreadable, the folder holds several series, the image is 2D, 4D or in
            colour, voxels are not finite, a spacing is not above 0, directions are sheared, or DICOM slices do not form
            an even, straight stack.
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
    """Read a label map; whole numbers stored as floats are accepted.

    Args:
        path: A file or folder as for ``read_volume``.

    Returns:
        Labels ``(z, y, x)`` as int16 (int32 if a label needs it) with their grid in LPS mm.

    Raises:
        InputError: As ``read_volume`` does, and for fractional values, which no label map has.
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
    """Read a radiograph from a DICOM, NRRD, MetaImage, PNG, TIFF or JPEG file, or from a volume file of one slice.

    PNG, JPEG and TIFF give no spacing: their resolution is for print, not for a detector. A one-slice volume whose
    directions say so is turned head up, with the patient's left or posterior at image right. Bright is taken as bone.

    Args:
        path: The image file.

    Returns:
        Pixels ``(row, column)``, row 0 at the top, the spacing in mm if the file has one, and what its header says.

    Raises:
        InputError: If the file is missing or unreadable, a folder, a volume or in colour, or pixels are not finite.
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


def _existing(path: PathLike) -> Path:
    """Return the path of a folder, or of a file that is not empty, if it can be opened. Raises InputError."""
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
    """Read the header alone. Raises InputError if it is damaged or not that of an image."""
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
    if "Unable to determine ImageIO" in text:
        return InputError(
            f"{path}: expected an image (NRRD, NIfTI, MetaImage, DICOM, PNG, TIFF, JPEG), got another kind of file "
            "or a damaged header; choose an image or export it again."
        )
    return InputError(
        f"{path}: expected a readable image, got {last_line(error)!r}; it may be damaged or incomplete: copy or "
        "export it again."
    )
