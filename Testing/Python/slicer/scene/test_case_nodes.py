"""A case in Slicer's scene: its geometry, its place, its references, what a second run leaves, and .mrb and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from support.results_folders import SIZE, write_counted_results, write_results
from support.slicer_data import add_volume, oblique_case
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_volume

pytestmark = pytest.mark.usefixtures("scene")


@pytest.fixture
def case_nodes():
    from TomoRayLib.slicer.scene import case_nodes

    return case_nodes


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("case") / "results")


def ras_of(lps: np.ndarray) -> np.ndarray:
    return np.asarray(lps) * (-1.0, -1.0, 1.0)


def test_volumes_lie_where_the_files_say(case_nodes, results: Path) -> None:
    import slicer.util
    import vtk

    case = case_nodes.add_case(results, "Ärztin")
    grid = Grid.cube((31.0, -47.0, 260.0), 160.0, SIZE)
    for node in (case.synthetic, case.truth, case.difference):
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        index = (3.0, 11.0, 29.0, 1.0)
        expected = ras_of((grid.index_to_world @ index)[:3])
        np.testing.assert_allclose(matrix.MultiplyPoint(index)[:3], expected, atol=1e-6)
    difference = slicer.util.arrayFromVolume(case.difference)
    synthetic, truth = (slicer.util.arrayFromVolume(node).astype(int) for node in (case.synthetic, case.truth))
    np.testing.assert_array_equal(difference, synthetic - truth)


def test_surfaces_and_segments_lie_on_the_volumes(case_nodes, results: Path) -> None:
    """The surface's middle is that of the bright voxels, in RAS; a flip would miss it by centimetres."""
    import slicer.util

    case = case_nodes.add_case(results, "case")
    for surface, volume in ((case.truth_surface, case.truth), (case.synthetic_surface, case.synthetic)):
        k, j, i = np.nonzero(slicer.util.arrayFromVolume(volume) > -200)
        matrix = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(volume))
        corners = np.stack([i, j, k, np.ones_like(i)]).astype(float)
        world = (matrix @ corners)[:3]
        bounds = np.array(surface.GetPolyData().GetBounds()).reshape(3, 2)
        np.testing.assert_allclose(bounds.mean(axis=1), (world.min(axis=1) + world.max(axis=1)) / 2, atol=2.0)
    segmentation = case.truth_vertebrae.GetSegmentation()
    assert [segmentation.GetNthSegment(n).GetName() for n in range(2)] == ["vertebrae_L1", "vertebrae_L2"]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(case.truth_vertebrae, segmentation.GetNthSegmentID(1), case.truth)
    assert np.argwhere(mask).min(axis=0)[0] == 6  # L2 is the lower one
    assert case.synthetic_surface.GetPolyData().GetPointData().HasArray("distance_mm")


def test_a_model_that_does_not_count_gives_one_segment_of_all(case_nodes, results: Path) -> None:
    import slicer.util

    case = case_nodes.add_case(results, "case")
    segmentation = case.vertebrae.GetSegmentation()
    assert [segment_of(case.vertebrae, n).GetName() for n in range(segmentation.GetNumberOfSegments())] == [
        "Vertebrae (synthetic)"
    ]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(case.vertebrae, segmentation.GetNthSegmentID(0), case.synthetic)
    np.testing.assert_array_equal(mask, read_volume(results / "synthetic_vertebrae.nrrd").voxels)
    assert case.vertebra_names is None


def test_a_model_that_counts_gives_a_segment_per_vertebra(case_nodes, results: Path, tmp_path: Path) -> None:
    import slicer.util

    folder = write_counted_results(results, tmp_path / "counted")
    case = case_nodes.add_case(folder, "case")
    labels = read_volume(folder / "synthetic_vertebrae.nrrd").voxels
    segmentation = case.vertebrae.GetSegmentation()
    names = [segment_of(case.vertebrae, n).GetName() for n in range(segmentation.GetNumberOfSegments())]
    assert names == ["vertebrae_T11", "vertebrae_T12", "vertebrae_L1"]
    for place, number in enumerate((18, 19, 20)):
        found = segmentation.GetNthSegmentID(place)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(case.vertebrae, found, case.synthetic)
        np.testing.assert_array_equal(mask, labels == number)


