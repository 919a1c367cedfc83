"""DICOM Segmentation objects (SEG, PS3.3 A.51): read segment by segment into a label map, with the segments' names.

Frames of all segments lie one after another in the file, each at a position of its own; slices without a frame are
background. BINARY, FRACTIONAL and LABELMAP are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
from numpy.typing import NDArray

from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME, NAME_OF_LABEL, label_of_structure
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.declared_size import UNLIMITED, check_declared
from TomoRayLib.images.dicom.declared import check_frames
from TomoRayLib.images.dicom.decoding import cell_layout, decoded_cells, stored_values
from TomoRayLib.images.dicom.frames import Frame, frames_of, functional_groups
from TomoRayLib.images.dicom.header import value_of
from TomoRayLib.images.dicom.series import DicomFile, damage_named, dicom_files_in, read_dicom_file
from TomoRayLib.images.dicom.stack import ROUNDING_MM, check_same, check_stated, check_straight, grid_on
from TomoRayLib.images.dicom.voxels import one_frame_each
from TomoRayLib.images.headers.stated_grid import check_plausible
from TomoRayLib.images.types import Volume

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

LARGEST_OVERLAP = 0.1  # of the smaller of two vertebrae
LABEL_MAP = "LABELMAP"
_TYPES = ("BINARY", "FRACTIONAL", LABEL_MAP)
_OLD_SCHEMES = ("SNM3", "99SDM")  # other designators of SRT (PS3.16 8)
_TYPE_SEQUENCES = ("SegmentedPropertyTypeCodeSequence", "SegmentedPropertyTypeModifierCodeSequence")
_REGION_SEQUENCES = ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence")


@dataclass(frozen=True, eq=False)
class _Plane:
    """One frame of a segmentation with its segment (None in a label map) and the slice of the grid it lies on."""

    frame: Frame
    segment: int | None
    slice_index: int


def find_dicom_segmentation(path: Path) -> DicomFile | None:
    """Return the segmentation at ``path``: the file itself, or the only one in a folder; None if there is none.

    Raises InputError if a folder holds several.
    """
    with damage_named(path):
        files = dicom_files_in(path) if path.is_dir() else [read_dicom_file(path)]
        found = [file for file in files if file.is_segmentation]
    if len(found) > 1:
        names = ", ".join(file.path.name for file in found[:6])
        raise InputError(
            f"{path}: expected one DICOM Segmentation object, got {len(found)} ({names}); choose the file."
        )
    return found[0] if found else None


def read_dicom_segmentation(file: DicomFile) -> tuple[Volume, dict[int, str]]:
    """Read a DICOM Segmentation object as a label map.

    Where segments overlap, vertebrae win over other structures, and the higher segment number wins among either.

    Args:
        file: The segmentation, from ``find_dicom_segmentation``.

    Returns:
        Segment Numbers (0062,0004) ``(z, y, x)`` on their grid in LPS mm, 0 where no segment is; and the name of each
        segment: that of its vertebra (``L3``) where its codes or its label tell it, else its Segment Label (0062,0005).

    Raises:
        InputError: For a segmentation of another type or of a microscope, one without frames or positions, segments
            whose code and label name different vertebrae, and vertebrae that overlap by more than 10 %.
    """
    with damage_named(file.path):
        return _label_map(file)


def _label_map(file: DicomFile) -> tuple[Volume, dict[int, str]]:
    dataset, path = file.dataset, file.path
    kind = _checked_type(file)
    check_frames([(dataset, path)], together=False)
    names = _segment_names(dataset, path)
    frames = frames_of(dataset, path)
    check_stated(frames, str(path))
    check_same(frames, str(path))
    grid, indices = _grid_of(frames, path)
    check_plausible(grid, path, "Pixel Spacing (0028,0030) and Image Position (0020,0032)")
    check_declared(path, 2 * math.prod(grid.size), 0, "voxels", ratio=UNLIMITED)
    numbers = _segment_numbers(dataset, path, kind, names)
    planes = [_Plane(frame, number, k) for frame, number, k in zip(frames, numbers, indices, strict=True)]
    voxels = _painted(dataset, planes, names, grid, path)
    notes = [f"DICOM Segmentation object of {len(names)} segments ({kind}), read by segment."]
    if kind == "FRACTIONAL":
        notes.append("FRACTIONAL values: taken as the segment from half of Maximum Fractional Value (0062,000E) on.")
    return Volume(voxels, grid, tuple(notes)), names


def _checked_type(file: DicomFile) -> str:
    """Segmentation Type (0062,0001). Raises InputError for what is no segmentation of slices of a patient."""
    kind = str(value_of(file.dataset, "SegmentationType") or "").strip().upper()
    if "SurfaceSequence" in file.dataset or kind not in _TYPES or "PixelData" not in file.dataset:
        raise InputError(
            f"{file.path}: expected a DICOM Segmentation object of Segmentation Type (0062,0001) {', '.join(_TYPES)}, "
            f"got {file.kind} of type {kind or 'none'}; export the segments as a label map (NRRD or NIfTI), one "
            "number for each vertebra."
        )
    return kind


def _segment_names(dataset: pydicom.Dataset, path: Path) -> dict[int, str]:
    """Segment Number -> name. Background, which has a number in some label maps, is left out."""
    names = {}
    for segment in value_of(dataset, "SegmentSequence") or []:
        number = int(value_of(segment, "SegmentNumber") or 0)
        label = str(value_of(segment, "SegmentLabel") or "").strip()
        if number > 0 and not _is_background(segment):
            names[number] = _name(segment, label, path) or label or f"segment {number}"
    if not names:
        raise InputError(f"{path}: expected segments in Segment Sequence (0062,0002), got none; export it again.")
    return names


def _name(segment: pydicom.Dataset, label: str, path: Path) -> str | None:
    """The vertebra that codes and label of a segment name; None if neither does."""
    kinds = _codes(segment, _TYPE_SEQUENCES)
    regions = _codes(segment, _REGION_SEQUENCES)
    is_bone = not kinds or any(word in str(code.meaning).lower() for code in kinds for word in ("vertebra", "bone"))
    coded = {name for code in (*kinds, *(regions if is_bone else ())) if (name := _named(code)) is not None}
    meant = label_of_structure(label)
    labelled = {NAME_OF_LABEL[meant]} if meant in NAME_OF_LABEL else set()
    if len(coded) > 1 or (coded and labelled and coded != labelled):
        raise InputError(
            f"{path}: expected one vertebra for each segment, got the label {label!r} and the code of "
            f"{', '.join(sorted(coded))}; correct the one that is wrong, or export a label map (NRRD or NIfTI)."
        )
    return next(iter(coded or labelled), None)


def _named(code: Code) -> str | None:
    """The vertebra of a code, by the code itself or by what its meaning says (``L3 vertebra``)."""
    by_code = next((name for known, name in _name_of_code().items() if known == code), None)
    if by_code is not None:
        return by_code
    words = str(code.meaning).replace("vertebra", "").strip()
    return words.upper() if words.upper() in LABEL_OF_NAME else None


@cache
def _name_of_code() -> dict[Code, str]:
    """Names by SNOMED codes. pydicom's code tables take .1 s to load: segmentations alone need them."""
    from pydicom.sr.codedict import codes

    vertebrae = {name: getattr(codes.SCT, f"{name}Vertebra", None) for name in LABEL_OF_NAME}
    named = {code: name for name, code in vertebrae.items() if code is not None}
    return named | {codes.SCT.Sacrum: "sacrum", codes.SCT.Coccyx: "coccyx"}


