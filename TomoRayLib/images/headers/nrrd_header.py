"""The header of an NRRD file and the grid that it states, by the format's definition.

SimpleITK leaves out units and axis bounds, takes a spacing of NaN for 1 mm and a frame that is no patient's for LPS.
Definition: https://teem.sourceforge.net/nrrd/format.html, sections 4 to 6.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.headers.stated_grid import (
    HALF_A_VOXEL,
    StatedGrid,
    affine,
    assumed_lps,
    grid_of_affine,
    mm_of_unit,
)

_ESCAPED = re.compile(r"\\([n\\])")
_MAGIC = re.compile(rb"NRRD000\d")
_LONGEST_HEADER = 2**24  # a segmentation keeps names, colours and its history in the header
_LARGEST_COUNT = 2**40  # voxels along an axis: a damaged header
_SYNONYMS = {"centerings": "centers"}
# The signs of the frame's x and y against LPS; z is superior in all three.
_SIGNS_OF_SPACE = {
    "left-posterior-superior": (1, 1),
    "lps": (1, 1),
    "right-anterior-superior": (-1, -1),
    "ras": (-1, -1),
    "left-anterior-superior": (1, -1),
    "las": (1, -1),
}
_NO_PATIENT_SPACES = ("scanner-xyz", "3d-right-handed")
_SPACE_KINDS = ("domain", "space", "???", "none")


@dataclass(frozen=True)
class NrrdHeader:
    """Field specifications by name, in lower case and without blanks (``spacedirections``); sizes from fast to slow.

    ``pairs`` are the keys and values that programs add, ``begin`` is the first byte after the header, and ``listed``
    the lines that name files of voxels.
    """

    fields: dict[str, str]
    sizes: tuple[int, ...]
    pairs: dict[str, str] = field(default_factory=dict)
    begin: int = 0
    listed: tuple[str, ...] = ()

    @property
    def space_axes(self) -> tuple[int, ...]:
        """The axes that lie in space: those with a direction if there are directions, else by their kinds."""
        if (directions := self.fields.get("spacedirections")) is not None:
            vectors = _vector_texts(directions)
            return tuple(axis for axis, text in enumerate(vectors) if text != "none")
        kinds = self.fields.get("kinds", "").lower().split() or ["???"] * len(self.sizes)
        return tuple(axis for axis, kind in enumerate(kinds) if kind in _SPACE_KINDS)

    @property
    def is_volume(self) -> bool:
        """True for one 3D volume of several slices along each axis."""
        others = [size for axis, size in enumerate(self.sizes) if axis not in self.space_axes]
        return self.has_layers_of_volumes and math.prod(others) == 1

    @property
    def has_layers_of_volumes(self) -> bool:
        """True for 3D volumes on one grid, however many values a voxel has (layers of a segmentation)."""
        axes = [axis for axis in self.space_axes if axis < len(self.sizes)]
        while len(axes) > 3 and self.sizes[axes[-1]] == 1:
            axes.pop()
        return len(axes) == 3 and min(self.sizes[axis] for axis in axes) > 1


def check_nrrd(path: Path) -> NrrdHeader | None:
    """Return the header of an NRRD file; None for another kind of file.

    Raises InputError for a size that is no number, and voxels of a kind that cannot be read.
    """
    header = _read(path)
    if header is None:
        return None
    encoding = header.fields.get("encoding", "").lower()
    if encoding in ("bz2", "bzip2"):
        raise InputError(f"{path}: expected raw, text or gzip voxels, got encoding {encoding}; save it with gzip.")
    if "block" in (header.fields.get("type", "").lower(), *header.fields.get("kinds", "").lower().split()):
        raise InputError(f"{path}: expected one number per voxel, got type block; export it as a greyscale image.")
    if "complex" in header.fields.get("kinds", "").lower().split():
        raise InputError(f"{path}: expected one grey value per voxel, got complex numbers (kinds).")
    _check_axes(header, path)
    return header


def _check_axes(header: NrrdHeader, path: Path) -> None:
    """Raise InputError for an axis outside of space that is time, or of which it is not said what it holds."""
    kinds = header.fields.get("kinds", "").lower().split() or ["???"] * len(header.sizes)
    for axis, size in enumerate(header.sizes):
        kind = kinds[axis] if axis < len(kinds) else "???"
        if kind == "time" and size > 1:
            raise InputError(
                f"{path}: expected one 3D volume, got a sequence of {size} (kinds: time); export the one to be used."
            )
        if "spacedirections" in header.fields and axis not in header.space_axes and kind in (*_SPACE_KINDS, "time"):
            raise InputError(
                f"{path}: expected kinds to say what axis {axis + 1} holds, which has no space direction, got {kind}; "
                "export it again as a 3D volume."
            )


def _read(path: Path) -> NrrdHeader | None:
    with path.open("rb") as file:
        if not _MAGIC.match(file.read(8)):
            return None
        file.readline(_LONGEST_HEADER)
        lines = []
        while file.tell() < _LONGEST_HEADER and (line := file.readline(_LONGEST_HEADER)).strip():
            lines.append(line.decode("utf-8", errors="replace").strip())
        begin = file.tell()
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    listed: tuple[str, ...] = ()
    for number, text in enumerate(lines):
        name, colon, value = text.partition(":")
        if text.startswith("#") or not colon:
            continue
        if value.startswith("="):
            pairs[name] = _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], value[1:])
            continue
        key = name.replace(" ", "").lower()
        key = _SYNONYMS.get(key, key)
        if fields.setdefault(key, value.strip()) != value.strip():
            raise InputError(
                f"{path}: expected each field once, got {name!r} as {fields[key]!r} and as {value.strip()!r} in the "
                "NRRD header; remove the wrong one, or export the file again."
            )
        if key == "datafile" and value.strip().upper().startswith("LIST"):  # all that follows are names of files
            listed = tuple(lines[number + 1 :])
            break
    try:
        sizes = tuple(int(size) for size in fields.get("sizes", "").split())
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1 or max(sizes) > _LARGEST_COUNT:
        got = repr(fields["sizes"]) if "sizes" in fields else "none"
        raise InputError(
            f"{path}: expected sizes of 1 or more, got {got} in the NRRD header: it is cut off or damaged; copy or "
            "export the file again."
        )
    if fields.get("dimension", str(len(sizes))) != str(len(sizes)):
        raise InputError(
            f"{path}: expected as many sizes as dimensions, got {len(sizes)} of {fields['dimension'][:20]!r} in the "
            "NRRD header; correct it, or export the file again."
        )
    return NrrdHeader(fields, sizes, pairs, begin, listed)


def nrrd_geometry(header: NrrdHeader, path: Path) -> StatedGrid:
    """Return the grid of an NRRD volume.

    With a space, steps and origin are vectors of that frame in its units. Without one, the axes have spacings or
    bounds, and lie along an unstated frame: taken as LPS with a warning.

    Args:
        header: The header of a file whose ``is_volume`` is true.
        path: The file, for messages.

    Returns:
        The grid in LPS mm.

    Raises:
        InputError: If no voxel size is stated, or two, axes are sheared, or a unit or frame is not known.
    """
    if "space" in header.fields or "spacedimension" in header.fields:
        return _in_space(header, path)
    steps_mm, firsts_mm, notes = zip(*(_plain_axis(header, axis, path) for axis in header.space_axes[:3]), strict=True)
    matrix = affine(np.diag(steps_mm), np.array(firsts_mm))
    grid = grid_of_affine(matrix, _size(header), path, "spacings")
    said = tuple(dict.fromkeys(note for note in notes if note))
    return StatedGrid(grid, _size_fields(header), None, said, (assumed_lps('no "space"'),))


def _in_space(header: NrrdHeader, path: Path) -> StatedGrid:
    fields = header.fields
    space = fields.get("space", "").lower().removesuffix("-time")
    if space and space not in _SIGNS_OF_SPACE and space not in _NO_PATIENT_SPACES:
        raise InputError(
            f"{path}: expected a frame of the patient such as left-posterior-superior, got space: {fields['space']}; "
            "export it again in LPS or RAS."
        )
    if "spacedirections" not in fields:
        raise InputError(
            f"{path}: expected space directions, as its header names a space, got none; correct the header or export "
            "it again."
        )
    columns = np.array([_vector(text, path) for text in _vector_texts(fields["spacedirections"]) if text != "none"]).T
    columns = columns[:, :3] if columns.ndim == 2 else columns
    if columns.shape != (3, 3):
        raise InputError(
            f"{path}: expected a space direction for each of three axes, got {fields['spacedirections']}; export it "
            "again as a 3D volume."
        )
    _check_one_size(header, np.linalg.norm(columns, axis=0), path)
    origin = np.array(_vector(fields.get("spaceorigin", "(0,0,0)"), path))
    units = _texts(fields.get("spaceunits", ""), 3, "space units", path)
    scale = np.array([mm_of_unit(unit, path, "space units") for unit in units])
    x_sign, y_sign = _SIGNS_OF_SPACE.get(space, (1, 1))
    to_lps_mm = np.diag(scale * (x_sign, y_sign, 1))
    matrix = affine(to_lps_mm @ columns, to_lps_mm @ np.where(np.isnan(origin), 0.0, origin))
    grid = grid_of_affine(matrix, _size(header), path, "space directions")
    notes = (f"Its lengths were turned from {units[0]} (space units) into mm.",) if np.any(scale != 1) else ()
    unknown = f"space: {fields['space']}" if "space" in fields else "a space dimension alone"
    warnings: tuple[str, ...] = () if space in _SIGNS_OF_SPACE else (assumed_lps(unknown),)
    if "spaceorigin" not in fields or np.isnan(origin).any():
        warnings += (
            "Its header states no place (space origin): the first voxel was put at 0, 0, 0; a mask or another image "
            "of it may lie elsewhere.",
        )
    return StatedGrid(grid, "space directions", None, notes, warnings)


def _plain_axis(header: NrrdHeader, axis: int, path: Path) -> tuple[float, float, str]:
    """Return step, first centre (both mm) and a note for an axis that has a spacing or bounds."""
    fields, count = header.fields, header.sizes[axis]
    spacing, low, high = (_number(fields.get(name, ""), axis, path) for name in ("spacings", "axismins", "axismaxs"))
    centers = _texts(fields.get("centers", ""), len(header.sizes), "centers", path)[axis].lower()
    unit = _texts(fields.get("units", ""), len(header.sizes), "units", path)[axis]
    to_mm = mm_of_unit(unit, path, "units")
    note = f"Its lengths were turned from {unit} (units) into mm." if to_mm != 1 else ""
    if math.isfinite(low) and math.isfinite(high):
        step = _step_of_bounds(low, high, count, centers, spacing, path)
        if math.isnan(spacing):
            note = "Its voxel size was derived from axis mins, axis maxs and centers. " + note
    else:
        step = spacing
    if not (math.isfinite(step) and step > 0):
        raise InputError(
            f"{path}: expected a voxel size above 0 along axis {axis + 1}, got {_said(header, axis)}; correct the "
            "header or export it again."
        )
    first = 0.0 if math.isnan(low) else low if centers == "node" else low + step / 2  # unknown: teem's default, cell
    return step * to_mm, first * to_mm, note.strip()


def _step_of_bounds(low: float, high: float, count: int, centers: str, spacing: float, path: Path) -> float:
    """Return the distance of centres. Bounds are outer faces of cells, or the centres of the end nodes."""
    by_cells, by_nodes = (high - low) / count, (high - low) / max(count - 1, 1)
    if centers in ("cell", "node"):
        step = by_cells if centers == "cell" else by_nodes
    elif math.isnan(spacing):
        raise InputError(
            f"{path}: expected centers (cell or node) with axis mins and axis maxs, got none: voxels are "
            f"{by_cells:.4g} long if bounds are outer faces, {by_nodes:.4g} if they are centres. Add the field, or "
            "export it again."
        )
    else:
        step = by_cells if abs(spacing - by_cells) < abs(spacing - by_nodes) else by_nodes
    if not math.isnan(spacing) and abs(spacing - step) * count > HALF_A_VOXEL * min(abs(spacing), abs(step)):
        raise InputError(
            f"{path}: expected one voxel size, got two: {spacing:g} by spacings and {step:.4g} by axis mins and axis "
            "maxs; correct the header or export it again."
        )
    return step if math.isnan(spacing) else spacing


def _check_one_size(header: NrrdHeader, lengths: NDArray[np.float64], path: Path) -> None:
    """Raise InputError for a spacing or bounds beside a direction, which the definition forbids."""
    for name in ("spacings", "axismins", "axismaxs"):
        if any(math.isfinite(_number(header.fields.get(name, ""), axis, path)) for axis in header.space_axes):
            said = " x ".join(f"{length:.4g}" for length in lengths)
            raise InputError(
                f"{path}: expected one voxel size, got two: {said} by space directions, and {name}: "
                f"{header.fields[name]}; remove one from the header or export it again."
            )


def _size(header: NrrdHeader) -> tuple[int, int, int]:
    i, j, k = (header.sizes[axis] for axis in header.space_axes[:3])
    return (i, j, k)


def _size_fields(header: NrrdHeader) -> str:
    return "spacings" if "spacings" in header.fields else "axis mins and axis maxs"


def _said(header: NrrdHeader, axis: int) -> str:
    names = {"spacings": "spacings", "axismins": "axis mins", "axismaxs": "axis maxs"}
    said = [f"{words}: {header.fields[name]}" for name, words in names.items() if name in header.fields]
    return ", ".join(said) or "neither spacings nor space directions"


def _number(text: str, axis: int, path: Path) -> float:
    """Return an axis' number of a per-axis field; NaN, which stands for unknown, if there is none."""
    parts = text.split()
    if not parts:
        return math.nan
    try:
        return float(parts[axis])
    except (ValueError, IndexError):
        raise InputError(
            f"{path}: expected a number for each axis, got {text!r}; correct the NRRD header or export it again."
        ) from None


def _texts(text: str, count: int, field: str, path: Path) -> list[str]:
    """Return the words or quoted texts of a field, empty ones if it is missing. Raises InputError for too few."""
    parts = re.findall(r'"([^"]*)"', text) or text.split() or [""] * count
    if len(parts) < count:
        raise InputError(
            f"{path}: expected {count} texts in {field}, got {text!r}; correct the header or export it again."
        )
    return parts


def _vector_texts(text: str) -> list[str]:
    return [found.lower() for found in re.findall(r"\([^)]*\)|none", text, flags=re.IGNORECASE)]


def _vector(text: str, path: Path) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.strip("() ").split(","))
    except ValueError:
        raise InputError(
            f"{path}: expected vectors of three numbers in space directions and space origin, got {text}; export it "
            "again as a 3D volume."
        ) from None
    return (x, y, z)
