"""The views of a case: names in words, two linked 3D views, one scale, the background, and the box that tells."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support import panel_driver as drive
from support.results_folders import write_results
from support.slicer_data import add_segmentation, add_volume, oblique_case

WITHOUT_TRUTH = ("truth_ct.nrrd", "truth_vertebrae.nrrd", "truth_surface.vtp", "metrics.json")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path / "results")


@pytest.fixture
def with_case(panel, results: Path):
    """A small case on the screen, next to its CT."""
    from TomoRayLib.slicer.scene.case_nodes import add_case

    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    drive.choose_ct(panel, node, add_segmentation(labels, node))
    panel.panel.parameters.currentCase = add_case(results, "CT", node).synthetic
    drive.settle()
    return panel


def without_truth(results: Path) -> Path:
    bare = results.parent / "bare"
    shutil.copytree(results, bare)
    for name in WITHOUT_TRUTH:
        (bare / name).unlink()
    return bare


def choose_layout(panel, choice) -> None:
    panel.ui.layoutComboBox.currentIndex = panel.ui.layoutComboBox.findData(choice.value)
    drive.settle()


def layout_in_box(panel) -> str:
    return str(panel.ui.layoutComboBox.itemData(panel.ui.layoutComboBox.currentIndex))


def view_nodes() -> dict[str, object]:
    """The view nodes of the layout on the screen, by layout name."""
    from TomoRayLib.slicer.views.annotation import views_of_application

    return {node.GetLayoutName(): node for _window, node in views_of_application()}


def slice_widget(name: str):
    import slicer

    return slicer.app.layoutManager().sliceWidget(name)


def test_views_are_named_in_words_and_never_as_a_vertebra(with_case) -> None:
    from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
    from TomoRayLib.slicer.panel.parameters import Layout

    seen: dict[str, str] = {}
    for choice in (Layout.COMPARE, Layout.SYNTHETIC):
        choose_layout(with_case, choice)
        seen |= {name: node.GetLayoutLabel() for name, node in view_nodes().items()}
    assert sorted(seen.values()) == [
        *("AP radiograph", "Lateral radiograph", "Synthetic 3D", "Synthetic axial", "Synthetic coronal"),
        *("Synthetic sagittal", "True 3D", "True axial", "True coronal", "True sagittal"),
    ]
    assert set(seen.values()).isdisjoint(NAME_OF_LABEL.values())


def test_views_of_a_scene_that_an_older_version_saved_get_their_names(with_case) -> None:
    from TomoRayLib.slicer.panel.parameters import Layout

    view_nodes()["TomoRay3D"].SetLayoutLabel("T3")
    view_nodes()["TomoRayTrueAxial"].SetLayoutLabel("TA")
    choose_layout(with_case, Layout.SYNTHETIC)
    choose_layout(with_case, Layout.COMPARE)
    assert view_nodes()["TomoRay3D"].GetLayoutLabel() == "Synthetic 3D"
    assert view_nodes()["TomoRayTrueAxial"].GetLayoutLabel() == "True axial"


def test_each_surface_is_in_its_own_3d_view_and_the_legend_in_the_synthetic(with_case) -> None:
    import slicer

    from TomoRayLib.slicer.panel.parameters import Layout

    case = with_case.panel.compare.case
    views = view_nodes()
    true, synthetic = views["TomoRayTrue3D"].GetID(), views["TomoRay3D"].GetID()
    truth_display, own_display = case.truth_surface.GetDisplayNode(), case.synthetic_surface.GetDisplayNode()
    assert (truth_display.IsDisplayableInView(true), truth_display.IsDisplayableInView(synthetic)) == (True, False)
    assert (own_display.IsDisplayableInView(true), own_display.IsDisplayableInView(synthetic)) == (False, True)
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(case.synthetic_surface)
    assert (legend.IsDisplayableInView(true), legend.IsDisplayableInView(synthetic)) == (False, True)
    choose_layout(with_case, Layout.UNCHANGED)
    for display in (truth_display, own_display):
        assert display.IsDisplayableInView("vtkMRMLViewNode1")


def test_the_cameras_of_both_3d_views_move_together(with_case) -> None:
    """By Slicer's own link, as when a person turns one of them."""
    import slicer

    cameras = {
        name: slicer.modules.cameras.logic().GetViewActiveCameraNode(view_nodes()[name])
        for name in ("TomoRayTrue3D", "TomoRay3D")
    }
    true, synthetic = cameras["TomoRayTrue3D"], cameras["TomoRay3D"]
    assert true is not synthetic
    assert true.GetPosition() == pytest.approx(synthetic.GetPosition())
    assert true.GetFocalPoint() == pytest.approx(synthetic.GetFocalPoint())
    synthetic.SetInteractionFlags(synthetic.CameraInteractionFlag)
    synthetic.InteractingOn()
    synthetic.SetPosition(300.0, -200.0, 50.0)
    synthetic.InteractingOff()
    assert true.GetPosition() == pytest.approx((300.0, -200.0, 50.0))


