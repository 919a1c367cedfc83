"""Start from a CT with its scouts: a folder of a DICOM study on disk in place of nodes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support import panel_driver as drive
from support.scout_studies import CONVENTIONS, GRID, a_body, write_study
from support.slicer_data import add_segmentation
from TomoRayLib.images.types import Volume


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose scouts have rows along the body."""
    folder = tmp_path_factory.mktemp("studies") / "Study 7"
    write_study(folder, CONVENTIONS["rows along the body"])
    return folder


def a_spine_segmentation():
    """The whole spine of the study's CT as a segmentation without a CT in the scene, moved by its transform onto it."""
    import slicer
    import slicer.util
    import vtk

    from support.slicer_data import add_volume

    away = (17.0, -8.0, 23.0)  # LPS mm
    spine = (a_body().voxels == 450).astype(np.uint8)
    moved = Volume(spine, type(GRID)(GRID.size, GRID.spacing_mm, tuple(np.subtract(GRID.origin_mm, away))))
    reference = add_volume(moved, "reference")
    node = add_segmentation(moved, reference, "spine", {1: "spine"})
    slicer.mrmlScene.RemoveNode(reference)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "back")
    matrix = vtk.vtkMatrix4x4()
    for row, value in enumerate((-away[0], -away[1], away[2])):
        matrix.SetElement(row, 3, value)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return node


def test_what_a_folder_lacks_is_said_with_its_control(panel, tmp_path: Path) -> None:
    drive.choose_study(panel, "")
    ui = panel.ui
    assert drive.status(panel).startswith("Choose the folder of a DICOM study")
    assert not ui.synthesizeButton.enabled
    assert ui.studyPathEdit.isVisibleTo(panel.parent)
    assert not ui.ctSelector.isVisibleTo(panel.parent)
    assert not ui.renderButton.isVisibleTo(panel.parent)
    drive.choose_study(panel, tmp_path)
    assert "is empty" in drive.status(panel)
    (tmp_path / "note.txt").write_text("no image", encoding="utf-8")
    drive.choose_study(panel, tmp_path / "note.txt")
    assert drive.status(panel).endswith("Choose a folder. (Study)")
    drive.choose_study(panel, tmp_path)
    assert drive.status(panel) == "Ready."
    assert ui.comparisonCheckBox.enabled
    assert ui.synthesizeButton.enabled


def test_the_folder_is_saved_with_the_scene(panel, study: Path, tmp_path: Path) -> None:
    import slicer

    drive.choose_study(panel, study)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    drive.settle()
    assert panel.ui.studyPathEdit.currentPath == ""
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    drive.settle()
    assert panel.ui.studyPathEdit.currentPath == str(study)
    assert panel.panel.request().inputs.study == str(study)


def test_labels_of_a_segmentation_without_a_ct_lie_where_its_transform_puts_them(scene) -> None:
    from TomoRayLib.slicer.scene.segments import labels_of

    volume, _notes = labels_of(a_spine_segmentation(), None)
    found = np.argwhere(volume.voxels)[:, ::-1] @ volume.grid.index_to_world[:3, :3].T + volume.grid.origin_mm
    expected = np.argwhere(a_body().voxels == 450)[:, ::-1] * 4.0 + GRID.origin_mm
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.min(axis=0), expected.min(axis=0), atol=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), expected.mean(axis=0), atol=1e-4)


@pytest.mark.slow
def test_a_study_becomes_a_case_with_its_scouts(panel, tiny_worker, study: Path, tmp_path: Path) -> None:
    """Its nodes, previews and scores; another run replaces it, another study does not."""
    import slicer

    drive.choose_study(panel, study, a_spine_segmentation())
    drive.click(panel.ui.synthesizeButton)
    assert drive.wait_for_end(panel).startswith(("Done", "Empty")), panel.ui.logText.plainText
    case = panel.panel.compare.case
    assert case.synthetic.GetName() == "SYNTHETIC CT - Study 7"
    assert case.ap.GetName() == "AP, scout - Study 7"
    assert case.metrics is not None
    assert json.loads(case.synthetic.GetAttribute("TomoRay.Views"))["lateral"]["beam"]["kind"] == "slot"
    assert str(study) not in "".join(
        case.synthetic.GetAttribute(name) or "" for name in case.synthetic.GetAttributeNames()
    )
    assert panel.ui.apPreview.pixmap.width() > 10
    before = drive.node_names()
    drive.click(panel.ui.synthesizeButton)
    assert drive.wait_for_end(panel).startswith(("Done", "Empty"))
    assert drive.node_names() == before
    other = tmp_path / "Study 8"
    write_study(other)
    drive.choose_study(panel, other)
    drive.click(panel.ui.synthesizeButton)
    assert drive.wait_for_end(panel).startswith(("Done", "Empty"))
    assert before < drive.node_names()
    slicer.mrmlScene.Clear(False)
    drive.settle()
    assert panel.panel.compare.case is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"roles": ("AP",)}, "got AP alone"),
        ({"frame_of_scouts": "1.2.3.5"}, "in another frame of reference"),
    ],
)
def test_a_study_without_usable_scouts_is_told_with_its_control(
    panel, tiny_worker, tmp_path: Path, how: dict, sentence: str
) -> None:
    write_study(tmp_path / "study", **how)
    drive.choose_study(panel, tmp_path / "study")
    drive.click(panel.ui.synthesizeButton)
    said = drive.wait_for_end(panel)
    assert sentence in said
    assert said.endswith("(Study)")
    assert panel.panel.compare.case is None
    assert drive.temporary_folders() == []
