"""A person at the panel: clicks, waits, reads."""

from __future__ import annotations

import slicer
from host.application import SlicerHost


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
    from TomoRayLib.panel.parameters import InputKind

    panel.ui.inputKindComboBox.currentIndex = list(InputKind).index(InputKind.CT)
    panel.ui.ctSelector.setCurrentNode(ct)
    panel.ui.segmentationSelector.setCurrentNode(segmentation)
    settle()


def choose_radiographs(panel, ap, lateral) -> None:
    """Start from two radiographs."""
    from TomoRayLib.panel.parameters import InputKind

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
    from pathlib import Path

    return [path.name for path in Path(slicer.app.temporaryPath).glob("tomoray-*")]
