"""Synthetic vertebrae written as a DICOM Segmentation object: segments, codes, places, references."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from support.written_dicom import DIRECTIONS, LABELS, UNSURE, WEIGHTS_SHA256, WrittenResult, a_result, write_result
from TomoRayLib.anatomy.vertebra_colors import color_of_label
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.dicom.segmentation import find_dicom_segmentation, read_dicom_segmentation
from TomoRayLib.images.dicom.writing.result import write_dicom
from TomoRayLib.images.files import read_labels
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> WrittenResult:
    return write_result(tmp_path_factory.mktemp("segmentation") / "dicom", "oblique")


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_our_reader_gives_verse_numbers_at_their_places(tmp_path: Path, direction: str) -> None:
    written = write_result(tmp_path / "dicom", direction)
    read = read_labels(written.segmentation)
    assert read.voxels.shape[0] == 14  # from the first to the last slice with a frame, of 23
    on_all = resample(read, written.vertebrae.grid, Interpolation.NEAREST, fill=0)
    np.testing.assert_array_equal(on_all.voxels, written.vertebrae.voxels)


@pytest.mark.parametrize("direction", ["axial", "oblique", "left-handed"])
def test_highdicom_gives_the_same_volume_back(tmp_path: Path, direction: str) -> None:
    written = write_result(tmp_path / "dicom", direction)
    volume = highdicom.seg.segread(written.segmentation).get_volume(combine_segments=True)
    direction_mm = volume.affine[:3, :3] / np.asarray(volume.spacing)
    assert volume.coordinate_system == highdicom.CoordinateSystemNames.PATIENT
    voxels = np.asarray(volume.array).transpose(2, 1, 0)
    grid = Grid(voxels.shape[::-1], volume.spacing, volume.position, tuple(direction_mm.ravel()))
    numbers = np.array([0, *LABELS])[voxels].astype(np.uint8)
    on_all = resample(Volume(numbers, grid), written.vertebrae.grid, Interpolation.NEAREST, fill=0)
    np.testing.assert_array_equal(on_all.voxels, written.vertebrae.voxels)


def test_segments_are_numbered_from_cranial_and_named_by_snomed(written: WrittenResult) -> None:
    segments = pydicom.dcmread(written.segmentation).SegmentSequence
    assert [(item.SegmentNumber, item.SegmentLabel) for item in segments] == [(1, "T12"), (2, "L1"), (3, "L3")]
    types = [item.SegmentedPropertyTypeCodeSequence[0] for item in segments]
    codes = [("23215003", "T12 vertebra"), ("66794005", "L1 vertebra"), ("36470004", "L3 vertebra")]
    assert [(item.CodeValue, item.CodeMeaning) for item in types] == codes
    assert {item.CodingSchemeDesignator for item in types} == {"SCT"}
    file = find_dicom_segmentation(written.segmentation)
    assert file is not None
    _, names = read_dicom_segmentation(file)
    assert [LABEL_OF_NAME[name] for name in names.values()] == list(LABELS)
    for label, item in zip(LABELS, segments, strict=True):
        shown = highdicom.color.CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb(clip=True)
        np.testing.assert_allclose(shown, [255 * part for part in color_of_label(label)], atol=2)


def test_each_segment_says_what_made_it_and_that_it_is_synthetic(written: WrittenResult) -> None:
    one = pydicom.dcmread(written.segmentation)
    assert "SYNTHETIC" in one.SeriesDescription
    assert one.SyntheticData == "YES"
    assert one.ContentDescription == "SYNTHETIC vertebrae; numbering unsure - research use only"
    assert [item.ManufacturerModelName for item in one.ContributingEquipmentSequence] == ["highdicom"]
    for segment in one.SegmentSequence:
        made_by = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentAlgorithmName == made_by.AlgorithmName == "TomoRay geolift-s"
        assert WEIGHTS_SHA256 in made_by.AlgorithmParameters
        assert NOTICE in segment.SegmentDescription
        assert "Numbering unsure" in segment.SegmentDescription


def test_a_sure_numbering_is_not_called_unsure(tmp_path: Path) -> None:
    one = pydicom.dcmread(write_result(tmp_path / "dicom", making=replace(UNSURE, numbering_unsure=False)).segmentation)
    assert "unsure" not in one.ContentDescription
    assert "unsure" not in one.SegmentSequence[0].SegmentDescription.lower()


def test_a_numbering_by_a_person_says_so(tmp_path: Path) -> None:
    named = replace(UNSURE, numbering_unsure=False, numbered_from="L1")
    one = pydicom.dcmread(write_result(tmp_path / "dicom", making=named).segmentation)
    assert "Numbered from L1, which a person named." in one.SegmentSequence[0].SegmentDescription


def test_it_refers_to_the_slices_and_shares_their_frame_of_reference(written: WrittenResult) -> None:
    one, ct = pydicom.dcmread(written.segmentation), [pydicom.dcmread(path) for path in written.slices]
    series = one.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == ct[0].SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == {
        item.SOPInstanceUID for item in ct
    }
    assert one.FrameOfReferenceUID == ct[0].FrameOfReferenceUID
    assert one.StudyInstanceUID == ct[0].StudyInstanceUID
    assert one.SeriesInstanceUID != ct[0].SeriesInstanceUID
    uid_of_place = {tuple(item.ImagePositionPatient): item.SOPInstanceUID for item in ct}
    for frame in one.PerFrameFunctionalGroupsSequence:
        place = tuple(frame.PlanePositionSequence[0].ImagePositionPatient)
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == uid_of_place[place]


def test_bone_that_is_not_told_apart_is_one_segment(tmp_path: Path) -> None:
    synthetic, vertebrae = a_result()
    bone = Volume((vertebrae.voxels > 0).astype(np.uint8), vertebrae.grid)
    write_dicom(tmp_path, synthetic, bone, replace(UNSURE, numbering_unsure=None), None)
    one = pydicom.dcmread(tmp_path / "vertebrae.dcm")
    assert [item.SegmentLabel for item in one.SegmentSequence] == ["spine"]
    assert one.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue == "421060004"
    read = read_labels(tmp_path / "vertebrae.dcm")
    assert np.count_nonzero(read.voxels) == np.count_nonzero(bone.voxels)


def test_an_empty_result_has_no_segmentation(tmp_path: Path) -> None:
    synthetic, vertebrae = a_result()
    write_dicom(tmp_path, synthetic, Volume(np.zeros_like(vertebrae.voxels), vertebrae.grid), UNSURE, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct"]


def test_vertebrae_on_another_grid_are_refused(tmp_path: Path) -> None:
    synthetic, _ = a_result()
    _, vertebrae = a_result("oblique")
    with pytest.raises(ValueError, match="grid of the CT"):
        write_dicom(tmp_path, synthetic, vertebrae, UNSURE, None)
