"""Visibility: which outlines and surfaces are drawn in which views."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import slicer
import slicer.util

from TomoRayLib.slicer.scene.case_nodes import CaseNodes, cases_in_scene
from TomoRayLib.slicer.scene.nodes import in_scene
from TomoRayLib.slicer.views import layouts

KEPT_OUT_KEY = "TomoRay.KeptOut"  # on display nodes of the user's that TomoRay's views leave out


def only_this_case(case: CaseNodes, others: Iterable[CaseNodes]) -> None:
    """Hide the surfaces and outlines of all other cases."""
    for other in others:
        if other.synthetic is not case.synthetic:
            for node in (other.synthetic_surface, other.truth_surface, other.vertebrae, other.truth_vertebrae):
                _hide(node)
            _hide(other.vertebra_names)
            _hide(other.truth_names)
    for node in (case.vertebrae, case.truth_vertebrae):
        if node is not None:
            node.GetDisplayNode().SetVisibility(True)


def _hide(node: Any) -> None:
    if node is not None and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility(False)


def keep_apart(case: CaseNodes) -> None:
    """Draw true outlines and surfaces in the true views only, and synthetic ones in the synthetic views only."""
    for node, names in (
        (case.truth_vertebrae, layouts.TRUE_VIEWS),
        (case.vertebrae, layouts.SYNTHETIC_VIEWS),
        (case.truth_surface, (layouts.TRUE_3D,)),
        (case.synthetic_surface, (layouts.SYNTHETIC_3D,)),
    ):
        if node is not None:
            display = node.GetDisplayNode()
            display.RemoveAllViewNodeIDs()
            for view in view_ids(names):
                display.AddViewNodeID(view)


def let_surfaces_out() -> None:
    """Draw the surfaces of all cases in every 3D view again: the user's own views are shown."""
    for case in cases_in_scene():
        for node in (case.truth_surface, case.synthetic_surface):
            if node is not None and node.GetDisplayNode() is not None:
                node.GetDisplayNode().RemoveAllViewNodeIDs()


def keep_out(node: Any) -> None:
    """Leave a segmentation of the user's out of TomoRay's views, in which it would hide what is compared."""
    display = _display_of(node)
    if display is None or display.GetNumberOfViewNodeIDs() > 0:  # the user has chosen views, or it was called before
        return
    ours = set(view_ids((*layouts.VIEW_NAMES, *layouts.THREE_D_VIEWS)))
    others = [view for view in view_ids() if view not in ours]
    for view in others:
        display.AddViewNodeID(view)
    display.SetAttribute(KEPT_OUT_KEY, " ".join(others))


def let_back() -> None:
    """Undo every ``keep_out``, unless the user has chosen other views meanwhile."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        display = _display_of(node)
        views = display.GetAttribute(KEPT_OUT_KEY) if display is not None else None
        if display is None or views is None:
            continue
        if views.split() == [display.GetNthViewNodeID(n) for n in range(display.GetNumberOfViewNodeIDs())]:
            display.RemoveAllViewNodeIDs()
        display.SetAttribute(KEPT_OUT_KEY, None)


def _display_of(node: Any) -> Any:
    return node.GetDisplayNode() if in_scene(node) else None


def view_ids(names: tuple[str, ...] | None = None) -> list[str]:
    """Ids of the slice and 3D views with these layout names, of all without names."""
    found = []
    for kind in ("vtkMRMLSliceNode", "vtkMRMLViewNode"):
        for node in slicer.util.getNodesByClass(kind):
            if names is None or node.GetLayoutName() in names:
                found.append(node.GetID())
    return found