def test_the_ct_itself_can_lie_behind_the_true_outlines_and_gets_its_window_back(with_case) -> None:
    from TomoRayLib.slicer.panel.parameters import Layout, TrueBackground, WindowPreset

    ui, case = with_case.ui, with_case.panel.compare.case
    ct = ui.ctSelector.currentNode()
    ct.GetDisplayNode().SetAutoWindowLevel(False)
    ct.GetDisplayNode().SetWindowLevel(777.0, 111.0)
    composite = slice_widget("TomoRayTrueCoronal").mrmlSliceCompositeNode()
    field_mm = slice_widget("TomoRayTrueCoronal").mrmlSliceNode().GetFieldOfView()
    assert composite.GetBackgroundVolumeID() == case.truth.GetID()
    ui.trueBackgroundComboBox.currentIndex = list(TrueBackground).index(TrueBackground.WHOLE_CT)
    drive.settle()
    assert composite.GetBackgroundVolumeID() == ct.GetID()
    assert slice_widget("TomoRaySyntheticCoronal").mrmlSliceCompositeNode().GetBackgroundVolumeID() == (
        case.synthetic.GetID()
    )
    assert slice_widget("TomoRayTrueCoronal").mrmlSliceNode().GetFieldOfView() == pytest.approx(field_mm)
    assert (ct.GetDisplayNode().GetWindow(), ct.GetDisplayNode().GetLevel()) == (1300.0, 400.0)
    ui.windowComboBox.currentIndex = list(WindowPreset).index(WindowPreset.BONE)
    drive.settle()
    assert (ct.GetDisplayNode().GetWindow(), ct.GetDisplayNode().GetLevel()) == (1500.0, 300.0)
    assert composite.GetLinkedControl()
    choose_layout(with_case, Layout.SYNTHETIC)
    choose_layout(with_case, Layout.COMPARE)
    assert composite.GetBackgroundVolumeID() == ct.GetID()
    choose_layout(with_case, Layout.UNCHANGED)
    assert (ct.GetDisplayNode().GetWindow(), ct.GetDisplayNode().GetLevel()) == (777.0, 111.0)


def test_a_case_without_its_ct_says_why_there_is_no_such_background(panel, results: Path) -> None:
    from TomoRayLib.slicer.scene.case_nodes import add_case

    panel.panel.parameters.currentCase = add_case(results, "case").synthetic
    drive.settle()
    assert not panel.ui.trueBackgroundComboBox.enabled
    assert "not in the scene" in panel.ui.trueBackgroundComboBox.toolTip


def scales() -> set[float]:
    """mm to a pixel of every linked slice view on the screen, along rows and columns."""
    found = set()
    for name in view_nodes():
        widget = slice_widget(name) if "3D" not in name and name not in ("TomoRayAP", "TomoRayLateral") else None
        if widget is not None:
            node = widget.mrmlSliceNode()
            found |= {round(node.GetFieldOfView()[axis] / node.GetDimensions()[axis], 6) for axis in (0, 1)}
    return found


