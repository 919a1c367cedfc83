"""Arrays of NumPy and HDF5 files, which hold no geometry, checked against file and memory before they are read."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.contained import read_contained
from TomoRayLib.images.declared_size import DEFLATE, check_declared
from TomoRayLib.images.existing import existing_path
from TomoRayLib.images.types import last_line

ARRAYS = (".npy", ".npz", ".h5", ".hdf5")
_ENDING = ".npy"  # of the arrays in an .npz file


def is_array(path: Path) -> bool:
    """Return whether a file is an array of NumPy or HDF5, which has no geometry."""
    return path.suffix.lower() in ARRAYS


def read_array(path: Path, dataset: str | None) -> NDArray[Any]:
    """Read one array.

    Args:
        path: A file for which ``is_array`` is true.
        dataset: The array's name, if the file holds several.

    Raises:
        InputError: For a file that is not there, damaged, larger than memory, or of several arrays without a name.
    """
    existing_path(path)
    try:
        if path.suffix.lower() == ".npy":
            found = np.load(path, mmap_mode="r", allow_pickle=False)
            check_declared(path, found.nbytes, path.stat().st_size, "numbers")
            return np.array(found)
        if path.suffix.lower() == ".npz":
            return _of_archive(path, dataset)
        return _of_hdf5(path, dataset)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # NumPy, zip and zlib raise many kinds on damaged files
        reason = last_line(error) if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: expected an array file, which cannot be read ({reason}).") from None


def _of_archive(path: Path, dataset: str | None) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(_ENDING): name for name in archive.namelist()}
        name = _one_of(names, dataset, path)
        member = archive.getinfo(name)
        check_declared(path, member.file_size, member.compress_size, "numbers", ratio=DEFLATE)
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(file)
        check_declared(path, math.prod(shape) * dtype.itemsize, member.file_size, "numbers")
    with np.load(path, allow_pickle=False) as file:
        return np.asarray(file[name.removesuffix(_ENDING)])


def _of_hdf5(path: Path, dataset: str | None) -> NDArray[Any]:
    names = read_contained("hdf5 names", path).said["names"]
    if names is None:
        raise InputError(
            f"{path}: reading HDF5 needs the Python package h5py; install tomoray[cluster], or save it as NIfTI."
        )
    values = read_contained("hdf5", path, option=_one_of(dict.fromkeys(names, ""), dataset, path, by_name=True)).values
    assert values is not None
    return values


def _one_of(arrays: Mapping[str, str], dataset: str | None, path: Path, by_name: bool = False) -> str:
    """The entry of the one array, or of the one that is named; with ``by_name`` the name itself."""
    names = ", ".join(sorted(arrays)) or "none"
    if dataset is None and len(arrays) != 1:
        raise InputError(f"{path}: expected one array, or the name of one (dataset), got {names}.")
    wanted = next(iter(arrays)) if dataset is None else dataset.strip("/")
    if wanted not in arrays:
        raise InputError(f"{path}: expected the array {dataset!r}, got {names}.")
    return wanted if by_name else arrays[wanted]
