"""Frames of DICOM images: where each lies and how its stored values become HU, whatever the form of the file.

A single-slice file is one frame. A multi-frame file (Enhanced CT, Legacy Converted Enhanced CT, multi-frame Secondary
Capture, Segmentation) states its values in functional groups, for all frames or for each (PS3.3 C.7.6.16).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.datadict import keyword_for_tag

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.header import number_of, value_of

# Attributes that tell the frames of two volumes in one series apart: keyword -> (functional group, name and tag).
_VOLUME_MARKS = {
    "StackID": ("FrameContentSequence", "Stack ID (0020,9056)"),
    "TemporalPositionIndex": ("FrameContentSequence", "Temporal Position Index (0020,9128)"),
    "TemporalPositionTimeOffset": ("TemporalPositionSequence", "Temporal Position Time Offset (0020,930D)"),
    "TemporalPositionIdentifier": ("", "Temporal Position Identifier (0020,0100)"),
    "NominalPercentageOfCardiacPhase": (
        "CardiacSynchronizationSequence",
        "Nominal Percentage of Cardiac Phase (0020,9241)",
    ),
    "NominalPercentageOfRespiratoryPhase": (
        "RespiratorySynchronizationSequence",
        "Nominal Percentage of Respiratory Phase (0020,9245)",
    ),
    "ConvolutionKernel": ("CTReconstructionSequence", "Convolution Kernel (0018,1210)"),
    "FrameOfReferenceUID": ("", "Frame of Reference UID (0020,0052)"),
}
_OTHER_MARKS = {
    "AcquisitionNumber": ("", "Acquisition Number (0020,0012)"),
    "ContrastBolusAgent": ("", "Contrast/Bolus Agent (0018,0010)"),
    "KVP": ("CTXRayDetailsSequence", "KVP (0018,0060)"),
    "FrameAcquisitionNumber": ("FrameContentSequence", "Frame Acquisition Number (0020,9156)"),
    "TriggerTime": ("", "Trigger Time (0018,1060)"),
    "NominalCardiacTriggerDelayTime": (
        "CardiacSynchronizationSequence",
        "Nominal Cardiac Trigger Delay Time (0020,9153)",
    ),
    "ImageType": ("", "Image Type (0008,0008)"),
    "ReconstructionDiameter": ("CTReconstructionSequence", "Reconstruction Diameter (0018,1100)"),
}
TRIGGER_TIMES = ("TriggerTime", "NominalCardiacTriggerDelayTime")  # in ms
MARK_NAMES = {keyword: name for keyword, (_, name) in (_VOLUME_MARKS | _OTHER_MARKS).items()}
VOLUME_MARKS = frozenset(_VOLUME_MARKS)
_PLACE_INDICES = ("ImagePositionPatient", "InStackPositionNumber", "FrameNumber", "SliceLocation", "InstanceNumber")


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of ``dataset``, the file at ``path``; None for what its header does not state.

    ``position_mm`` is the LPS centre of the first pixel, ``orientation`` the directions of rows and columns (6
    numbers), ``spacing_mm`` that of (rows, columns). ``marks`` holds what may tell it from another frame at
    the same place.
    """

    dataset: pydicom.Dataset
    path: Path
    number: int
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    rescale: tuple[float, float]  # slope, intercept
    states_rescale: bool  # else they stand for values that are HU as they are
    rescale_type: str
    is_localizer: bool
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        return f"{value_of(self.dataset, 'SOPInstanceUID') or self.path}#{self.number}"

    @property
    def has_size(self) -> bool:
        return all((number_of(self.dataset, keyword) or 0) > 0 for keyword in ("Rows", "Columns"))

    @property
    def normal(self) -> NDArray[np.float64]:
        """(3,) unit vector at right angles to rows and columns, for a frame with an orientation."""
        direction = np.asarray(self.orientation, dtype=np.float64)
        normal = np.cross(direction[:3], direction[3:])
        return np.asarray(normal / np.linalg.norm(normal))


@dataclass(frozen=True, eq=False)
class FunctionalGroups:
    """Look-up of an attribute of one frame: its own groups, then the shared ones, then the top of the dataset."""

    dataset: pydicom.Dataset
    own: pydicom.Dataset | None = None
    shared: pydicom.Dataset | None = None

    def find(self, sequence: str, keyword: str) -> Any:
        """Return the value of ``keyword`` in the group ``sequence``; None if no level states it."""
        for level in (self.own, self.shared):
            items = None if level is None or not sequence else value_of(level, sequence)
            if items and (value := value_of(items[0], keyword)) is not None:
                return value
        return value_of(self.dataset, keyword)


