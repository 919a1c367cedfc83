"""The outline of the synthetic bone over the radiographs: the label layer of their views."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from TomoRayLib.slicer.scene.case_nodes import VIEWS, CaseNodes, outline_on_radiograph, radiograph_node
from TomoRayLib.slicer.scene.node_creation import SYNTHETIC_COLOR
from TomoRayLib.slicer.views import display, layouts

OUTLINE_ROLE = "TomoRay.outline"  # the reference from a helper's radiograph to the outline on it
COLORS = "TomoRay outline"


def set_outlines(case: CaseNodes, visible: bool) -> None:
    """Draw the outline in the views that show this case's radiographs, or a helper's copies of them; else nothing."""
    for view, name in zip(VIEWS, layouts.RADIOGRAPH_VIEWS, strict=True):
        logic = display.slice_logic(name)
        if logic is None:
            continue
        composite = logic.GetSliceCompositeNode()
        outline = _outline_on(case, view, composite.GetBackgroundVolumeID()) if visible else None
        composite.SetLabelVolumeID(outline.GetID() if outline is not None else None)
        if outline is not None:
            outline.GetDisplayNode().SetAndObserveColorNodeID(_colors().GetID())
            composite.SetLabelOpacity(1.0)
            logic.GetSliceNode().SetUseLabelOutline(True)


def _outline_on(case: CaseNodes, view: str, shown: str | None) -> Any:
    radiograph = slicer.mrmlScene.GetNodeByID(shown) if shown else None
    if radiograph is None:
        return None
    if radiograph is radiograph_node(case, view):
        return outline_on_radiograph(case, view)
    return radiograph.GetNodeReference(OUTLINE_ROLE)


def _colors() -> Any:
    """The colour table node of outlines, added once per scene."""
    node = slicer.mrmlScene.GetFirstNodeByName(COLORS)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", COLORS)
        node.SetTypeToUser()
        node.SetNumberOfColors(2)
        node.SetColor(0, _("None"), 0.0, 0.0, 0.0, 0.0)
        node.SetColor(1, _("Synthetic bone"), *SYNTHETIC_COLOR, 1.0)
        node.GetLookupTable().SetRange(0, 1)
        node.SetAttribute("Category", "TomoRay")
    return node