def test_linked_views_have_one_scale_after_every_change_of_layout_and_size(with_case, slicer_host) -> None:
    import slicer

    from TomoRayLib.slicer.panel.parameters import Layout

    sizes = {"TomoRayTrueAxial": (310, 250), "TomoRaySyntheticSagittal": (90, 400), "TomoRaySyntheticAxial": (311, 260)}
    for choice in (Layout.COMPARE, Layout.SYNTHETIC, Layout.COMPARE):
        choose_layout(with_case, choice)
        assert len(scales()) == 1, choice
    for name, size in sizes.items():
        slice_widget(name)._slice_view.resize(*size)
    slicer_host.process_events(0.1)
    assert len(scales()) == 1
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    drive.settle()
    choose_layout(with_case, Layout.SYNTHETIC)
    assert len(scales()) == 1


def test_the_whole_spine_is_seen_in_each_view_until_the_user_zooms(with_case, slicer_host) -> None:
    """Of both spines together, and little more of the one that decides."""
    import numpy as np

    from TomoRayLib.slicer.views.display import box_of

    box, low, high = box_of(with_case.panel.compare.case), [0.0] * 3, [0.0] * 3
    box.GetMinPoint(low)
    box.GetMaxPoint(high)
    for name, size in (("TomoRayTrueCoronal", (80, 300)), ("TomoRaySyntheticSagittal", (500, 210))):
        slice_widget(name)._slice_view.resize(*size)
    slicer_host.process_events(0.1)
    slack = []
    for name, axes in (("TomoRayTrueCoronal", (0, 2)), ("TomoRaySyntheticSagittal", (1, 2))):
        node = slice_widget(name).mrmlSliceNode()
        to_ras = np.array([[node.GetXYToRAS().GetElement(row, column) for column in range(4)] for row in range(4)])
        seen = np.array(
            [to_ras @ (x, y, 0, 1) for x in (0, node.GetDimensions()[0]) for y in (0, node.GetDimensions()[1])]
        )
        for axis in axes:
            assert seen[:, axis].min() < low[axis]
            assert seen[:, axis].max() > high[axis]
            slack.append(float(np.ptp(seen[:, axis])) - (high[axis] - low[axis]))
    assert min(slack) < 30.0
    node = slice_widget("TomoRayTrueCoronal").mrmlSliceNode()
    before = scales()
    for size in ((30, 60), (80, 300)):  # made narrow, and wide again: the spine fits as before
        slice_widget("TomoRayTrueCoronal")._slice_view.resize(*size)
        slicer_host.process_events(0.1)
    assert scales() == before
    field_mm = node.GetFieldOfView()
    node.SetFieldOfView(field_mm[0] / 3, field_mm[1] / 3, field_mm[2])  # as a user zooms, if the views are not linked
    slicer_host.process_events(0.1)
    slice_widget("TomoRaySyntheticSagittal")._slice_view.resize(501, 211)
    slicer_host.process_events(0.1)
    assert len(scales()) == 1
    assert node.GetFieldOfView()[0] > field_mm[0] / 2  # as wide as the others, which were not zoomed


def test_the_box_shows_the_layout_that_is_there_whoever_chose_it(with_case) -> None:
    import slicer

    from TomoRayLib.slicer.panel.parameters import Layout
    from TomoRayLib.slicer.views import layouts

    assert layout_in_box(with_case) == "compare"
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    drive.settle()
    assert layout_in_box(with_case) == "unchanged"
    assert with_case.panel.compare.case.truth_surface.GetDisplayNode().IsDisplayableInView("vtkMRMLViewNode1")
    choose_layout(with_case, Layout.COMPARE)  # which was asked for before, and left by hand
    assert slicer.app.layoutManager().layout == layouts.COMPARE_ID
    assert layout_in_box(with_case) == "compare"
    choose_layout(with_case, Layout.SYNTHETIC)
    assert (slicer.app.layoutManager().layout, layout_in_box(with_case)) == (layouts.SYNTHETIC_ID, "synthetic")


