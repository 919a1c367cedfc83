"""Nothing of the user's is overwritten or removed: outputs, inputs, views, geometry typed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support import panel_driver as drive
from support.results_folders import write_results
from support.slicer_data import add_radiograph, add_segmentation, add_volume, oblique_case


def test_an_input_cannot_be_the_output(ready) -> None:
    ready.ui.syntheticSelector.setCurrentNode(ready.ui.ctSelector.currentNode())
    drive.settle()
    assert "CT is an input and chosen as output too" in drive.status(ready)
    assert not ready.ui.synthesizeButton.enabled
    ready.ui.syntheticSelector.setCurrentNode(None)
    ready.ui.syntheticSegmentationSelector.setCurrentNode(ready.ui.segmentationSelector.currentNode())
    drive.settle()
    assert "is an input and chosen as output too" in drive.status(ready)


def test_data_that_tomoray_did_not_make_is_not_overwritten_also_from_a_script(ready) -> None:
    from dataclasses import replace

    from TomoRayLib.slicer.runs import SynthesisRun
    from TomoRayLib.slicer.worker.worker_run import RunState

    ct, labels = oblique_case()
    another = add_volume(ct, "someone's work")
    ready.ui.syntheticSelector.setCurrentNode(another)
    drive.settle()
    assert "someone's work holds data that TomoRay did not make" in drive.status(ready)
    request = replace(ready.panel.request(), synthetic_volume=None, vertebrae=add_segmentation(labels, another))
    status = SynthesisRun(request).start()
    assert status.state is RunState.FAILED
    assert "would be overwritten" in status.failure.text
    import slicer

    ready.ui.syntheticSelector.setCurrentNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    drive.settle()
    assert drive.status(ready) == "Ready."


def test_a_case_of_another_input_is_left_as_it_is(scene, tmp_path: Path) -> None:
    from TomoRayLib.slicer.scene.case_nodes import add_case

    ct, _labels = oblique_case()
    a, b = add_volume(ct, "Patient A"), add_volume(ct, "Patient B")
    results = write_results(tmp_path / "results")
    first = add_case(results, "Patient A", a)
    second = add_case(results, "Patient B", b, first.synthetic, first.vertebrae)
    assert second.synthetic is not first.synthetic
    assert second.vertebrae is not first.vertebrae
    assert first.synthetic.GetName() == "SYNTHETIC CT - Patient A"
    assert all(node.GetScene() is not None for node in first.all())
    assert {"Patient B" in node.GetName() for node in second.all()} == {True}


def test_one_empty_output_does_not_share_the_other_with_an_old_case(scene, tmp_path: Path) -> None:
    from TomoRayLib.slicer.scene.case_nodes import add_case

    results = write_results(tmp_path / "results")
    first = add_case(results, "case")
    second = add_case(results, "case", None, None, first.vertebrae)
    assert second.vertebrae is not first.vertebrae


def test_the_inputs_of_a_run_are_kept_and_names_stay_clean(scene, tmp_path: Path) -> None:
    """The rendered radiographs of a case, chosen as input, survive a second run into the same case."""
    from TomoRayLib.slicer.scene.case_nodes import add_case

    results = write_results(tmp_path / "results")
    first = add_case(results, "case")
    names = {node.GetName() for node in first.all()}
    second = add_case(results, "case", None, first.synthetic, first.vertebrae, inputs=[first.ap, first.lateral])
    assert first.ap.GetScene() is not None
    assert first.truth.GetScene() is None
    third = add_case(results, "case", None, second.synthetic, second.vertebrae)
    numbered = [node.GetName() for node in third.all() if node.GetName() not in names]
    assert [name.rpartition("_")[0] for name in numbered] == ["AP, rendered - case", "Lateral, rendered - case"]


def test_a_case_that_cannot_be_read_leaves_the_nodes_to_fill_as_they_are(scene, tmp_path: Path) -> None:
    import slicer.util

    from TomoRayLib.slicer.scene.case_nodes import add_case, case_of

    results = write_results(tmp_path / "results")
    first = add_case(results, "case")
    before = slicer.util.arrayFromVolume(first.synthetic).copy()
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    (results / "metrics.json").write_text('{"rows": {}}')
    slicer.util.arrayFromVolume(first.synthetic)[0, 0, 0] = 77
    with pytest.raises(KeyError):
        add_case(results, "case", None, first.synthetic, first.vertebrae)
    before[0, 0, 0] = 77
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(first.synthetic), before)
    assert case_of(first.synthetic) == first
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_an_unforeseen_error_while_loading_ends_the_run_once(ready, monkeypatch) -> None:
    """The error is made for the test; the worker is real."""
    from TomoRayLib.slicer.runs import ProjectionRun

    calls = []

    def broken(self, result):
        calls.append(result)
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(ProjectionRun, "load", broken)
    drive.click(ready.ui.renderButton)
    said = drive.wait_for_end(ready, 60)
    assert said.startswith("Internal error in TomoRay (KeyError: 'nobody thought of this')")
    assert "report it with the log" in said
    assert "Traceback" in ready.ui.logText.plainText
    assert len(calls) == 1
    assert drive.temporary_folders() == []


def test_typed_geometry_survives_saving_and_loading(panel, slicer_host, tmp_path: Path) -> None:
    """Also a spacing that no file states: the scene writes 1 mm for it, which means nothing."""
    import slicer
    import slicer.util

    rows, columns = np.indices((90, 80))
    pictures = [add_radiograph(rows + factor * columns, name, (1.0, 1.0)) for name, factor in (("AP", 1), ("LAT", 3))]
    drive.choose_radiographs(panel, *pictures)
    for box, value in (("apSpacing", 1.4), ("lateralSpacing", 1.3), ("apSid", 1234.0), ("lateralAngle", 95.0)):
        getattr(panel.ui, f"{box}SpinBox").value = value
    drive.settle()
    assert drive.status(panel).startswith("Ready.")
    slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    slicer_host.clear_scene()
    drive.settle()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    drive.settle()
    assert drive.status(panel).startswith("Ready.")
    geometry = panel.panel.request().inputs.ap_geometry
    assert (geometry.sid_mm, geometry.pixel_spacing_mm) == (1234.0, pytest.approx((1.4, 1.4)))
    assert panel.panel.request().inputs.lateral_geometry.angle_deg == 95.0
    assert "(you)" in panel.ui.apSidSpinBox.suffix
    drive.click(panel.ui.rereadGeometryButton)
    assert panel.ui.apSidSpinBox.value == 1536.0
    assert "pixel spacing of the AP radiograph is not in its file" in drive.status(panel)


def test_a_spacing_corrected_in_slicer_is_taken_over(panel) -> None:
    picture = np.add(*np.indices((90, 80)))
    ap = add_radiograph(picture, "AP", (0.2, 0.2))
    drive.choose_radiographs(panel, ap, add_radiograph(picture[::-1], "LAT"))
    assert panel.ui.apSpacingSpinBox.value == pytest.approx(0.2)
    ap.SetSpacing(0.15, 0.143, 1.0)
    drive.settle()
    assert panel.panel.request().inputs.ap_geometry.pixel_spacing_mm == pytest.approx((0.143, 0.15))


def test_the_users_views_and_segmentation_come_back(ready, slicer_host, tmp_path: Path) -> None:
    import slicer

    from TomoRayLib.slicer.panel.parameters import Layout
    from TomoRayLib.slicer.scene.case_nodes import add_case

    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    drive.settle()
    mine = ready.ui.segmentationSelector.currentNode()
    case = add_case(write_results(tmp_path / "results"), "case", ready.ui.ctSelector.currentNode())
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    red.SetBackgroundVolumeID(ready.ui.ctSelector.currentNode().GetID())
    ready.panel.parameters.currentCase = case.synthetic
    drive.settle()
    assert mine.GetDisplayNode().GetNumberOfViewNodeIDs() > 0
    ready.ui.segmentationSelector.setCurrentNode(None)
    ready.ui.layoutComboBox.currentIndex = list(Layout).index(Layout.UNCHANGED)
    drive.settle()
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    assert red.GetBackgroundVolumeID() == ready.ui.ctSelector.currentNode().GetID()
    assert mine.GetDisplayNode().GetNumberOfViewNodeIDs() == 0


def test_the_line_follows_what_a_view_shows_whoever_changes_it(panel, slicer_host, tmp_path: Path) -> None:
    """Set and removed as by a slice controller, and by deleting the node."""
    import slicer

    from support.panel_views import annotated
    from TomoRayLib.slicer.scene.case_nodes import add_case

    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    drive.settle()
    case = add_case(write_results(tmp_path / "results"), "case")
    case.vertebrae.GetDisplayNode().SetVisibility(False)
    case.synthetic_surface.GetDisplayNode().SetVisibility(False)
    widget = slicer.app.layoutManager().sliceWidget("Yellow")
    window, composite = widget.sliceView().renderWindow(), widget.mrmlSliceCompositeNode()

    def shows_the_line(which=window) -> bool:
        drive.settle()
        return annotated(which)

    assert not shows_the_line()
    composite.SetBackgroundVolumeID(case.synthetic.GetID())
    assert shows_the_line()
    composite.SetBackgroundVolumeID(case.truth.GetID())
    assert not shows_the_line()
    composite.SetForegroundVolumeID(case.difference.GetID())
    composite.SetForegroundOpacity(0.5)
    assert shows_the_line()
    slicer.mrmlScene.RemoveNode(case.difference)
    assert not shows_the_line()
    three_d = slicer.app.layoutManager().threeDWidget(0).threeDView().renderWindow()
    assert not shows_the_line(three_d)
    case.synthetic_surface.GetDisplayNode().SetVisibility(True)
    assert shows_the_line(three_d)


def test_a_case_without_scores_shows_no_scores_of_the_case_before(panel, tmp_path: Path) -> None:
    import shutil

    from TomoRayLib.slicer.scene.case_nodes import add_case

    results = write_results(tmp_path / "results")
    panel.panel.parameters.currentCase = add_case(results, "with").synthetic
    drive.settle()
    assert panel.ui.metricsTable.mrmlTableNode() is not None
    bare = tmp_path / "bare"
    shutil.copytree(results, bare)
    for name in ("truth_vertebrae.nrrd", "truth_surface.vtp", "metrics.json"):
        (bare / name).unlink()
    panel.panel.parameters.currentCase = add_case(bare, "without").synthetic
    drive.settle()
    assert panel.ui.metricsTable.mrmlTableNode() is None
    assert not panel.ui.metricsTable.visible


def test_the_report_is_deleted_with_the_module(panel, slicer_host, tmp_path: Path) -> None:
    from TomoRayLib.slicer.scene.case_nodes import add_case

    panel.panel.parameters.currentCase = add_case(write_results(tmp_path / "results"), "case").synthetic
    drive.settle()
    drive.click(panel.ui.reportButton)
    report = Path(slicer_host.dialogs.opened_urls[-1].removeprefix("file://"))
    assert report.exists()
    panel.panel.cleanup()
    assert not report.exists()


def test_what_a_crash_left_behind_is_swept_the_next_day(scene, tmp_path: Path) -> None:
    import os
    import time

    from TomoRayLib.slicer.worker.job_folder import STALE_S, sweep

    old, new, other = (tmp_path / name for name in ("tomoray-old", "tomoray-new", "another program"))
    for folder in (old, new, other):
        folder.mkdir()
        (folder / "ct.nrrd").write_bytes(b"a patient")
    long_ago = time.time() - STALE_S - 60
    for folder in (old, other):
        os.utime(folder, (long_ago, long_ago))
    sweep(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another program", "tomoray-new"]


def test_a_synthetic_ct_is_no_input_and_a_centre_lies_in_the_ct(ready, tmp_path: Path) -> None:
    import slicer

    from TomoRayLib.slicer.scene.case_nodes import add_case

    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "far")
    points.AddControlPoint(5000.0, 0.0, 0.0)
    ready.ui.centerSelector.setCurrentNode(points)
    drive.settle()
    assert "The centre lies outside CT" in drive.status(ready)
    ready.ui.centerSelector.setCurrentNode(None)
    case = add_case(write_results(tmp_path / "results"), "case")
    ready.ui.ctSelector.setCurrentNode(case.synthetic)
    drive.settle()
    assert "is synthetic. Choose a real CT." in drive.status(ready)


def test_an_odd_pair_is_reported_before_the_run(panel) -> None:
    """Bright edges, dark middle: looks inverted."""
    v, u = np.indices((150, 120))
    picture = (abs(u - 60) / 60.0 + 0.1 * v / 150).astype(np.float32)
    drive.choose_radiographs(panel, add_radiograph(picture, "AP"), add_radiograph(picture + 0.3 * (u > 70), "LAT"))
    said = drive.status(panel)
    assert said.startswith("Ready.")
    assert "looks inverted" in said
    assert "(invert it)" in said
    assert "--" not in said
    assert panel.ui.synthesizeButton.enabled


def test_the_previews_of_a_case_are_those_of_its_ct_only(ready, tmp_path: Path) -> None:
    """Also of a case that was there before the panel looked, as after loading a scene."""
    from TomoRayLib.slicer.scene.case_nodes import add_case

    ct = ready.ui.ctSelector.currentNode()
    assert ready.ui.apPreview.text == "AP"
    ready.panel.parameters.currentCase = add_case(write_results(tmp_path / "results"), "Patient A", ct).synthetic
    drive.settle()
    assert not ready.ui.apPreview.pixmap.isNull()
    volume, _labels = oblique_case()
    ready.ui.ctSelector.setCurrentNode(add_volume(volume, "Patient B"))
    drive.settle()
    assert ready.ui.apPreview.text == "AP"


def test_vertebrae_that_were_moved_alone_are_noticed(ready) -> None:
    import slicer
    import vtk

    from TomoRayLib.slicer.runs import SynthesisRun

    together = SynthesisRun(ready.panel.request())
    together.start()
    assert together.cancel().warnings == ()
    move = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 4.0)
    move.SetMatrixTransformToParent(matrix)
    ready.ui.segmentationSelector.currentNode().SetAndObserveTransformNodeID(move.GetID())
    run = SynthesisRun(ready.panel.request())
    run.start()
    (warning,) = run.cancel().warnings
    assert warning.startswith("CT and vertebrae lie under different transforms.")


def test_scores_against_own_labels_say_so(panel, tmp_path: Path) -> None:
    import json

    from TomoRayLib.slicer.scene.case_nodes import add_case

    results = write_results(tmp_path / "results")
    panel.panel.parameters.currentCase = add_case(results, "given").synthetic
    drive.settle()
    assert "labels by TomoRay" not in panel.ui.scoresLabel.text
    for name in ("metrics.json", "provenance.json"):
        content = json.loads((results / name).read_text(encoding="utf-8"))
        (results / name).write_text(json.dumps({**content, "labels_by": "labels by TomoRay"}), encoding="utf-8")
    case = add_case(results, "own")
    panel.panel.parameters.currentCase = case.synthetic
    drive.settle()
    assert "rests on labels by TomoRay, found by a network and checked by nobody" in panel.ui.scoresLabel.text
    assert case.truth_vertebrae.GetName() == "True vertebrae, labels by TomoRay - own"


def test_labelling_is_offered_for_a_ct_without_vertebrae_alone(ready) -> None:
    assert not ready.ui.segmentCheckBox.enabled  # the CT has vertebrae
    ready.ui.segmentationSelector.setCurrentNode(None)
    drive.settle()
    assert ready.ui.segmentCheckBox.enabled
    assert ready.panel.request().settings.segment
    ready.ui.segmentCheckBox.click()
    drive.settle()
    assert not ready.panel.request().settings.segment
    ready.ui.comparisonCheckBox.click()
    drive.settle()
    assert not ready.ui.segmentCheckBox.enabled
