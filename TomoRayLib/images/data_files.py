"""All files that an image consists of: a header, and every file of voxels that it names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.hashes import sha256_of_bytes, sha256_of_file
from TomoRayLib.images.existing import unreadable
from TomoRayLib.images.headers.meta_image_header import MetaImageHeader
from TomoRayLib.images.headers.nifti_header import NiftiHeader, is_nifti_pair, voxel_file
from TomoRayLib.images.headers.nrrd_header import NrrdHeader
from TomoRayLib.images.headers.volume_header import checked_header

LOCAL = "local"  # MetaImage: the voxels follow the header
MOST_FILES = 100_000  # of one volume


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
    if path.is_dir():
        return tuple(sorted(item for item in path.rglob("*") if item.is_file()))
    try:
        header = checked_header(path)
    except OSError as error:
        raise unreadable(path, error) from None
    named: tuple[Path, ...] = ()
    if isinstance(header, NrrdHeader):
        named = tuple(_named_by_nrrd(header, path))
    elif isinstance(header, MetaImageHeader):
        named = tuple(_named_by_meta_image(header, path))
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


def _named_by_nrrd(header: NrrdHeader, path: Path) -> Iterator[Path]:
    data = header.fields.get("datafile", "")
    if data.upper().startswith("LIST"):
        lines = path.read_bytes().decode("utf-8", errors="replace").splitlines()
        start = next((number for number, line in enumerate(lines) if "LIST" in line.upper()), len(lines))
        yield from (path.parent / line.strip() for line in lines[start + 1 :] if line.strip())
    elif "%" in data:
        yield from _numbered(path, data, data.split()[1:4], "data file")
    elif data:
        yield path.parent / data


def _named_by_meta_image(header: MetaImageHeader, path: Path) -> Iterator[Path]:
    data = header.value("ElementDataFile") or LOCAL
    if data.upper() == "LIST" or data.upper().startswith("LIST "):
        lines = path.read_bytes()[: header.begin + 2**20].decode("latin-1").splitlines()
        start = next((number for number, line in enumerate(lines) if line.startswith("ElementDataFile")), len(lines))
        yield from (path.parent / line.strip() for line in lines[start + 1 :] if line.strip())
    elif "%" in data:
        yield from _numbered(path, data, [*data.split()[1:], "1"][:3], "ElementDataFile")
    elif data.lower() != LOCAL:
        yield path.parent / data


def _numbered(path: Path, data: str, numbers: list[str], key: str) -> Iterator[Path]:
    """The files that a pattern with first number, last number and step names, the last among them."""
    try:
        first, last, step = (int(number) for number in numbers)
        numbered = range(first, last + (step > 0) - (step < 0), step)
        yield from (path.parent / (data.split()[0] % number) for number in islice(numbered, MOST_FILES))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: expected a pattern with first number, last number and step for its files of voxels ({key}), got "
            f"{data!r} ({error}); correct the header."
        ) from None
