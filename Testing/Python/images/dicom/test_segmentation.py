"""DICOM Segmentation objects: read by segment, named by code or label, whatever their type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import RLELossless, generate_uid

from support.dicom_files import a_dataset
from support.dicom_stacks import a_lopsided_ct, groups_item, slices_of, write_folder
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.dicom.declared import check_frames
from TomoRayLib.images.dicom.segmentation import find_dicom_segmentation, read_dicom_segmentation
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.types import Volume

SEGMENTATION_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
OBLIQUE = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(0.4), -np.sin(0.4)], [0.0, np.sin(0.4), np.cos(0.4)]])
L3, L4 = codes.SCT.L3Vertebra, codes.SCT.L4Vertebra
NAMED = {1: ("L3", None), 2: ("L4", None), 3: ("Liver", codes.SCT.Liver)}


def three_structures(direction: np.ndarray | None = None) -> Volume:
    """Segments 1, 2 and 3 in 12 slices of 7 x 5 pixels, so that frames do not end at whole bytes; slice 5 has none."""
    grid = Grid(
        (5, 7, 12),
        (2.0, 1.0, 3.0),
        (-31.0, 12.0, 250.0),
        tuple((np.eye(3) if direction is None else direction).ravel()),
    )
    voxels = np.zeros(grid.shape, np.int16)
    voxels[1:5, 1:4, 1:4], voxels[6:10, 2:6, 2:5], voxels[8:11, 0:2, 0:2] = 1, 2, 3
    return Volume(voxels, grid)


def code_item(code: Code) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def a_segment(number: int, label: str, kind: Code | None, region: Code | None = None) -> pydicom.Dataset:
    segment = pydicom.Dataset()
    segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = number, label, "MANUAL"
    if kind is not None:
        segment.SegmentedPropertyTypeCodeSequence = [code_item(kind)]
    if region is not None:
        segment.AnatomicRegionSequence = [code_item(region)]
    return segment


def write_segmentation(
    path: Path,
    frames: list[tuple[int | None, int, np.ndarray]],
    grid: Grid,
    segments: list[pydicom.Dataset],
    kind: str = "BINARY",
    **values: Any,
) -> Path:
    """A SEG file of (segment, slice, pixels) frames in the order given; fractions are of 200."""
    matrix = grid.direction_matrix
    items = []
    for segment, k, _ in frames:
        place = [float(value) for value in (grid.index_to_world @ (0, 0, k, 1))[:3]]
        own = {"ImagePositionPatient": place} | ({} if segment is None else {"ReferencedSegmentNumber": segment})
        items.append(groups_item(own))
    shared = {
        "ImageOrientationPatient": [float(value) for value in (*matrix[:, 0], *matrix[:, 1])],
        "PixelSpacing": [grid.spacing_mm[1], grid.spacing_mm[0]],
        "SliceThickness": grid.spacing_mm[2],
    }
    pixels = np.stack([frame for _, _, frame in frames])
    dataset = a_dataset(SEGMENTATION_CLASS, pixels.astype(np.uint16), Modality="SEG", SegmentationType=kind)
    if kind == "BINARY":
        bits = np.packbits(pixels.astype(bool).ravel(), bitorder="little").tobytes()
        dataset.PixelData = bits + b"\0" * (len(bits) % 2)
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    else:
        content = pixels.astype(np.uint8).tobytes()
        dataset.PixelData = content + b"\0" * (len(content) % 2)
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        if kind == "FRACTIONAL":
            dataset.MaximumFractionalValue, dataset.SegmentationFractionalType = 200, "PROBABILITY"
    defaults = {
        "NumberOfFrames": len(frames),
        "SeriesInstanceUID": generate_uid(),
        "SegmentSequence": segments,
        "SharedFunctionalGroupsSequence": [groups_item(shared)],
        "PerFrameFunctionalGroupsSequence": items,
    }
    for keyword, value in (defaults | values).items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def frames_by_segment(labels: Volume) -> list[tuple[int | None, int, np.ndarray]]:
    """Frames of one segment after another, downwards, empty ones left out, as writers do."""
    return [
        (number, k, labels.voxels[k] == number)
        for number in (1, 2, 3)
        for k in reversed(range(len(labels.voxels)))
        if (labels.voxels[k] == number).any()
    ]


def segments_named(named: dict[int, tuple[str, Code | None]]) -> list[pydicom.Dataset]:
    return [a_segment(number, label, kind) for number, (label, kind) in named.items()]


def a_binary(path: Path, named: dict[int, tuple[str, Code | None]] | None = None) -> Path:
    labels = three_structures()
    return write_segmentation(path, frames_by_segment(labels), labels.grid, segments_named(named or NAMED))


def read(path: Path) -> tuple[Volume, dict[int, str]]:
    file = find_dicom_segmentation(path)
    assert file is not None
    return read_dicom_segmentation(file)


def assert_inside(found: Volume, right: Volume) -> None:
    """``found`` lies where ``right`` does, less its empty slices at both ends."""
    used = np.flatnonzero(right.voxels.any(axis=(1, 2)))
    np.testing.assert_array_equal(found.voxels, right.voxels[used[0] : used[-1] + 1])
    first = (right.grid.index_to_world @ (0, 0, used[0], 1))[:3]
    np.testing.assert_allclose(found.grid.origin_mm, first, atol=1e-6)
    np.testing.assert_allclose(found.grid.spacing_mm, right.grid.spacing_mm, atol=1e-9)
    np.testing.assert_allclose(found.grid.direction_matrix, right.grid.direction_matrix, atol=1e-9)


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["straight", "oblique"])
def test_bits_are_read_by_segment_at_their_place(tmp_path: Path, direction: np.ndarray) -> None:
    labels = three_structures(direction)
    path = write_segmentation(tmp_path / "seg.dcm", frames_by_segment(labels), labels.grid, segments_named(NAMED))
    volume, names = read(path)
    assert_inside(volume, labels)
    assert names == {1: "L3", 2: "L4", 3: "Liver"}
    assert volume.notes == ("DICOM Segmentation object of 3 segments (BINARY), read by segment.",)


def test_fractions_count_from_one_half(tmp_path: Path) -> None:
    labels = three_structures()
    frames = [(number, k, np.where(inside, 100, 99)) for number, k, inside in frames_by_segment(labels)]
    path = write_segmentation(tmp_path / "seg.dcm", frames, labels.grid, segments_named(NAMED), "FRACTIONAL")
    volume, _ = read(path)
    assert_inside(volume, labels)
    assert "from half of Maximum Fractional Value" in volume.notes[1]


def test_label_maps_are_read_without_their_background(tmp_path: Path) -> None:
    labels = three_structures()
    frames = [(None, k, np.where(labels.voxels[k] == 0, 9, labels.voxels[k])) for k in range(1, 11)]
    segments = [*segments_named(NAMED), a_segment(9, "Background", codes.DCM.Background)]
    path = write_segmentation(tmp_path / "seg.dcm", frames, labels.grid, segments, "LABELMAP")
    volume, names = read(path)
    assert_inside(volume, labels)
    assert names == {1: "L3", 2: "L4", 3: "Liver"}


def test_labels_become_the_numbers_of_their_names(tmp_path: Path) -> None:
    volume = read_labels(a_binary(tmp_path / "seg.dcm"))
    right = three_structures().voxels[1:11]
    np.testing.assert_array_equal(volume.voxels, np.choose(right, [0, 22, 23, 0]))


@pytest.mark.parametrize(
    ("label", "kind", "region", "name"),
    [
        ("Segment_1", L3, None, "L3"),
        ("Segment_1", codes.SCT.Vertebra, L3, "L3"),
        ("vertebrae_L3", codes.SCT.Vertebra, None, "L3"),
        ("Segment_1", Code("T-11930", "SRT", "L3 vertebra"), None, "L3"),
        ("Segment_1", Code("T-11930", "SNM3", "third lumbar"), None, "L3"),
        ("Segment_1", Code("x", "99LOCAL", "T12 vertebra"), None, "T12"),
        ("Metastasis", codes.SCT.Neoplasm, L3, "Metastasis"),
        ("", codes.SCT.Liver, None, "segment 1"),
        ("os sacrum", codes.SCT.Sacrum, None, "sacrum"),
    ],
)
def test_codes_and_labels_name_a_segment(
    tmp_path: Path, label: str, kind: Code, region: Code | None, name: str
) -> None:
    frames = [(1, 2, np.ones((7, 5), bool)), (1, 3, np.ones((7, 5), bool))]
    path = write_segmentation(tmp_path / "s.dcm", frames, three_structures().grid, [a_segment(1, label, kind, region)])
    assert read(path)[1] == {1: name}


def test_code_and_label_of_different_vertebrae_are_refused_with_both(tmp_path: Path) -> None:
    path = a_binary(tmp_path / "seg.dcm", NAMED | {1: ("L2", L3)})
    with pytest.raises(InputError, match=r"got the label 'L2' and the code of L3"):
        read(path)


def test_vertebrae_win_over_what_overlaps_them(tmp_path: Path) -> None:
    labels = three_structures()
    everywhere = [(4, k, np.ones((7, 5), bool)) for k in range(12)]
    segments = segments_named(NAMED | {4: ("Body", None)})
    path = write_segmentation(tmp_path / "s.dcm", frames_by_segment(labels) + everywhere, labels.grid, segments)
    volume, _ = read(path)
    np.testing.assert_array_equal(np.isin(volume.voxels, (1, 2)), np.isin(labels.voxels, (1, 2)))
    assert (volume.voxels[~np.isin(labels.voxels, (1, 2))] == 4).all()


def test_two_vertebrae_in_one_place_are_refused(tmp_path: Path) -> None:
    labels = three_structures()
    path = write_segmentation(
        tmp_path / "s.dcm",
        [*frames_by_segment(labels), *((2, k, labels.voxels[k] == 1) for k in (1, 2))],
        labels.grid,
        segments_named(NAMED),
    )
    with pytest.raises(InputError, match=r"got L3 and L4 overlapping in 18 voxels"):
        read(path)


def test_missing_slices_between_frames_are_background(tmp_path: Path) -> None:
    labels = three_structures()
    frames = [frame for frame in frames_by_segment(labels) if frame[1] not in (3, 8)]
    volume, _ = read(write_segmentation(tmp_path / "s.dcm", frames, labels.grid, segments_named(NAMED)))
    labels.voxels[[3, 8]] = 0
    assert_inside(volume, labels)


def test_every_second_frame_left_out_does_not_stretch_the_segments(tmp_path: Path) -> None:
    """Spacing Between Slices (0018,0088) and Slice Thickness (0018,0050) both say 3 mm."""
    labels = three_structures()
    labels.voxels[1::2] = 0
    path = write_segmentation(tmp_path / "s.dcm", frames_by_segment(labels), labels.grid, segments_named(NAMED))
    dataset = pydicom.dcmread(path)
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 3.0
    dataset.save_as(path)
    assert_inside(read(path)[0], labels)


def test_compressed_bits_are_refused_by_name(tmp_path: Path) -> None:
    path = a_binary(tmp_path / "s.dcm")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = RLELossless
    dataset.PixelData = encapsulate([dataset.PixelData])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path)
    with pytest.raises(InputError, match="not compressed, got RLE Lossless"):
        read(path)


def test_one_slice_takes_the_stated_distance(tmp_path: Path) -> None:
    frames = [(1, 4, np.ones((7, 5), bool))]
    path = write_segmentation(tmp_path / "s.dcm", frames, three_structures().grid, segments_named(NAMED))
    assert read(path)[0].grid.spacing_mm == (2.0, 1.0, 3.0)


def test_frames_between_the_slices_are_refused(tmp_path: Path) -> None:
    labels = three_structures()
    path = write_segmentation(tmp_path / "s.dcm", frames_by_segment(labels), labels.grid, segments_named(NAMED))
    dataset = pydicom.dcmread(path)
    place = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    place.ImagePositionPatient = [-31.0, 12.0, 250.0 + 3 * 7.37]
    dataset.save_as(path)
    with pytest.raises(InputError, match="at multiples of one slice distance"):
        read(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"SegmentationType": "WHATEVER"}, r"\(0062,0001\) BINARY, FRACTIONAL, LABELMAP, got .* type WHATEVER"),
        ({"SegmentSequence": []}, "got none"),
        ({"SegmentSequence": [a_segment(7, "L3", None)]}, r"among the segments 7, got 1, 2, 3"),
        (
            {"SharedFunctionalGroupsSequence": [pydicom.Dataset()]},
            r"Image Orientation \(0020,0037\) missing in 11 of 11",
        ),
        ({"PixelData": b"\0\0"}, "the pixels of 11 frames, got fewer"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_was_found(tmp_path: Path, values: dict, message: str) -> None:
    labels = three_structures()
    path = write_segmentation(
        tmp_path / "s.dcm", frames_by_segment(labels), labels.grid, segments_named(NAMED), **values
    )
    with pytest.raises(InputError, match=message):
        read(path)


def test_a_segmentation_is_no_ct(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a CT, got a DICOM Segmentation object .* give it as the mask"):
        read_volume(a_binary(tmp_path / "seg.dcm"))


def test_ct_and_segmentation_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "both", slices_of(ct))
    alone = read_labels(a_binary(folder / "seg.dcm"))
    volume = read_volume(folder)
    np.testing.assert_array_equal(volume.voxels, ct.voxels)
    assert "SEG, 1 file, such as seg.dcm" in volume.notes[0]
    np.testing.assert_array_equal(read_labels(folder).voxels, alone.voxels)
    a_binary(folder / "other.dcm")
    with pytest.raises(InputError, match=r"one DICOM Segmentation object, got 2 \(other\.dcm, seg\.dcm\)"):
        read_labels(folder)


def test_frames_that_are_read_one_after_another_need_no_memory_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred organs in sixty slices each: 0.2 GB in bits, 3.1 GB as numbers."""
    dataset = pydicom.Dataset()
    dataset.Rows = dataset.Columns = 512
    dataset.NumberOfFrames, dataset.BitsAllocated = 6000, 1
    with (tmp_path / "segments.dcm").open("wb") as file:
        file.truncate(200 * 10**6)  # of nothing
    monkeypatch.setattr("TomoRayLib.images.declared_size.available_memory_bytes", lambda: 10**9)
    check_frames([(dataset, tmp_path / "segments.dcm")], together=False)
    with pytest.raises(InputError, match="free memory"):
        check_frames([(dataset, tmp_path / "segments.dcm")])
