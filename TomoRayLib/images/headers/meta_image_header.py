"""The header of a MetaImage file (.mha, .mhd) and the grid that it states, by MetaIO's reference.

SimpleITK leaves out units, the function from element to intensity and a matrix that is no rotation.
Reference: https://docs.itk.org/en/latest/learn/metaio.html, "Tags of MetaImage".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.declared_size import DEFLATE, NOT_COMPRESSED, check_declared
from TomoRayLib.images.headers.numbered_files import numbered_names
from TomoRayLib.images.headers.stated_grid import (
    StatedGrid,
    affine,
    assumed_lps,
    check_one_size,
    grid_of_affine,
    mm_of_unit,
)
from TomoRayLib.images.headers.stored_voxels import StoredVoxels
from TomoRayLib.images.voxel_files import voxel_file_named

_LONGEST_HEADER = 2**20
# Names that stand for one field.
_SYNONYMS = {
    "Offset": ("Offset", "Position", "Origin"),
    "TransformMatrix": ("TransformMatrix", "Rotation", "Orientation"),
    "ElementSpacing": ("ElementSpacing",),
    "ElementSize": ("ElementSize",),
}
_TRANSFORMS = {name for names in _SYNONYMS.values() for name in names}
_FIELDS = {
    *("ObjectType", "ObjectSubType", "TransformType", "NDims", "Name", "ID", "ParentID", "Comment", "Color"),
    *("BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData", "CompressedDataSize"),
    *("CompressionLevel", "CenterOfRotation", "DistanceUnits", "AnatomicalOrientation", "DimSize", "HeaderSize"),
    *("HeaderSizePerSlice", "Modality", "SequenceID", "ElementMin", "ElementMax", "ElementNumberOfChannels"),
    *("ElementNBits", "ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset", "ElementType"),
    *("ElementDataFile", "AcquisitionDate"),
}
_LARGEST_COUNT = 2**40  # voxels along an axis: a damaged header
_MOST_CHANNELS = 2**10
_TYPES = {f"MET_{name}": f"i{size}" for name, size in (("CHAR", 1), ("SHORT", 2), ("INT", 4), ("LONG_LONG", 8))}
_TYPES |= {f"MET_U{name.removeprefix('MET_')}": f"u{kind[1]}" for name, kind in _TYPES.items()}
_TYPES |= {"MET_LONG": "i4", "MET_ULONG": "u4", "MET_FLOAT": "f4", "MET_DOUBLE": "f8"}
_BIG_ENDIAN = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")


@dataclass(frozen=True)
class MetaImageHeader:
    """Values by tag, in the file's order; ``sizes`` from fast to slow; ``begin``: the byte after the header."""

    values: tuple[tuple[str, str], ...]
    sizes: tuple[int, ...]
    begin: int

    @property
    def is_volume(self) -> bool:
        """True for one 3D volume of several slices along each axis."""
        return len(self.sizes) >= 3 and min(self.sizes[:3]) > 1 and math.prod(self.sizes[3:]) == 1

    def value(self, name: str) -> str | None:
        """Return the value of a tag; None if the header has none."""
        return dict(self.values).get(name)

    @property
    def pairs(self) -> dict[str, str]:
        """The fields that programs add to those of the format."""
        return {name: value for name, value in self.values if name not in _FIELDS and name not in _TRANSFORMS}

    @property
    def intensity_function(self) -> tuple[float, float]:
        """Slope and offset from stored elements to values; (1, 0) if none is stated."""
        slope, offset = (self.value(f"ElementToIntensityFunction{name}") for name in ("Slope", "Offset"))
        return float(slope or 1.0), float(offset or 0.0)


def check_meta_image(path: Path) -> MetaImageHeader | None:
    """Return the header of a MetaImage file; None for another kind of file.

    Raises InputError for voxels that are not there or not whole, and for a header that leaves open where they begin.
    """
    if not path.name.lower().endswith((".mha", ".mhd")) or (header := _read(path)) is None:
        return None
    try:
        slope, offset = header.intensity_function
    except ValueError:
        slope = offset = math.nan
    if not (math.isfinite(slope) and math.isfinite(offset) and slope):
        raise InputError(
            f"{path}: expected finite numbers in ElementToIntensityFunctionSlope and -Offset, got others; correct the "
            "header or export it again."
        )
    if (header.value("BinaryData") or "").lower() == "false":
        raise InputError(f"{path}: expected binary voxels, got text (BinaryData = False); export it again as binary.")
    files = voxel_files(header, path)
    declared, held = _declared(header, path), sum(file.stat().st_size for file in files)
    check_declared(path, declared, held, ratio=_ratio(header))
    if files == (path,):
        if _whole(header, "HeaderSize", 0, path) > 0:
            raise InputError(
                f"{path}: expected voxels right after the header (ElementDataFile = LOCAL), got HeaderSize = "
                f"{header.value('HeaderSize')}; remove it from the header or export it again."
            )
        _check_length(header, path, path, header.begin)
    elif len(files) == 1:
        _check_length(header, files[0], path, max(_whole(header, "HeaderSize", 0, path), 0))
    return header


