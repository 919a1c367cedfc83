"""What lies behind the true outlines: the vertebrae of the CT alone, as the synthetic CT is compared with, or the CT.

The CT is the user's node: its window is borrowed while TomoRay's views show it, and given back.
"""

from __future__ import annotations

from typing import Any

import slicer.util

from TomoRayLib.slicer.scene.case_nodes import INPUT_ROLE, CaseNodes
from TomoRayLib.slicer.scene.nodes import in_scene
from TomoRayLib.slicer.views import layouts
from TomoRayLib.slicer.views.display import WINDOW_HU, slice_logic

VERTEBRAE, WHOLE_CT = "vertebrae", "ct"
BORROWED_KEY = "TomoRay.WindowBefore"  # on the display node of a CT: its own window, level and whether it is automatic


def source_ct(case: CaseNodes) -> Any:
    """The CT that a case was made from, a volume node of the user's; None without one, as for radiographs."""
    node = case.synthetic.GetNodeReference(INPUT_ROLE)
    if case.truth is None or not in_scene(node) or not node.IsA("vtkMRMLScalarVolumeNode"):
        return None
    image = node.GetImageData()
    return node if image is not None and image.GetDimensions()[2] > 1 else None


def set_true_background(case: CaseNodes, name: str, window: str) -> None:
    """Put what is asked for behind the true outlines: ``VERTEBRAE``, or ``WHOLE_CT`` in the window that both CTs have.

    Scale and place of the views stay; without the CT its vertebrae are shown.
    """
    ct = source_ct(case) if name == WHOLE_CT else None
    if ct is None:
        give_windows_back()
    else:
        _borrow_window(ct.GetDisplayNode(), *WINDOW_HU[window])
    shown = ct if ct is not None else case.truth
    for view in layouts.TRUE_VIEWS:
        logic = slice_logic(view)
        if logic is not None and shown is not None:
            logic.GetSliceCompositeNode().SetBackgroundVolumeID(shown.GetID())


def give_windows_back() -> None:
    """Give every CT whose window was borrowed its own again."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        display = node.GetDisplayNode()
        kept = display.GetAttribute(BORROWED_KEY) if display is not None else None
        if kept is not None:
            width, level, automatic = kept.split()
            display.SetAttribute(BORROWED_KEY, None)
            display.SetAutoWindowLevel(automatic == "1")
            if automatic != "1":
                display.SetWindowLevel(float(width), float(level))


def _borrow_window(display: Any, width: float, level: float) -> None:
    if display.GetAttribute(BORROWED_KEY) is None:
        own = (display.GetWindow(), display.GetLevel(), int(display.GetAutoWindowLevel()))
        display.SetAttribute(BORROWED_KEY, " ".join(str(value) for value in own))
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(width, level)
