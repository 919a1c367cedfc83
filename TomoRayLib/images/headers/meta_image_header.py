"""The header of a MetaImage file (.mha, .mhd) and the grid that it states, by MetaIO's reference.

SimpleITK leaves out units, the function from element to intensity and a matrix that is no rotation.
Reference: https://docs.itk.org/en/latest/learn/metaio.html, "Tags of MetaImage".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.headers.stated_grid import (
    StatedGrid,
    affine,
    assumed_lps,
    check_one_size,
    grid_of_affine,
    mm_of_unit,
)

_LONGEST_HEADER = 2**20
# Names that stand for one field.
_SYNONYMS = {
    "Offset": ("Offset", "Position", "Origin"),
    "TransformMatrix": ("TransformMatrix", "Rotation", "Orientation"),
    "ElementSpacing": ("ElementSpacing",),
    "ElementSize": ("ElementSize",),
}
_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}


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
    data = header.value("ElementDataFile") or ""
    if data.upper() == "LOCAL":
        if _whole(header, "HeaderSize", 0, path) > 0:
            raise InputError(
                f"{path}: expected voxels right after the header (ElementDataFile = LOCAL), got HeaderSize = "
                f"{header.value('HeaderSize')}; remove it from the header or export it again."
            )
        _check_length(header, path, header.begin)
    elif data and not data.upper().startswith("LIST") and "%" not in data:
        if not (path.parent / data).is_file():
            raise InputError(
                f"{path}: expected its voxels in {data} (ElementDataFile), got no such file in its folder; copy both "
                "into one folder."
            )
        _check_length(header, path.parent / data, max(_whole(header, "HeaderSize", 0, path), 0))
    return header


def _check_length(header: MetaImageHeader, path: Path, begin: int) -> None:
    """Raise InputError if the file that holds the voxels from byte ``begin`` on is too short."""
    name = (header.value("ElementType") or "").removeprefix("MET_").removesuffix("_ARRAY").replace("UCHAR", "CHAR")
    bytes_each = _BYTES.get(name.replace("USHORT", "SHORT").replace("UINT", "INT").replace("ULONG", "LONG"), 1)
    least = math.prod(header.sizes) * bytes_each * _whole(header, "ElementNumberOfChannels", 1, path)
    if (header.value("CompressedData") or "").lower() == "true":
        if _whole(header, "CompressedDataSize", 0, path) <= 0:
            raise InputError(
                f"{path}: expected CompressedDataSize with CompressedData = True, got none, so it cannot be told "
                "whether all voxels are there; export it again."
            )
        least = _whole(header, "CompressedDataSize", 0, path)
    if path.stat().st_size - begin < least:
        raise InputError(
            f"{path}: expected {least} bytes of voxels, got {max(path.stat().st_size - begin, 0)}: the file is "
            "truncated; copy or export it again."
        )
    apart = path.suffix.lower() != ".mha" and header.value("HeaderSize") is None
    if apart and path.stat().st_size > least:
        raise InputError(
            f"{path}: expected the {least} bytes of voxels that DimSize makes, got {path.stat().st_size}: is there a "
            "header in it (HeaderSize), or is it the file of another image? Correct the header or export it again."
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
        if not sizes or min(sizes) < 1:
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