def test_a_vertebra_has_one_colour_and_one_code_in_truth_and_synthetic(
    case_nodes, results: Path, tmp_path: Path
) -> None:
    import slicer
    import vtk

    case = case_nodes.add_case(write_counted_results(results, tmp_path / "counted"), "case")
    true, synthetic = segment_of(case.truth_vertebrae, 0), segment_of(case.vertebrae, 2)
    assert true.GetName() == synthetic.GetName() == "vertebrae_L1"
    assert true.GetColor() == synthetic.GetColor() != segment_of(case.vertebrae, 1).GetColor()
    logic, entry = slicer.vtkSlicerTerminologiesModuleLogic(), slicer.vtkSlicerTerminologyEntry()
    for segment in (true, synthetic):
        text = vtk.reference("")
        assert segment.GetTag("TerminologyEntry", text)
        assert logic.DeserializeTerminologyEntry(str(text), entry)
        code = entry.GetTypeObject()
        assert (code.GetCodeValue(), code.GetCodingSchemeDesignator()) == ("66794005", "SCT")
        assert code.GetCodeMeaning() == "L1 vertebra"
        assert entry.GetCategoryObject().GetCodeMeaning() == "Anatomical Structure"


def test_names_stand_at_the_vertebrae_and_say_if_they_are_unsure(case_nodes, results: Path, tmp_path: Path) -> None:
    folder = write_counted_results(results, tmp_path / "counted")
    case = case_nodes.add_case(folder, "case")
    for node, file, names in (
        (case.vertebra_names, "synthetic_vertebrae.nrrd", ["T11?", "T12?", "L1?"]),
        (case.truth_names, "truth_vertebrae.nrrd", ["L1", "L2"]),
    ):
        assert [node.GetNthControlPointLabel(n) for n in range(node.GetNumberOfControlPoints())] == names
        labels = read_volume(folder / file)
        for place, number in enumerate(sorted(set(np.unique(labels.voxels)) - {0})):
            k, j, i = np.argwhere(labels.voxels == number).mean(axis=0)
            expected = ras_of((labels.grid.index_to_world @ [i, j, k, 1.0])[:3])
            np.testing.assert_allclose(node.GetNthControlPointPositionWorld(place), expected, atol=1e-6)
        assert node.GetLocked()
    assert "SYNTHETIC" in case.vertebra_names.GetName()
    assert case.vertebra_names.GetAttribute("TomoRay.Notice")
    assert case.truth_names.GetAttribute("TomoRay.Notice") is None


def test_names_go_with_their_case(case_nodes, results: Path, tmp_path: Path) -> None:
    import slicer

    folder = write_counted_results(results, tmp_path / "counted")
    first = case_nodes.add_case(folder, "case")
    count = slicer.mrmlScene.GetNumberOfNodes()
    second = case_nodes.add_case(folder, "case", None, first.synthetic, first.vertebrae)
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 2
    assert second.vertebra_names.GetName() == first.vertebra_names.GetName()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folders = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in second.all()}
    assert len(folders) == 1


def segment_of(node, number: int):
    return node.GetSegmentation().GetNthSegment(number)


def _ijk_to_ras(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def test_everything_synthetic_is_marked_and_knows_how_it_was_made(case_nodes, results: Path) -> None:
    case = case_nodes.add_case(results, "case")
    for node in (case.synthetic, case.vertebrae, case.synthetic_surface, case.difference, case.metrics, case.report):
        assert node.GetAttribute("TomoRay.Notice") == NOTICE
    assert case.truth.GetAttribute("TomoRay.Notice") is None
    assert case.synthetic.GetName().startswith("SYNTHETIC CT")
    assert case.synthetic.GetAttribute("TomoRay.Model") == "geolift-s"
    assert json.loads(case.synthetic.GetAttribute("TomoRay.Provenance"))["precision"] == "bfloat16"


def test_the_case_lies_in_a_folder_next_to_its_input(case_nodes, results: Path) -> None:
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    ct, _labels = oblique_case()
    node = add_volume(ct, "CT")
    study = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.CreateItem(study, node)  # Slicer's plugins make the item when the node is added
    case = case_nodes.add_case(results, "CT", node)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(case.synthetic))
    assert hierarchy.GetItemName(folder) == "TomoRay: CT"
    assert hierarchy.GetItemParent(folder) == study
    parents = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(item)) for item in case.all()}
    assert parents == {folder}


def test_a_second_run_into_the_same_nodes_replaces_the_first(case_nodes, results: Path) -> None:
    import slicer

    first = case_nodes.add_case(results, "case")
    before = slicer.mrmlScene.GetNumberOfNodes()
    second = case_nodes.add_case(results, "case", None, first.synthetic, first.vertebrae)
    assert second.synthetic is first.synthetic
    assert second.truth is not first.truth
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(second.synthetic))
    assert hierarchy.GetNumberOfItemChildren(folder) == len(second.all())


