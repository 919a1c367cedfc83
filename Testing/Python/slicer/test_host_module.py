"""A small module lives in the host as in Slicer: opened, bound to its parameter node, left, reloaded, closed.

The same tests run on Slicer's own Python files: ``SLICER_PYTHON_DIR=<Slicer>/Base/Python pytest ...``.
"""

from __future__ import annotations

import pathlib
import sys

import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core")
pytest.importorskip("PySide6", reason="needs PySide6-Essentials")


def add_volume(name: str, kind: str = "vtkMRMLScalarVolumeNode"):
    return slicer.mrmlScene.AddNewNodeByClass(kind, name)


def test_opening_a_module_sets_it_up_once_and_enters_each_time(a_host, a_panel):
    a_host.leave_module()
    again = a_host.open_module(pathlib.Path(slicer.modules.spine.path).parent)
    assert again is a_panel
    assert a_panel.calls == ["enter", "exit", "enter"]
    assert a_panel.parent.isEntered
    assert slicer.modules.SpineWidget is a_panel
    assert slicer.util.getModuleWidget("Spine") is a_panel
    assert slicer.util.modulePath("Spine").endswith("Spine.py")
    assert slicer.modules.spine.title == "Spine"
    assert slicer.moduleNames.Spine == "Spine"
    assert slicer.util.getModuleLogic("Spine") is a_panel.logic


def test_defaults_reach_the_widgets(a_panel):
    ui = a_panel.ui
    assert ui.regionBox.currentText == "Lumbar spine"
    assert (ui.sadBox.value, ui.sadBox.maximum) == (1000.0, 2000.0)
    assert (ui.countBox.value, ui.countBox.minimum) == (5, 1)
    assert ui.opacitySlider.value == 0.5
    assert ui.viewBox.currentText == "lateral"
    assert ui.flipBox.checked
    assert a_panel.parameters.levels == []
    assert a_panel.parameters.limit is None
    assert a_panel.parameters.ct is None


def test_widgets_write_the_parameter_node(a_panel):
    ui, parameters = a_panel.ui, a_panel.parameters
    ui.regionBox.currentIndex = 0
    ui.sadBox.value = 742.5
    ui.countBox.value = 7
    ui.opacitySlider.value = 0.25
    ui.viewBox.currentIndex = 0
    ui.flipBox.checked = False
    ui.noteLine.text = "scoliosis"
    ui.folderLine.currentPath = "/data/ct"
    ct = add_volume("ct")
    ui.ctSelector.setCurrentNode(ct)
    assert parameters.region.name == "THORACIC"
    assert (parameters.sadMm, parameters.count, parameters.opacity) == (742.5, 7, 0.25)
    assert (parameters.view, parameters.flip, parameters.note) == ("AP", False, "scoliosis")
    assert parameters.folder == pathlib.Path("/data/ct")
    assert parameters.ct is ct
    assert parameters.parameterNode.GetParameter("region") == "THORACIC"
    assert parameters.parameterNode.GetNodeReferenceID("ct") == ct.GetID()


def test_the_parameter_node_writes_the_widgets(a_panel):
    ui, parameters = a_panel.ui, a_panel.parameters
    labels = add_volume("labels", "vtkMRMLLabelMapVolumeNode")
    with slicer.util.NodeModify(parameters):
        parameters.sadMm = 900.0
        parameters.flip = False
        parameters.note = "T5-L1"
    parameters.either = labels
    assert (ui.sadBox.value, ui.flipBox.checked, ui.noteLine.text) == (900.0, False, "T5-L1")
    assert ui.eitherSelector.currentNode() is labels
    assert tuple(ui.eitherSelector.nodeTypes) == ("vtkMRMLSegmentationNode", "vtkMRMLLabelMapVolumeNode")
    parameters.either = None
    assert ui.eitherSelector.currentNode() is None


