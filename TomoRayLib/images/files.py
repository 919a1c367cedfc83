"""Reading and writing volumes, label maps and radiographs. Patient space is LPS in mm; see ``geometry``.

``read_volume``, ``read_labels`` and ``read_radiograph`` say in an InputError what a file is when it is not what was
asked for. Everything is written atomically; a failure to write is an OutputError.
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


def write_volume(
    path: PathLike, volume: Volume, fields: Mapping[str, str] | None = None, *, compressed: bool = True
) -> None:
    """Write a volume atomically in the format of the file's ending (.nrrd, .nii.gz, .mha, ...).

    Args:
        path: The file to write.
        volume: Voxels ``(z, y, x)`` on a grid in LPS mm.
        fields: Texts for the header. NRRD keeps them; formats that cannot hold them leave them out.
        compressed: Whether voxels are compressed.

    Raises:
        OutputError: If the file cannot be written completely.
        InputError: If no format has the ending.
        ValueError: If NRRD cannot hold a field.
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
            f"{path}: expected a spacing above 0 mm along each axis, got {_last_line(text)!r}; correct the header or "
            "export it again."
        )
    if "Unable to determine ImageIO" in text:
        return InputError(
            f"{path}: expected an image (NRRD, NIfTI, MetaImage, DICOM, PNG, TIFF, JPEG), got another kind of file "
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
                raise InputError(
                    f"Expected a file ending such as .nrrd or .nii.gz; got {path.name!r}.", field="out"
                ) from error
            raise OutputError(
                f"Expected to write {path}, got {_last_line(str(error))!r}; check free space and access rights."
            ) from error
        header = read_nifti_header(partial) if is_nifti(path) else None
        if is_nifti(path) and (header is None or not is_whole_nifti(partial, header)):  # ITK reports success
            raise OutputError(f"Expected to write all of {path}, got a truncated file; free some space and try again.")