def voxel_files(header: MetaImageHeader, path: Path) -> tuple[Path, ...]:
    """Return the files that voxels are in. Raises InputError for one that is not there, or not in the folder."""
    data = header.value("ElementDataFile") or "LOCAL"
    if data.upper() == "LOCAL":
        return (path,)
    if data.upper() == "LIST" or data.upper().startswith("LIST "):
        with path.open("rb") as file:
            file.seek(header.begin)
            lines = file.read(_LONGEST_HEADER).decode("latin-1").splitlines()
        names = [line for line in lines if line.strip()]
    elif "%" in data:
        names = list(numbered_names(path, data, [*data.split()[1:], "1"][:3], "ElementDataFile"))
    else:
        names = [data]
    return tuple(voxel_file_named(path, name, "ElementDataFile") for name in names)


def stored_meta_image(header: MetaImageHeader, path: Path) -> StoredVoxels | None:
    """Return where the voxels of a checked MetaImage lie; None for a layout that is left to ITK: several files."""
    kind = _TYPES.get((header.value("ElementType") or "").upper())
    channels = _whole(header, "ElementNumberOfChannels", 1, path)
    is_binary = (header.value("BinaryData") or "").lower() == "true"
    data = (header.value("ElementDataFile") or "").upper()
    begin = _whole(header, "HeaderSize", 0, path)
    if kind is None or not is_binary or data.startswith("LIST") or "%" in data or len(header.sizes) not in (2, 3):
        return None
    (file,) = voxel_files(header, path)
    big = any((header.value(name) or "").lower() == "true" for name in _BIG_ENDIAN)
    shape = (*reversed(header.sizes), *([channels] if channels > 1 else []))
    packed = _is_packed(header)
    stored = StoredVoxels(file, header.begin, 0, packed, (">" if big else "<") + kind, shape)
    if file == path:
        return stored
    if begin < 0:  # what the voxels leave of the file is a header
        begin = 0 if packed else file.stat().st_size - stored.declared
    return replace(stored, begin=begin)


def _is_packed(header: MetaImageHeader) -> bool:
    return (header.value("CompressedData") or "").lower() == "true"


def _ratio(header: MetaImageHeader) -> float:
    return DEFLATE if _is_packed(header) else NOT_COMPRESSED


def _declared(header: MetaImageHeader, path: Path) -> int:
    """Bytes of all voxels. Raises InputError for a number of values per voxel that is none."""
    kind = _TYPES.get((header.value("ElementType") or "").upper().removesuffix("_ARRAY"), "u1")
    channels = _whole(header, "ElementNumberOfChannels", 1, path)
    if not 1 <= channels <= _MOST_CHANNELS:
        raise InputError(
            f"{path}: expected 1 to {_MOST_CHANNELS} values per voxel, got {channels} (ElementNumberOfChannels); "
            "export it again."
        )
    return math.prod(header.sizes) * int(kind[1]) * channels


def _check_length(header: MetaImageHeader, data: Path, path: Path, begin: int) -> None:
    """Raise InputError if the file that holds the voxels from byte ``begin`` on is too short."""
    least = _declared(header, path)
    if _is_packed(header):
        least = _whole(header, "CompressedDataSize", 0, path)
        if least <= 0:
            raise InputError(
                f"{path}: expected CompressedDataSize with CompressedData = True, got none, so it cannot be told "
                "whether all voxels are there; export it again."
            )
    size = data.stat().st_size
    if size - begin < least:
        raise InputError(
            f"{path}: expected {least} bytes of voxels, got {max(size - begin, 0)}: the file is truncated; copy or "
            "export it again."
        )
    apart = data != path and header.value("HeaderSize") is None
    if apart and size > least:
        raise InputError(
            f"{path}: expected the {least} bytes of voxels that DimSize makes, got {size}: is there a header in it "
            "(HeaderSize), or is it the file of another image? Correct the header or export it again."
        )


def _whole(header: MetaImageHeader, name: str, default: int, path: Path) -> int:
    text = header.value(name) or str(default)
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{path}: expected a whole number in {name}, got {text!r}; export it again.") from None


def _read(path: Path) -> MetaImageHeader | None:
    values: list[tuple[str, str]] = []
    with path.open("rb") as file:
        while file.tell() < _LONGEST_HEADER and (line := file.readline(_LONGEST_HEADER)):
            text = line.decode("latin-1").strip()
            name, sign, value = text.partition("=") if "=" in text else text.partition(":")
            if not sign:
                continue
            values.append((name.strip(), value.strip()))
            if name.strip() == "ElementDataFile":
                break
        begin = file.tell()
    try:
        sizes = tuple(int(size) for size in dict(values).get("DimSize", "").split())
        if not sizes or min(sizes) < 1 or max(sizes) > _LARGEST_COUNT:
            return None  # SimpleITK says what it is
    except ValueError:
        return None
    return MetaImageHeader(tuple(values), sizes, begin)


