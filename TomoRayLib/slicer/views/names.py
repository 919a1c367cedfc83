"""The names of vertebrae in the views: true ones where the true CT is shown, synthetic ones where the synthetic is."""

from __future__ import annotations

from TomoRayLib.slicer.scene.case_nodes import CaseNodes
from TomoRayLib.slicer.views import layouts
from TomoRayLib.slicer.views.visibility import view_ids


def set_names(case: CaseNodes, visible: bool) -> None:
    """Draw the names of a case's vertebrae in TomoRay's views of their kind, or nowhere.

    Names of vertebrae beside the slice are drawn too, which an axial view would show all in one place: it has none.
    """
    kinds = (
        (case.truth_names, _upright(layouts.TRUE_VIEWS)),
        (case.vertebra_names, (*_upright(layouts.SYNTHETIC_VIEWS), layouts.THREE_D_VIEW)),
    )
    for node, names in kinds:
        if node is not None:
            look, views = node.GetDisplayNode(), view_ids(names)
            look.RemoveAllViewNodeIDs()
            for view in views:
                look.AddViewNodeID(view)
            look.SetVisibility(visible and bool(views))


def _upright(views: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(view for view, way in zip(views, layouts.ORIENTATIONS, strict=True) if way != "Axial")