def _is_background(segment: pydicom.Dataset) -> bool:
    from pydicom.sr.codedict import codes

    return codes.DCM.Background in _codes(segment, _TYPE_SEQUENCES)


def _codes(segment: pydicom.Dataset, sequences: tuple[str, ...]) -> list[Code]:
    from pydicom.sr.coding import Code

    found = []
    for sequence in sequences:
        for item in value_of(segment, sequence) or []:
            value = value_of(item, "CodeValue") or value_of(item, "LongCodeValue") or ""
            scheme = str(value_of(item, "CodingSchemeDesignator") or "")
            scheme = "SRT" if scheme in _OLD_SCHEMES else scheme
            found.append(Code(str(value), scheme, str(value_of(item, "CodeMeaning") or "")))
            for modifier in ("SegmentedPropertyTypeModifierCodeSequence", "AnatomicRegionModifierSequence"):
                found += _codes(item, (modifier,))
    return found


def _segment_numbers(dataset: pydicom.Dataset, path: Path, kind: str, names: dict[int, str]) -> list[int | None]:
    """Referenced Segment Number (0062,000B) of each frame; None in a label map."""
    groups = functional_groups(dataset, path)
    if kind == LABEL_MAP:
        return [None] * len(groups)
    found = [group.find("SegmentIdentificationSequence", "ReferencedSegmentNumber") for group in groups]
    unknown = sorted({str(number) for number in found if number not in names})
    if unknown:
        raise InputError(
            f"{path}: expected Referenced Segment Number (0062,000B) of each frame among the segments "
            f"{', '.join(map(str, names))}, got {', '.join(unknown).replace('None', 'none')}; export it again."
        )
    return [int(number) for number in found]


def _grid_of(frames: list[Frame], path: Path) -> tuple[Grid, list[int]]:
    """The grid from the lowest to the highest frame, and the slice of each frame on it."""
    normal = frames[0].normal
    positions = np.array([frame.position_mm for frame in frames], dtype=np.float64)
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    lowest = positions[order[0]]
    steps = np.diff(heights[order])
    steps = steps[steps > ROUNDING_MM / 5]
    if len(steps):
        check_straight(positions[order], normal, str(path))
    distance_mm = _distance(frames[0], heights - heights.min(), steps, path)
    indices = np.rint((heights - heights.min()) / distance_mm).astype(int)
    count = int(indices.max()) + 1
    if count > 1:
        distance_mm = float(np.ptp(heights)) / (count - 1)
    return grid_on(frames[0], lowest, distance_mm, count), indices.tolist()