def test_disconnected_widgets_no_longer_write(a_panel):
    a_panel.parameters.disconnectGui(a_panel.tag)
    a_panel.ui.sadBox.value = 1.0
    a_panel.parameters.note = "unseen"
    assert a_panel.parameters.sadMm == 1000.0
    assert a_panel.ui.noteLine.text == ""


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("sadMm", 2000.5, ValueError),
        ("count", 0, ValueError),
        ("view", "oblique", ValueError),
        ("flip", None, ValueError),
        ("note", 5, TypeError),
        ("ct", "a name", TypeError),
        ("levels", ["T5", 6], TypeError),
    ],
)
def test_values_that_do_not_fit_are_refused_and_change_nothing(a_panel, name, value, error):
    before = getattr(a_panel.parameters, name)
    with pytest.raises(error):
        setattr(a_panel.parameters, name, value)
    assert getattr(a_panel.parameters, name) == before


def test_lists_and_optionals_come_back_as_written(a_panel):
    parameters = a_panel.parameters
    parameters.levels = ["T5", "T6", "L1"]
    parameters.levels = ["L2", "L3"]
    parameters.limit = 12
    fresh = type(parameters)(parameters.parameterNode)
    assert list(fresh.levels) == ["L2", "L3"]
    assert fresh.limit == 12
    parameters.limit = None
    assert parameters.limit is None


def test_observers_of_the_wrapper_hear_changes_and_unknown_names_are_errors(a_panel):
    heard = []
    tag = a_panel.parameters.AddObserver("ModifiedEvent", lambda *_: heard.append(a_panel.parameters.count))
    a_panel.parameters.count = 9
    a_panel.parameters.RemoveObserver(tag)
    a_panel.parameters.count = 10
    assert heard == [9]
    assert a_panel.parameters.getValue("count") == 10
    with pytest.raises(ValueError, match="Cannot find"):
        a_panel.parameters.getValue("coutn")


def test_the_parameter_node_is_one_per_scene_and_saved_values_come_back(a_panel):
    first = a_panel.logic.getParameterNode()
    first.count = 11
    assert a_panel.logic.getParameterNode().parameterNode is first.parameterNode
    assert a_panel.logic.getParameterNode().count == 11
    assert first.parameterNode.GetAttribute("ModuleName") == "Spine"


def test_a_click_reaches_the_widget_and_closing_the_scene_too(a_host, a_panel):
    a_panel.ui.applyButton.click()
    a_host.clear_scene()
    assert a_panel.calls == ["enter", "apply", "scene closed"]


def test_reload_runs_the_changed_source_after_cleanup(a_host, a_panel, a_module_folder):
    source = a_module_folder / "Spine.py"
    source.write_text(source.read_text(encoding="utf-8").replace("VERSION = 1", "VERSION = 2222"), encoding="utf-8")
    fresh = a_host.reload_module("Spine")
    assert fresh is not a_panel
    assert "cleanup" in a_panel.calls
    assert sys.modules["Spine"].VERSION == 2222
    ct = add_volume("after reload")
    fresh.ui.ctSelector.setCurrentNode(ct)
    assert fresh.parameters.ct is ct
    fresh.ui.applyButton.click()
    assert fresh.calls == ["apply"]
    assert a_panel.calls.count("apply") == 0


def test_closing_a_module_cleans_up_and_forgets_it(a_host, a_panel):
    a_host.close_module("Spine")
    assert a_panel.calls == ["enter", "exit", "cleanup"]
    assert not hasattr(slicer.modules, "spine")


def test_self_test_of_a_module_runs_and_its_absence_is_an_error(a_host, a_panel, a_module_folder):
    slicer.selfTests["Spine"](msec=7)
    assert sys.modules["Spine"].SpineTest.ran == [7]
    del sys.modules["Spine"].SpineTest
    with pytest.raises(AssertionError, match="Test case class not found"):
        slicer.selfTests["Spine"]()


def test_translated_texts_reach_the_panel_and_wrong_placeholders_do_not(a_host, a_module_folder):
    from slicer.i18n import tr, translate

    german = {"Spine": "Wirbelsäule", "{count} files": "{anzahl} Dateien", "{count} views": "{count} Ansichten"}
    a_host.set_translations(german)
    try:
        a_host.open_module(a_module_folder)
        assert slicer.modules.spine.title == "Wirbelsäule"
        assert tr("{count} files") == "{count} files"
        assert tr("{count} views").format(count=3) == "3 Ansichten"
        assert translate("anywhere", "Spine") == "Wirbelsäule"
    finally:
        a_host.set_translations(None)
