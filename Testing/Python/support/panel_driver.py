"""A person at the panel: clicks, waits, reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core")
pytest.importorskip("PySide6.QtWidgets", reason="needs PySide6")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from host.application import SlicerHost  # noqa: E402

if TYPE_CHECKING:
    from TomoRayLib.jobs.events import Event


def host() -> SlicerHost:
    return SlicerHost.start()


def settle() -> None:
    host().process_events(0.05)


def status(panel) -> str:
    """The sentence above the button."""
    return str(panel.ui.statusLabel.text)


def wait_for_end(panel, timeout_s: float = 180.0) -> str:
    """Wait until nothing runs; returns the sentence above the button."""
    host().wait_until(lambda: not panel.panel.run_box.busy, timeout_s)
    settle()
    return status(panel)


def click(button) -> None:
    """Click as a person can: not on a disabled button."""
    assert button.enabled, button.toolTip
    button.click()
    settle()


def choose_ct(panel, ct, segmentation=None) -> None:
    """Start from a CT."""
    from TomoRayLib.slicer.panel.parameters import InputKind

    panel.ui.inputKindComboBox.currentIndex = list(InputKind).index(InputKind.CT)
    panel.ui.ctSelector.setCurrentNode(ct)
    panel.ui.segmentationSelector.setCurrentNode(segmentation)
    settle()


def choose_study(panel, folder, segmentation=None) -> None:
    """Start from the folder of a CT study with scouts."""
    from TomoRayLib.slicer.panel.parameters import InputKind

    panel.ui.inputKindComboBox.currentIndex = list(InputKind).index(InputKind.STUDY)
    panel.ui.studyPathEdit.currentPath = str(folder)
    panel.ui.segmentationSelector.setCurrentNode(segmentation)
    settle()


def choose_radiographs(panel, ap, lateral) -> None:
    """Start from two radiographs."""
    from TomoRayLib.slicer.panel.parameters import InputKind

    panel.ui.inputKindComboBox.currentIndex = list(InputKind).index(InputKind.RADIOGRAPHS)
    panel.ui.apSelector.setCurrentNode(ap)
    panel.ui.lateralSelector.setCurrentNode(lateral)
    settle()


def node_names() -> set[str]:
    """Names of all volumes, segmentations, models, tables and texts in the scene."""
    kinds = ("ScalarVolume", "LabelMapVolume", "Segmentation", "Model", "Table", "Text")
    names = set()
    for kind in kinds:
        for number in range(slicer.mrmlScene.GetNumberOfNodesByClass(f"vtkMRML{kind}Node")):
            node = slicer.mrmlScene.GetNthNodeByClass(number, f"vtkMRML{kind}Node")
            if not node.GetHideFromEditors():
                names.add(node.GetName())
    return names


def temporary_folders() -> list[str]:
    """Job folders of TomoRay that are left in Slicer's temporary folder."""
    return [path.name for path in Path(slicer.app.temporaryPath).glob("tomoray-*")]


def wait_for_stage(panel, stage: str, timeout_s: float = 60.0) -> None:
    """Wait until the sentence above the button begins with a stage."""
    host().wait_until(lambda: status(panel).startswith(stage), timeout_s)


@contextmanager
def every_stage() -> Iterator[list[str]]:
    """The stages that the worker tells the panel meanwhile, by the panel's names. A stage that is over before the
    panel looks again is among them, though it never stands above the button: how many do is a matter of luck."""
    from TomoRayLib.jobs.events import StageBegun
    from TomoRayLib.slicer.worker.process import WorkerProcess
    from TomoRayLib.slicer.worker.worker_run import stage_label

    told: list[str] = []
    poll = WorkerProcess.poll

    def poll_and_note(process: WorkerProcess) -> list[Event]:
        events = poll(process)
        told.extend(stage_label(event.stage) for event in events if isinstance(event, StageBegun))
        return events

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(WorkerProcess, "poll", poll_and_note)
        yield told


def watch(panel, timeout_s: float = 180.0) -> tuple[list[str], list[int]]:
    """Until nothing runs: the sentences that stood above the button, and the values of the bar, in their order."""
    texts: list[str] = []
    bars: list[int] = []

    def look() -> bool:
        if panel.panel.run_box.busy:
            if not texts or texts[-1] != status(panel):
                texts.append(status(panel))
            bars.append(panel.ui.progressBar.value)
        return not panel.panel.run_box.busy

    host().wait_until(look, timeout_s)
    settle()
    return texts, bars


def shown_column(label) -> float:
    """Place of the brightest column in what a preview shows, 0 left to 1 right."""
    image = label.pixmap.toImage()
    brightness = [sum(image.pixelColor(x, y).red() for y in range(0, image.height(), 4)) for x in range(image.width())]
    return int(np.argmax(brightness)) / (image.width() - 1)


def show_case(panel, folder: Path):
    """Add the case of a results folder to the scene and make it the panel's current one; return its nodes."""
    from TomoRayLib.slicer.scene.case_nodes import add_case

    case = add_case(folder, "case")
    panel.panel.parameters.currentCase = case.synthetic
    settle()
    return case
