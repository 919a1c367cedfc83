"""Reading volumes, label maps and radiographs. Patient space is LPS in mm; see ``geometry``.

``read_volume``, ``read_labels`` and ``read_radiograph`` say in an InputError what a file is when it is not what was
asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.dicom.files import is_dicom
from TomoRayLib.images.dicom.radiograph import read_dicom_radiograph
from TomoRayLib.images.dicom.segmentation import find_dicom_segmentation, read_dicom_segmentation
from TomoRayLib.images.dicom.series import read_dicom_volume
from TomoRayLib.images.existing import existing_path
from TomoRayLib.images.headers.nifti_voxels import is_read_here, nifti_voxels
from TomoRayLib.images.headers.nrrd_header import NrrdHeader
from TomoRayLib.images.headers.stated_grid import StatedGrid, check_plausible
from TomoRayLib.images.headers.volume_header import (
    VolumeHeader,
    checked_header,
    fields_of_text,
    geometry_of,
    label_step,
    scaled_values,
    stated_size,
    stored_voxels,
    values_per_voxel,
    warnings_of_format,
)
from TomoRayLib.images.masks.label_maps import LabelMap, label_map_of, layers_of
from TomoRayLib.images.masks.label_names import names_of_labels, names_of_segments
from TomoRayLib.images.pictures.flat_geometry import check_plane
from TomoRayLib.images.pictures.flat_image import check_not_a_volume, radiograph_from_sitk
from TomoRayLib.images.pictures.picture import picture_kind, read_picture
from TomoRayLib.images.simpleitk_files import read_image, read_information, sitk_image
from TomoRayLib.images.types import (
    Radiograph,
    Volume,
    check_finite,
    check_one_value,
    check_scalar,
    volume_from_sitk,
)
from TomoRayLib.images.writing import UNKNOWN, UNKNOWN_SPACING_KEY, PathLike

LARGEST_ROUNDING = 0.25  # of a label that is stored scaled; farther off, it may be another one


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
            colour, voxels are not finite, a spacing is not above 0 or no CT's, directions are sheared, the header
            states no orientation or several, or DICOM slices do not form an even, straight stack.
    """
    path = existing_path(path)
    if path.is_dir() or is_dicom(path):
        return read_dicom_volume(path)
    return _read_volume_file(path, checked_header(path))


def _read_volume_file(path: Path, header: VolumeHeader | None) -> Volume:
    stated = geometry_of(header, path) if header is not None and header.is_volume else None
    if not is_read_here(header):
        return _placed(_volume(header, path), header, stated, path)
    _check_one_volume(header.counts, path)
    assert stated is not None  # as it is one volume
    return _placed(Volume(_single_precision(nifti_voxels(header, path), path), stated.grid), header, stated, path)


def _placed(volume: Volume, header: VolumeHeader | None, stated: StatedGrid | None, path: Path) -> Volume:
    """Put a volume where its header states it. Raises InputError for a grid that no CT has."""
    if header is None:
        check_plausible(volume.grid, path, "the file's header")
        return replace(volume, warnings=warnings_of_format(path))
    if stated is None:
        raise InputError(f"{path}: expected a header of one 3D volume, got another; export it again as a 3D volume.")
    if stated.grid.size != volume.grid.size:
        raise InputError(
            f"{path}: expected {stated.grid.size} voxels as its header says, got {volume.grid.size}; it may be "
            "damaged: copy or export it again."
        )
    check_plausible(stated.grid, path, stated.size_field)
    voxels, remarks = scaled_values(volume.voxels, header, path)
    return Volume(voxels, stated.grid, stated.notes, (*stated.warnings, *remarks), stated.other_grid)


def _volume(header: VolumeHeader | None, path: Path) -> Volume:
    """Read an image as a volume, on a grid that its header may correct. Raises InputError if it is none."""
    stored = stored_voxels(header, path)
    if stored is not None:
        count = values_per_voxel(header)
        check_one_value(count, str(path))
        _check_one_volume(stored.shape[::-1], path)
        i, j, k = stored.shape[::-1]
        return Volume(_single_precision(stored, path), Grid((i, j, k), (1.0, 1.0, 1.0)))
    image = read_image(path)
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
    check_scalar(image, str(path))
    _check_one_volume(image.GetSize(), path)
    volume = volume_from_sitk(image, str(path))
    return Volume(_single_precision(volume.voxels, path), volume.grid)


def _image(header: VolumeHeader | None, path: Path) -> sitk.Image:
    """Read an image with its values per voxel and its fields of text."""
    if is_read_here(header):
        return sitk.GetImageFromArray(nifti_voxels(header, path))
    stored = stored_voxels(header, path)
    if stored is None:
        return read_image(path)
    return sitk_image(stored, {"components": values_per_voxel(header)}, fields_of_text(header))


def _check_one_volume(size: Sequence[int], path: Path) -> None:
    """Raise InputError for a sequence and for a flat image. ``size`` in (x, y, z, ...) order."""
    if (count := math.prod(size[3:])) > 1:
        raise InputError(
            f"{path}: expected one 3D volume, got a sequence of {count} ({len(size)}D, size {tuple(size)}); export the "
            "one volume to be used."
        )
    if len(size) < 3 or min(size[:3]) == 1:
        raise InputError(
            f"{path}: expected a 3D volume (CT), got a 2D image of size {tuple(size)}; choose the CT, or give this "
            "file as a radiograph. A CT in DICOM is chosen by its folder, not by one slice."
        )