def _distance(frame: Frame, heights_mm: NDArray[np.float64], steps_mm: NDArray[np.float64], path: Path) -> float:
    """The slice distance of which all frames lie at whole multiples: the smallest between frames or a part of it.

    The header's own statement counts if all frames lie in one slice, and before the rest if both its numbers agree:
    empty frames may be left out, every second one too.
    """
    groups = functional_groups(frame.dataset, path)[frame.number]
    stated = [groups.find("PixelMeasuresSequence", key) for key in ("SpacingBetweenSlices", "SliceThickness")]
    candidates = [abs(float(value)) for value in stated if value]
    if len(steps_mm):
        agreed = candidates[:1] if len(candidates) == 2 and candidates[0] == candidates[1] else []
        candidates = [*agreed, *(float(steps_mm.min()) / parts for parts in (1, 2, 3))]
    for distance_mm in candidates:
        if distance_mm <= 0:
            continue
        count = max(1, round(float(heights_mm.max()) / distance_mm))
        even_mm = float(heights_mm.max()) / count if len(steps_mm) else distance_mm
        off_mm = np.abs(heights_mm - np.rint(heights_mm / even_mm) * even_mm)
        if off_mm.max() <= max(0.05 * even_mm, ROUNDING_MM) and abs(even_mm / distance_mm - 1) < 0.05:
            return even_mm
    raise InputError(
        f"{path}: expected frames at multiples of one slice distance, got distances from "
        f"{steps_mm.min(initial=np.inf):.2f} to {steps_mm.max(initial=0):.2f} mm; export the segments as a label map "
        "(NRRD or NIfTI) on the CT's grid."
    )


def _painted(
    dataset: pydicom.Dataset, planes: list[_Plane], names: dict[int, str], grid: Grid, path: Path
) -> NDArray[np.integer]:
    """Segment numbers (z, y, x): other structures first, vertebrae over them."""
    voxels = np.zeros(grid.shape, dtype=np.int16 if max(names) < 2**15 else np.int32)
    vertebrae = {number for number, name in names.items() if name in LABEL_OF_NAME}
    content = _Frames(dataset, path)
    counts = dict.fromkeys(names, 0)
    overlaps: dict[tuple[int, int], int] = {}
    for plane in sorted(planes, key=lambda plane: (plane.segment in vertebrae, plane.segment or 0)):
        place = voxels[plane.slice_index]
        if plane.segment is None:
            values = content.values(plane.frame.number)
            np.copyto(place, np.where(np.isin(values, list(names)), values, 0), casting="unsafe", where=place == 0)
            continue
        inside = content.inside(plane.frame.number)
        counts[plane.segment] += int(np.count_nonzero(inside))
        if plane.segment in vertebrae:
            for other, count in zip(*np.unique(place[inside], return_counts=True), strict=True):
                if other in vertebrae and other != plane.segment:
                    pair = (int(other), plane.segment)
                    overlaps[pair] = overlaps.get(pair, 0) + int(count)
        place[inside] = plane.segment
    for (first, second), count in overlaps.items():
        if count > LARGEST_OVERLAP * min(counts[first], counts[second]):
            raise InputError(
                f"{path}: expected separate vertebrae, got {names[first]} and {names[second]} overlapping in "
                f"{count} voxels; correct the segments, or export a label map (NRRD or NIfTI)."
            )
    return voxels


class _Frames:
    """The pixels of a segmentation by frame: packed bits, fractions, or numbers."""

    def __init__(self, dataset: pydicom.Dataset, path: Path) -> None:
        self.dataset, self.path = dataset, path
        self.shape = (int(dataset.Rows), int(dataset.Columns))
        self.is_packed = value_of(dataset, "BitsAllocated") == 1
        count = int(value_of(dataset, "NumberOfFrames") or 1)
        if self.is_packed:
            syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
            if syntax is not None and syntax.is_encapsulated:
                raise InputError(
                    f"{path}: expected segments in bits that are not compressed, got {syntax.name}; export them "
                    "uncompressed, or as a label map (NRRD or NIfTI)."
                )
            self.content = np.frombuffer(dataset.PixelData, dtype=np.uint8)
            if len(self.content) * 8 < count * self.shape[0] * self.shape[1]:
                raise InputError(f"{path}: expected the pixels of {count} frames, got fewer; copy or export it again.")
        else:
            self.singles = list(one_frame_each(dataset, path))

    def values(self, number: int) -> NDArray[np.generic]:
        """Stored values (row, column) of a frame."""
        single = self.singles[number]
        return stored_values(decoded_cells(single, self.path), cell_layout(single, self.path))[0]

    def inside(self, number: int) -> NDArray[np.bool_]:
        """True (row, column) where a frame holds its segment: set bits, or at least half of the largest fraction."""
        if not self.is_packed:
            largest = int(value_of(self.dataset, "MaximumFractionalValue") or 1)
            return np.asarray(2 * self.values(number).astype(np.int64) >= largest)
        size = self.shape[0] * self.shape[1]
        first, last = number * size // 8, -(-(number + 1) * size // 8)
        bits = np.unpackbits(self.content[first:last], bitorder="little")
        start = number * size - 8 * first
        return bits[start : start + size].reshape(self.shape).astype(bool)
