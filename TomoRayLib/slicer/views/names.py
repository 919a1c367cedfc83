"""Vertebrae one by one in the views: their names, and their surfaces if Show 3D is pressed.

True ones are where the true CT is shown, synthetic ones where the synthetic CT is.
"""

from __future__ import annotations

from TomoRayLib.slicer.scene.case_nodes import CaseNodes
from TomoRayLib.slicer.views import layouts
from TomoRayLib.slicer.views.visibility import view_ids

TRUE_3D = (layouts.TRUE_3D,)
SYNTHETIC_3D = (layouts.SYNTHETIC_3D,)


def set_names(case: CaseNodes, visible: bool) -> None:
    """Draw the names of a case's vertebrae in TomoRay's views of their kind, or nowhere.

    Names of vertebrae beside the slice are drawn too, which an axial view would show all in one place: it has none.
    """
    kinds = (
        (case.truth_names, (*_upright(layouts.TRUE_VIEWS), *TRUE_3D)),
        (case.vertebra_names, (*_upright(layouts.SYNTHETIC_VIEWS), *SYNTHETIC_3D)),
    )
    for node, names in kinds:
        if node is not None:
            look, views = node.GetDisplayNode(), view_ids(names)
            look.RemoveAllViewNodeIDs()
            for view in views:
                look.AddViewNodeID(view)
            look.SetVisibility(visible and bool(views))


def let_show_3d(case: CaseNodes) -> None:
    """Let the segments of a case be shown in the 3D views of their kind: Slicer's Show 3D makes their surfaces."""
    for node, names in ((case.truth_vertebrae, TRUE_3D), (case.vertebrae, SYNTHETIC_3D)):
        look = node.GetDisplayNode() if node is not None else None
        if look is not None and look.GetNumberOfViewNodeIDs():  # without any it is shown in all views already
            for view in view_ids(names):
                look.AddViewNodeID(view)


def _upright(views: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(view for view, way in zip(views, layouts.ORIENTATIONS, strict=True) if way != "Axial")