def meta_image_geometry(header: MetaImageHeader, path: Path) -> StatedGrid:
    """Return the grid of a MetaImage volume.

    ElementSpacing is the distance of voxel centres; ElementSize, their size, stands in for it if it is missing. The
    rows of TransformMatrix are the directions of the axes in LPS, Offset is the first centre.

    Args:
        header: The header of a file whose ``is_volume`` is true.
        path: The file, for messages.

    Returns:
        The grid in LPS mm.

    Raises:
        InputError: If no voxel size is stated, or two, or the matrix is no rotation, or it is turned about a centre.
    """
    dimensions = len(header.sizes)
    spacing = _numbers(header, "ElementSpacing", dimensions, path) or _numbers(header, "ElementSize", dimensions, path)
    if spacing is None or not all(math.isfinite(value) and value > 0 for value in spacing[:3]):
        got = "neither ElementSpacing nor ElementSize" if spacing is None else f"ElementSpacing = {spacing}"
        raise InputError(
            f"{path}: expected a spacing above 0 mm along each axis, got {got}; correct the header or export it again."
        )
    unit = header.value("DistanceUnits") or ""
    to_mm = mm_of_unit(unit, path, "DistanceUnits")
    matrix = _numbers(header, "TransformMatrix", dimensions**2, path)
    offset = _numbers(header, "Offset", dimensions, path) or (0.0,) * dimensions
    rows = np.eye(3) if matrix is None else np.array(matrix).reshape(dimensions, dimensions)[:3, :3]
    spacing_mm = (spacing[0] * to_mm, spacing[1] * to_mm, spacing[2] * to_mm)
    placed = affine(rows.T * spacing_mm, np.array(offset[:3]) * to_mm)
    i, j, k = header.sizes[:3]
    grid = grid_of_affine(placed, (i, j, k), path, "TransformMatrix")
    check_one_size(grid, spacing_mm, path, ("ElementSpacing with the lengths of TransformMatrix", "ElementSpacing"))
    _check_centre(header, rows, dimensions, path)
    notes = (f"Its lengths were turned from {unit} (DistanceUnits) into mm.",) if to_mm != 1 else ()
    warnings = _orientation_warnings(header, grid, matrix is not None, path)
    return StatedGrid(grid, "ElementSpacing", None, notes, warnings)


def _check_centre(header: MetaImageHeader, rows: NDArray[np.float64], dimensions: int, path: Path) -> None:
    """Raise InputError for a rotation about another point than the first voxel: programs place it differently."""
    centre = _numbers(header, "CenterOfRotation", dimensions, path)
    if centre is not None and any(centre) and np.abs(rows - np.eye(3)).max() > 1e-6:
        raise InputError(
            f"{path}: expected a place stated by TransformMatrix and Offset alone, got CenterOfRotation = {centre} "
            "too, which some programs use and others (ITK) leave out; export it again with 0 0 0."
        )


def _orientation_warnings(header: MetaImageHeader, grid: Grid, has_matrix: bool, path: Path) -> tuple[str, ...]:
    """Compare AnatomicalOrientation with the matrix, in either meaning: where axes come from (ITK), or run to."""
    letters = (header.value("AnatomicalOrientation") or "").upper()
    if len(letters) != 3 or not set(letters) <= set("RLAPSI"):
        return () if has_matrix else (assumed_lps("neither TransformMatrix nor AnatomicalOrientation"),)
    run_to = grid.axis_letters
    come_from = run_to.translate(str.maketrans("RLAPSI", "LRPAIS"))
    if letters in (run_to, come_from):
        return ()
    if not has_matrix:
        raise InputError(
            f"{path}: expected a TransformMatrix, got AnatomicalOrientation = {letters} alone, which says to some "
            "programs where axes come from, to others where they run to; export it again with a matrix."
        )
    return (
        f"Its header says AnatomicalOrientation = {letters}, but its TransformMatrix has axes that run to {run_to}: "
        "the matrix was taken, as ITK and Slicer do; check left and right, front and back.",
    )


def _numbers(header: MetaImageHeader, name: str, count: int, path: Path) -> tuple[float, ...] | None:
    """Return the numbers of a tag or its synonyms; None if there are none. Raises InputError for two statements."""
    texts = [(tag, value) for tag, value in header.values if tag in _SYNONYMS.get(name, (name,))]
    if not texts:
        return None
    read = []
    for tag, value in texts:
        try:
            numbers = tuple(float(part) for part in value.split())
        except ValueError:
            numbers = ()
        if len(numbers) != count:
            raise InputError(
                f"{path}: expected {count} numbers in {tag}, got {value!r}; correct the header or export it again."
            )
        read.append(numbers)
    if any(numbers != read[0] for numbers in read):
        said = ", ".join(f"{tag} = {value}" for tag, value in texts)
        raise InputError(f"{path}: expected one {name}, got {said}; correct the header or export it again.")
    return read[0]
