"""CTs in DICOM as folders of slices and as multi-frame files, from one description of their slices."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from support.dicom_files import a_dataset
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_CLASS = "1.2.840.10008.5.1.4.1.1.2.1"
STACK_UID = "1.2.826.0.1.3680043.8.498.1"
HU_VALUES = {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}


@dataclass(frozen=True)
class Slice:
    """One slice: HU (rows, columns), where it lies, how it is stored; ``more`` by keyword, in its group."""

    hu: np.ndarray
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    spacing_mm: tuple[float, float] = (1.0, 2.0)
    rescale: tuple[float, float] = (1.0, -1024.0)
    more: dict[str, Any] = field(default_factory=dict)

    def stored(self) -> np.ndarray:
        slope, intercept = self.rescale
        return np.rint((self.hu - intercept) / slope).astype(np.uint16)


def a_lopsided_ct(direction: np.ndarray | None = None) -> Volume:
    """8 slices of 6 rows and 5 columns, 2 x 1 x 3 mm, off-centre, each voxel with a value of its own."""
    direction = np.eye(3) if direction is None else direction
    voxels = np.random.default_rng(0).permutation(8 * 6 * 5).reshape(8, 6, 5).astype(np.int16) * 5 - 600
    return Volume(voxels, Grid((5, 6, 8), (2.0, 1.0, 3.0), (-31.0, 12.0, 250.0), tuple(direction.ravel())))


def slices_of(ct: Volume) -> list[Slice]:
    matrix = ct.grid.direction_matrix
    orientation = tuple(round(float(value), 9) for value in (*matrix[:, 0], *matrix[:, 1]))
    places = [(ct.grid.index_to_world @ (0, 0, k, 1))[:3] for k in range(ct.grid.size[2])]
    spacing = (ct.grid.spacing_mm[1], ct.grid.spacing_mm[0])
    return [
        Slice(ct.voxels[k], tuple(round(float(value), 6) for value in place), orientation, spacing)
        for k, place in enumerate(places)
    ]


def moved(slice_: Slice, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Slice:
    return replace(slice_, position_mm=tuple(np.add(slice_.position_mm, (x, y, z))))


def write_folder(folder: Path, slices: list[Slice], **values: Any) -> Path:
    """One file for each slice, without ending, named in another order than they lie."""
    folder.mkdir(exist_ok=True)
    for k, slice_ in enumerate(slices):
        own = {
            "Modality": "CT",
            "SeriesInstanceUID": STACK_UID,
            "StudyInstanceUID": STACK_UID,
            "SeriesDescription": "Spine",
            "InstanceNumber": len(slices) - k,
            "ImagePositionPatient": list(slice_.position_mm),
            "ImageOrientationPatient": list(slice_.orientation),
            "PixelSpacing": list(slice_.spacing_mm),
            "RescaleSlope": slice_.rescale[0],
            "RescaleIntercept": slice_.rescale[1],
            "RescaleType": "HU",
        }
        dataset = a_dataset(CT_CLASS, slice_.stored(), **(own | values | slice_.more))
        dataset.save_as(folder / f"IM{(k * 37) % 101:03d}", enforce_file_format=True)
    return folder


GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "StackID": "FrameContentSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "DimensionIndexValues": "FrameContentSequence",
    "FrameType": "CTImageFrameTypeSequence",
    "ReferencedSegmentNumber": "SegmentIdentificationSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
}


def groups_item(values: dict[str, Any]) -> pydicom.Dataset:
    """An item of functional groups that holds the values, each in its own group."""
    item = pydicom.Dataset()
    for keyword, value in values.items():
        group = GROUPS[keyword]
        if group not in item:
            setattr(item, group, [pydicom.Dataset()])
        setattr(item[group].value[0], keyword, value)
    return item


def write_enhanced(path: Path, slices: list[Slice], shared: dict[str, Any] | None = None, **values: Any) -> Path:
    """One Enhanced CT file; every value stands with its frame, ``shared`` with all of them."""
    items = []
    for slice_ in slices:
        own = {
            "ImagePositionPatient": list(slice_.position_mm),
            "ImageOrientationPatient": list(slice_.orientation),
            "PixelSpacing": list(slice_.spacing_mm),
            "RescaleSlope": slice_.rescale[0],
            "RescaleIntercept": slice_.rescale[1],
            "RescaleType": "HU",
        }
        both = own | {key: value for key, value in slice_.more.items() if key in GROUPS}
        items.append(groups_item({key: value for key, value in both.items() if value is not None}))
    defaults = {
        "Modality": "CT",
        "NumberOfFrames": len(slices),
        "SeriesInstanceUID": STACK_UID,
        "StudyInstanceUID": STACK_UID,
        "SharedFunctionalGroupsSequence": [groups_item(shared or {})],
        "PerFrameFunctionalGroupsSequence": items,
    }
    stored = np.stack([slice_.stored() for slice_ in slices])
    dataset = a_dataset(ENHANCED_CT_CLASS, stored, **(defaults | values))
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_stack(form: str, folder: Path, slices: list[Slice], **values: Any) -> Path:
    """The slices as a ``folder``, as ``one file``, or as ``two files`` of many frames; what to give to a reader."""
    if form == "folder":
        return write_folder(folder / "series", slices, **values)
    if form == "one file":
        return write_enhanced(folder / "ct.dcm", slices, **values)
    (folder / "parts").mkdir()
    write_enhanced(folder / "parts" / "b", slices[: len(slices) // 2], **values)
    write_enhanced(folder / "parts" / "a", slices[len(slices) // 2 :], SOPInstanceUID=generate_uid(), **values)
    return folder / "parts"


FORMS = ("folder", "one file", "two files")
forms = pytest.mark.parametrize("form", FORMS)


def assert_same(found: Volume, right: Volume) -> None:
    """Check that two volumes have one grid and one value for each voxel."""
    assert found.grid.same_as(right.grid)
    np.testing.assert_array_equal(found.voxels, right.voxels)