def test_without_a_truth_there_is_one_3d_view_and_the_box_says_so(panel, results: Path) -> None:
    import slicer

    from TomoRayLib.slicer.panel.parameters import Layout
    from TomoRayLib.slicer.scene.case_nodes import add_case
    from TomoRayLib.slicer.views import layouts

    panel.panel.parameters.currentCase = add_case(without_truth(results), "bare").synthetic
    drive.settle()
    assert slicer.app.layoutManager().layout == layouts.SYNTHETIC_ID
    assert layout_in_box(panel) == "synthetic"
    assert [name for name in view_nodes() if "3D" in name] == ["TomoRay3D"]
    choose_layout(panel, Layout.COMPARE)
    assert layout_in_box(panel) == "synthetic"
    panel.panel.parameters.currentCase = add_case(results, "whole").synthetic  # what was wanted comes with a truth
    drive.settle()
    assert (slicer.app.layoutManager().layout, layout_in_box(panel)) == (layouts.COMPARE_ID, "compare")


def test_the_box_follows_a_loaded_scene(with_case, slicer_host, tmp_path: Path) -> None:
    import slicer
    import slicer.util

    from TomoRayLib.slicer.panel.parameters import Layout

    choose_layout(with_case, Layout.SYNTHETIC)
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    slicer_host.clear_scene()
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    drive.settle()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    drive.settle()
    assert layout_in_box(with_case) == "synthetic"
    assert [name for name in view_nodes() if "3D" in name] == ["TomoRay3D"]


def test_scores_stand_once_the_best_marked_and_no_column_cut(with_case, slicer_host) -> None:
    import qt

    from TomoRayLib.slicer.views import layouts

    slicer_host.window.resize(460, 760)
    slicer_host.process_events(0.2)
    table = with_case.ui.metricsTable
    model, header = table.model(), table.horizontalHeader()
    shown = sum(header.sectionSize(column) for column in range(model.columnCount()))
    assert shown <= table.viewport().width
    metrics = table.fontMetrics()
    for column in range(model.columnCount()):
        texts = [str(model.headerData(column, qt.Qt.Horizontal))]
        texts += [str(model.data(model.index(row, column))) for row in range(model.rowCount())]
        assert max(metrics.horizontalAdvance(text) for text in texts) <= header.sectionSize(column)
    rows = {
        str(model.data(model.index(row, 0))): [str(model.data(model.index(row, n))) for n in (1, 2, 3)]
        for row in range(model.rowCount())
    }
    assert all(sum(text.startswith("★ ") for text in texts) <= 1 for texts in rows.values())
    for name, better in (("Dice ↑", max), ("MAE in bone (HU) ↓", min)):
        values = [float(text.strip("★ ")) for text in rows[name]]
        assert [text.startswith("★") for text in rows[name]] == [value == better(values) for value in values]
    assert all("vtkMRMLTableViewNode" not in text for text in layouts.descriptions().values())


@pytest.mark.parametrize(("typed", "written"), [("scores", "scores.csv"), ("a.b", "a.b.csv"), ("s.CSV", "s.CSV")])
def test_exported_scores_get_their_ending(with_case, slicer_host, tmp_path: Path, typed: str, written: str) -> None:
    slicer_host.dialogs.answer_file(tmp_path / typed)
    drive.click(with_case.ui.exportButton)
    assert [path.name for path in tmp_path.glob("*") if path.is_file()] == [written]
    assert str(tmp_path / written) in drive.status(with_case)


def test_a_file_that_the_dialog_did_not_see_is_not_overwritten_unasked(with_case, slicer_host, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("someone's", encoding="utf-8")
    slicer_host.dialogs.answer_file(tmp_path / "scores")
    slicer_host.dialogs.answer(False)
    drive.click(with_case.ui.exportButton)
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8") == "someone's"