def test_a_damaged_results_folder_leaves_the_scene_as_it_was(case_nodes, results: Path, tmp_path: Path) -> None:
    import slicer

    broken = tmp_path / "broken"
    shutil.copytree(results, broken)
    (broken / "truth_vertebrae.nrrd").write_bytes(b"NRRD0004\nnonsense")
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(InputError):
        case_nodes.add_case(broken, "case")
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_a_case_from_radiographs_has_no_truth(case_nodes, results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "radiographs"
    shutil.copytree(results, folder)
    for name in ("truth_ct.nrrd", "truth_vertebrae.nrrd", "truth_surface.vtp", "metrics.json"):
        (folder / name).unlink()
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    provenance["inputs"] = {"ap": {"name": "ap.dcm"}}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    case = case_nodes.add_case(folder, "case")
    present = {name for name in vars(case) if getattr(case, name) is not None}
    assert present == {"synthetic", "vertebrae", "synthetic_surface", "report"}
    assert case_nodes.case_of(case.synthetic) == case


def test_a_saved_scene_comes_back_whole(case_nodes, results: Path, tmp_path: Path, slicer_host) -> None:
    import slicer
    import slicer.util

    from TomoRayLib.slicer.scene import score_table
    from TomoRayLib.slicer.views import display

    case = case_nodes.add_case(write_counted_results(results, tmp_path / "counted"), "case")
    display.set_window(case, "bone")
    names = [node.GetName() for node in case.all()]
    voxels = {name: slicer.util.arrayFromVolume(getattr(case, name)).copy() for name in ("synthetic", "difference")}
    geometry = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(case.synthetic))
    distances = np.array(slicer.util.arrayFromModelPointData(case.synthetic_surface, "distance_mm"))
    csv, report = score_table.metrics_csv(case.metrics), case_nodes.report_html(case)
    cells = [case.metrics.GetCellText(row, 1) for row in range(case.metrics.GetNumberOfRows())]
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    slicer_host.clear_scene()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    (again,) = case_nodes.cases_in_scene()
    assert [node.GetName() for node in again.all()] == names
    for name, expected in voxels.items():
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(getattr(again, name)), expected)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(_ijk_to_ras(again.synthetic)), geometry, atol=1e-4)
    found = slicer.util.arrayFromModelPointData(again.synthetic_surface, "distance_mm")
    np.testing.assert_allclose(found, distances, atol=1e-4)
    assert score_table.metrics_csv(again.metrics) == csv
    assert [again.metrics.GetCellText(row, 1) for row in range(again.metrics.GetNumberOfRows())] == cells
    assert case_nodes.report_html(again) == report
    display_node = again.synthetic.GetDisplayNode()
    assert (display_node.GetWindow(), display_node.GetLevel()) == (1500.0, 300.0)
    assert segment_of(again.truth_vertebrae, 0).GetName() == "vertebrae_L1"
    assert segment_of(again.vertebrae, 0).GetName() == "vertebrae_T11"
    assert again.vertebra_names.GetNthControlPointLabel(0) == "T11?"


def test_the_table_has_both_floors_for_every_score(case_nodes, results: Path, tmp_path: Path) -> None:
    from TomoRayLib.metrics.scores import METRIC_COLUMNS
    from TomoRayLib.slicer.scene import score_table

    case = case_nodes.add_case(results, "case")
    node = case.metrics
    headings = [node.GetColumnName(n) for n in range(node.GetNumberOfColumns())]
    assert headings == ["Score", "Synthetic", "Blank", "Mean atlas"]
    assert node.GetNumberOfRows() == len(METRIC_COLUMNS)
    stored = json.loads((results / "metrics.json").read_text(encoding="utf-8"))["rows"]
    row_of = {node.GetCellText(row, 0): row for row in range(node.GetNumberOfRows())}
    assert set(row_of) == {f"{column.heading} {'↑' if column.higher_is_better else '↓'}" for column in METRIC_COLUMNS}
    assert float(node.GetCellText(row_of["Dice ↑"], 1).strip("★ ")) == pytest.approx(
        stored["tomoray"]["dice"], abs=5e-4
    )
    assert node.GetCellText(row_of["HD95 (mm) ↓"], 2) == "∞"
    assert node.GetCellText(0, 0) == "Cosine similarity ↑"
    score_table.export_metrics(node, tmp_path / "scores.csv")
    lines = (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "metric,unit,synthetic,blank,mean_atlas,better"
    (dice,) = [line for line in lines if line.startswith("dice,")]
    assert dice.split(",")[2] == repr(stored["tomoray"]["dice"])
