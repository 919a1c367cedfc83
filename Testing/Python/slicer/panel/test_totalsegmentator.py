"""Vertebrae by TotalSegmentator's extension: the calls, with a module of its names and signatures in its place.

Neither extension nor package is installed here. The signatures are those of SlicerTotalSegmentator (May 2026) and the
tasks those of TotalSegmentator 2.18; what they do is not imitated.
"""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec

import pytest

from support import panel_driver as drive
from support.slicer_data import add_volume, oblique_case


@pytest.fixture
def calls(panel, monkeypatch) -> list[tuple]:
    """The calls of the extension, which is installed with a package that knows both tasks."""
    import slicer

    made: list[tuple] = []

    class TotalSegmentatorLogic:
        def setupPythonRequirements(self, upgrade=False):  # noqa: N802 (its name)
            made.append(("setup", upgrade))

        def process(
            self,
            inputVolume,
            outputSegmentation,
            quality=None,
            cpu=False,
            task=None,
            subset=None,
            interactive=False,
            sequenceBrowserNode=None,
        ):
            made.append((task, subset, quality, cpu))
            outputSegmentation.GetSegmentation().AddEmptySegment("vertebrae_L1", "L1 vertebra")

    extension = types.ModuleType("TotalSegmentator")
    extension.TotalSegmentatorLogic = TotalSegmentatorLogic  # type: ignore[attr-defined]
    extension.__spec__ = ModuleSpec("TotalSegmentator", None)
    package, classes = types.ModuleType("totalsegmentator"), types.ModuleType("totalsegmentator.map_to_binary")
    classes.class_map = {"total": {}, "vertebrae_pp": {}}
    for name, module in (
        ("TotalSegmentator", extension),
        ("totalsegmentator", package),
        ("totalsegmentator.map_to_binary", classes),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(slicer.modules, "totalsegmentator", object(), raising=False)
    ct, _labels = oblique_case()
    drive.choose_ct(panel, add_volume(ct, "CT"))
    return made


def choose_task(panel, name: str) -> None:
    from TomoRayLib.slicer.panel.parameters import VertebraTask

    panel.ui.vertebraTaskComboBox.currentIndex = [task.name for task in VertebraTask].index(name)
    drive.settle()


def test_whole_vertebrae_are_a_subset_of_the_task_total(panel, calls, slicer_host) -> None:
    import qt

    slicer_host.dialogs.answer(qt.QMessageBox.Ok)
    drive.click(panel.ui.totalSegmentatorButton)
    (_setup, (task, subset, quality, cpu)) = calls
    assert (task, quality, cpu) == ("total", False, False)
    assert len(subset) == 24
    assert {"vertebrae_C1", "vertebrae_T12", "vertebrae_L5"} <= set(subset)
    assert panel.ui.segmentationSelector.currentNode().GetName() == "CT vertebrae"
    assert drive.status(panel) == "Ready."


def test_bodies_alone_are_the_newer_task_and_scores_against_them_are_warned_of(panel, calls, slicer_host) -> None:
    import qt

    choose_task(panel, "BODIES")
    slicer_host.dialogs.answer(qt.QMessageBox.Ok)
    drive.click(panel.ui.totalSegmentatorButton)
    assert calls[1][:2] == ("vertebrae_pp", None)
    assert panel.ui.segmentationSelector.currentNode().GetName() == "CT vertebral bodies"
    assert "holds vertebral bodies alone" in drive.status(panel)
    assert panel.ui.synthesizeButton.enabled


def test_an_older_package_without_the_newer_task_says_so_and_leaves_no_node(panel, calls, slicer_host) -> None:
    import qt

    del sys.modules["totalsegmentator.map_to_binary"].class_map["vertebrae_pp"]
    choose_task(panel, "BODIES")
    names = drive.node_names()
    slicer_host.dialogs.answer(qt.QMessageBox.Ok)
    drive.click(panel.ui.totalSegmentatorButton)
    assert "does not know the task vertebrae_pp" in drive.status(panel)
    assert len(calls) == 1  # the set-up; nothing was segmented
    assert drive.node_names() == names


def test_without_the_extension_the_choice_is_greyed_and_the_tooltip_says_why(panel) -> None:
    ct, _labels = oblique_case()
    drive.choose_ct(panel, add_volume(ct, "CT"))
    assert not panel.ui.totalSegmentatorButton.enabled
    assert not panel.ui.vertebraTaskComboBox.enabled
    assert "install the extension TotalSegmentator" in panel.ui.totalSegmentatorButton.toolTip
