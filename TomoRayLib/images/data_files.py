"""All files that an image consists of: a header, and every file of voxels that it names."""

from __future__ import annotations

from pathlib import Path

from TomoRayLib.base.hashes import sha256_of_bytes, sha256_of_file
from TomoRayLib.images.existing import existing_path, unreadable
from TomoRayLib.images.headers import meta_image_header, nrrd_voxels
from TomoRayLib.images.headers.meta_image_header import MetaImageHeader
from TomoRayLib.images.headers.nifti_header import NiftiHeader, is_nifti_pair, voxel_file
from TomoRayLib.images.headers.nrrd_header import NrrdHeader
from TomoRayLib.images.headers.volume_header import checked_header


def data_files(path: Path) -> tuple[Path, ...]:
    """Find every file that an image is read from.

    Args:
        path: A file, or a folder of DICOM files or of masks.

    Returns:
        The file itself and the files of voxels that its header names (NRRD's ``data file``, also a list or a pattern;
        MetaImage's ``ElementDataFile``; the .img of a NIfTI pair); all files of a folder, in the order of their paths.

    Raises:
        InputError: If the file cannot be read, or its header is damaged.
    """
    existing_path(path)
    if path.is_dir():
        return tuple(sorted(item for item in path.rglob("*") if item.is_file()))
    try:
        header = checked_header(path)
    except OSError as error:
        raise unreadable(path, error) from None
    named: tuple[Path, ...] = ()
    if isinstance(header, NrrdHeader):
        named = tuple(nrrd_voxels.voxel_files(header, path))
    elif isinstance(header, MetaImageHeader):
        named = meta_image_header.voxel_files(header, path)
    elif isinstance(header, NiftiHeader) and is_nifti_pair(path):
        named = (voxel_file(path, header),)
    return (path, *(item for item in dict.fromkeys(named) if item != path and item.is_file()))


def sha256_of_image(path: Path) -> str:
    """Return one SHA-256 over the content of every file that an image is read from, and over the files' own names if
    there are several.

    Raises InputError as ``data_files``.
    """
    files = data_files(path)
    try:
        if files == (path,):
            return sha256_of_file(path)
        place = path if path.is_dir() else path.parent
        parts = [f"{_relative(item, place)} {sha256_of_file(item)}" for item in files]
    except OSError as error:
        raise unreadable(path, error) from None
    return sha256_of_bytes("\n".join(parts).encode())


def _relative(item: Path, place: Path) -> str:
    return item.relative_to(place).as_posix() if item.is_relative_to(place) else item.name
