"""A case of the scene saved as DICOM: the voxels of its nodes, and the vertebrae as the scene names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from support.results_folders import write_results
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.resampling import Interpolation, resample

pytestmark = pytest.mark.usefixtures("scene")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("case") / "results")


@pytest.fixture
def case(results: Path):
    from TomoRayLib.slicer.scene.case_nodes import add_case

    return add_case(results, "case")


def export(case, folder: Path) -> None:
    from TomoRayLib.slicer.scene.dicom_export import export_dicom

    export_dicom(case, folder)


def test_the_files_are_the_volume_and_its_bone(case, results: Path, tmp_path: Path) -> None:
    export(case, tmp_path / "out")
    series, synthetic = read_volume(tmp_path / "out" / "ct"), read_volume(results / "synthetic_ct.nrrd")
    assert series.grid.same_as(synthetic.grid, tolerance_mm=1e-5)
    np.testing.assert_array_equal(series.voxels, synthetic.voxels)
    read, bone = read_labels(tmp_path / "out" / "vertebrae.dcm"), read_volume(results / "synthetic_vertebrae.nrrd")
    on_all = resample(read, bone.grid, Interpolation.NEAREST, fill=0)
    np.testing.assert_array_equal(on_all.voxels > 0, bone.voxels > 0)
    one = pydicom.dcmread(tmp_path / "out" / "vertebrae.dcm")
    assert one.ManufacturerModelName == "geolift-s"
    assert str(one.PatientName) == "SYNTHETIC^RESEARCH"


def test_vertebrae_have_the_names_that_the_scene_gives_them(case, tmp_path: Path) -> None:
    from TomoRayLib.slicer.scene.segment_nodes import add_segment

    node = case.vertebrae
    node.GetSegmentation().RemoveAllSegments()
    mask = np.zeros((40, 40, 40), bool)
    mask[5:10, 3:9, 4:11] = True
    from TomoRayLib.slicer.scene.nodes import grid_of

    grid = grid_of(case.synthetic)
    add_segment(node, mask, grid, "L2", (1.0, 0.0, 0.0), "a")
    add_segment(node, np.roll(mask, 8, axis=0), grid, "L1", (0.0, 1.0, 0.0), "b")
    export(case, tmp_path / "out")
    segments = pydicom.dcmread(tmp_path / "out" / "vertebrae.dcm").SegmentSequence
    assert [item.SegmentLabel for item in segments] == ["L1", "L2"]
    read = resample(read_labels(tmp_path / "out" / "vertebrae.dcm"), grid, Interpolation.NEAREST, fill=0)
    np.testing.assert_array_equal(read.voxels == 21, mask)


def test_without_segments_the_series_is_written_alone(case, tmp_path: Path) -> None:
    case.vertebrae.GetSegmentation().RemoveAllSegments()
    export(case, tmp_path / "out")
    assert not (tmp_path / "out" / "vertebrae.dcm").exists()
    assert len(list((tmp_path / "out" / "ct").iterdir())) == 40


def test_a_case_that_does_not_say_how_it_was_made_is_refused(case, tmp_path: Path) -> None:
    from TomoRayLib.slicer.scene.case_nodes import PROVENANCE_KEY

    case.synthetic.SetAttribute(PROVENANCE_KEY, "{}")
    with pytest.raises(InputError, match="does not say how it was made"):
        export(case, tmp_path / "out")
    assert not (tmp_path / "out").exists()