def functional_groups(dataset: pydicom.Dataset, path: Path) -> list[FunctionalGroups]:
    """Return the look-up of each frame. Raises InputError if the header's counts of frames contradict each other."""
    try:
        count = int(value_of(dataset, "NumberOfFrames") or 1)
    except (TypeError, ValueError, OverflowError):
        count = 0
    own = value_of(dataset, "PerFrameFunctionalGroupsSequence")
    shared = value_of(dataset, "SharedFunctionalGroupsSequence")
    if count < 1 or (own is not None and len(own) != count):
        raise InputError(
            f"{path}: expected as many items in Per-Frame Functional Groups Sequence (5200,9230) as frames, got "
            f"{len(own or [])} and Number of Frames (0028,0008) {value_of(dataset, 'NumberOfFrames')}; export it again."
        )
    return [FunctionalGroups(dataset, own[k] if own else None, shared[0] if shared else None) for k in range(count)]


def frames_of(dataset: pydicom.Dataset, path: Path) -> list[Frame]:
    """Read where each frame lies and how it is rescaled.

    Args:
        dataset: The dataset; its pixels are not looked at.
        path: Its file, for messages.

    Returns:
        The frames in the stored order.

    Raises:
        InputError: If the counts of frames contradict each other, or a number is not finite or not readable.
    """
    pointers = _dimensions(dataset)
    frames = []
    for number, groups in enumerate(functional_groups(dataset, path)):
        slope = _numbers(groups, "PixelValueTransformationSequence", "RescaleSlope", 1, path)
        intercept = _numbers(groups, "PixelValueTransformationSequence", "RescaleIntercept", 1, path)
        kind = groups.find("CTImageFrameTypeSequence", "FrameType") or value_of(dataset, "ImageType") or ()
        frames.append(
            Frame(
                dataset,
                path,
                number,
                position_of(groups, path),
                orientation_of(groups, path),
                spacing_of(groups, path),
                (slope[0] if slope else 1.0, intercept[0] if intercept else 0.0),
                slope is not None and intercept is not None,
                str(groups.find("PixelValueTransformationSequence", "RescaleType") or "").strip().upper(),
                "LOCALIZER" in [str(word).strip().upper() for word in kind],
                _marks(groups, pointers),
            )
        )
    return frames


def position_of(groups: FunctionalGroups, path: Path) -> tuple[float, ...] | None:
    """Image Position (Patient) (0020,0032) in LPS mm, or None."""
    return _numbers(groups, "PlanePositionSequence", "ImagePositionPatient", 3, path)


def orientation_of(groups: FunctionalGroups, path: Path) -> tuple[float, ...] | None:
    """Image Orientation (Patient) (0020,0037), or None.

    Raises InputError unless it is two perpendicular unit vectors.
    """
    values = _numbers(groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6, path)
    if values is None:
        return None
    axes = np.reshape(values, (2, 3))
    if np.abs(axes @ axes.T - np.eye(2)).max() > 1e-2:
        raise InputError(
            f"{path}: expected two perpendicular unit vectors in Image Orientation (0020,0037), got {values}; export "
            "the series again."
        )
    return values


def spacing_of(groups: FunctionalGroups, path: Path) -> tuple[float, ...] | None:
    """Pixel Spacing (0028,0030) of (rows, columns) in mm, or None. Raises InputError unless it is above 0."""
    values = _numbers(groups, "PixelMeasuresSequence", "PixelSpacing", 2, path)
    if values is not None and min(values) <= 0:
        raise InputError(f"{path}: expected Pixel Spacing (0028,0030) above 0 mm, got {values}; export it again.")
    return values


def _numbers(groups: FunctionalGroups, sequence: str, keyword: str, count: int, path: Path) -> tuple[float, ...] | None:
    raw = groups.find(sequence, keyword)
    if raw is None:
        return None
    try:
        values = tuple(float(value) for value in ([raw] if count == 1 else raw))
    except (TypeError, ValueError):
        values = ()
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(
            f"{path}: expected {count} number{'s' if count > 1 else ''} in {keyword}, got {raw}; export it again."
        )
    return values


def _marks(groups: FunctionalGroups, pointers: list[str]) -> dict[str, str]:
    found = {
        keyword: str(value)
        for keyword, (sequence, _) in (_VOLUME_MARKS | _OTHER_MARKS).items()
        if (value := groups.find(sequence, keyword)) is not None
    }
    indices = groups.find("FrameContentSequence", "DimensionIndexValues")
    if indices is not None and pointers:
        indices = list(indices) if hasattr(indices, "__iter__") else [indices]
        for pointer, index in zip(pointers, indices, strict=False):
            if pointer and pointer not in _PLACE_INDICES and pointer not in found:
                found[f"dimension {pointer}"] = str(index)
    return found


def _dimensions(dataset: pydicom.Dataset) -> list[str]:
    """Keywords that the Dimension Index Values (0020,9157) point to."""
    items = value_of(dataset, "DimensionIndexSequence") or []
    return [keyword_for_tag(pointer) if (pointer := value_of(item, "DimensionIndexPointer")) else "" for item in items]