def _single_precision(voxels: NDArray[Any], path: Path) -> NDArray[Any]:
    """The voxels, float64 as float32. Raises InputError for those that are not finite then."""
    with np.errstate(over="ignore"):
        voxels = voxels.astype(np.float32) if voxels.dtype == np.float64 else voxels
    check_finite(voxels, str(path))
    return voxels


def read_labels(path: PathLike) -> Volume:
    """Read a label map; whole numbers stored as floats are accepted.

    Where its header or a table beside it names vertebrae, the labels are VerSe's numbers of these names.

    Args:
        path: A file or folder as for ``read_volume``.

    Returns:
        Labels ``(z, y, x)`` as int16 (int32 if a label needs it) with their grid in LPS mm.

    Raises:
        InputError: As ``read_volume`` does, and for fractional values, which no label map has.
    """
    return read_label_map(path).volume


def read_label_map(path: PathLike, by_name: bool = True) -> LabelMap:
    """Read a label map as ``read_labels`` does, and say whether its labels are VerSe's by name.

    Args:
        path: A file or folder as for ``read_volume``.
        by_name: Whether names count; else the labels are those stored.

    Returns:
        The map with what its names say.

    Raises:
        InputError: As ``read_labels`` does, and if two labels have the name of one vertebra.
    """
    path = existing_path(path)
    is_stack = path.is_dir() or is_dicom(path)
    segmentation = find_dicom_segmentation(path) if is_stack else None
    if segmentation is not None:
        volume, segments = read_dicom_segmentation(segmentation)
        return label_map_of([volume], names_of_segments(segments) if by_name else None, str(path))
    header = None if is_stack else checked_header(path)
    names = names_of_labels(path) if by_name and not is_stack else None
    if names is not None and names.has_layers:
        layers = layers_of(_image(header, path), str(path))
        in_space = isinstance(header, NrrdHeader) and header.has_layers_of_volumes
        stated = geometry_of(header, path) if header is not None and in_space else None
        stored = tuple(_placed(layer, header, stated, path) for layer in layers)
    else:
        stored = (read_dicom_volume(path) if is_stack else _read_volume_file(path, header),)
    return label_map_of([_as_labels(layer, label_step(header), path) for layer in stored], names, str(path))


def _as_labels(volume: Volume, step: float, path: Path) -> Volume:
    labels, notes = _whole_numbers(volume.voxels, step, path)
    return replace(volume, voxels=labels, notes=(*volume.notes, *notes))


def _whole_numbers(
    voxels: NDArray[np.generic], step: float, path: Path
) -> tuple[NDArray[np.signedinteger], tuple[str, ...]]:
    """Return labels as int16 or int32, and a note if they were rounded; ``step``: that of scaled values, else 0.

    Writers that stretch labels over the range of a number type leave them up to half a step off. Raises InputError for
    other fractions, which no label map has, and for numbers beyond int32.
    """
    low, high = float(voxels.min()), float(voxels.max())
    notes: tuple[str, ...] = ()
    if not np.issubdtype(voxels.dtype, np.integer):
        off = max(float(np.abs(plane - np.rint(plane)).max()) for plane in voxels)  # large maps fit once
        if off > 0.5 * step * 1.001 or off > LARGEST_ROUNDING:
            raise InputError(
                f"{path}: expected a label map of whole numbers, got fractions between {low:g} and {high:g}; is this a "
                "CT, a probability map, or a mask resampled without nearest neighbour?"
            )
        if off > 1e-4:
            notes = (f"Its labels are stored in steps of {step:.3g} (scl_slope): rounded, by up to {off:.2g}.",)
        voxels = np.rint(voxels)
    if not -(2**31) <= low <= high < 2**31:
        raise InputError(
            f"{path}: expected labels that are small whole numbers, got {low:g} to {high:g}; is it a mask?"
        )
    return voxels.astype(np.int16 if low >= -(2**15) and high < 2**15 else np.int32), notes


def read_radiograph(path: PathLike) -> Radiograph:
    """Read a radiograph from a DICOM, NRRD, MetaImage, PNG, TIFF, JPEG or BMP file, or from a volume of one slice.

    PNG, JPEG, TIFF and BMP give no spacing: their resolution is for print, not for a detector. They are turned as their
    Orientation says, and inverted where white is zero. A one-slice volume whose directions say so is turned head up,
    with the patient's left or posterior at image right. Bright is taken as bone.

    Args:
        path: The image file.

    Returns:
        Pixels ``(row, column)``, row 0 at the top, the spacing in mm if the file has one, and what its header says.

    Raises:
        InputError: If the file is missing or unreadable, a folder, a volume or in colour, or pixels are not finite.
    """
    path = existing_path(path)
    if path.is_dir():
        raise InputError(f"{path}: expected a radiograph file (2D), got a folder; choose the file in it.")
    if is_dicom(path):
        radiograph = read_dicom_radiograph(path)
    elif (kind := picture_kind(path)) is not None:
        radiograph = read_picture(path, kind)
    else:
        header = checked_header(path)
        check_plane(header, path)
        size = stated_size(header)
        check_not_a_volume(read_information(path).size if size is None else size, path)
        radiograph = radiograph_from_sitk(_image(header, path), path, header)
        if radiograph.metadata.get(UNKNOWN_SPACING_KEY) == UNKNOWN:
            radiograph = replace(radiograph, pixel_spacing_mm=None)
    check_finite(radiograph.pixels, str(path))
    return radiograph
