"""The markups of measures in the views: those chosen alone, each where its kind is shown, the views centred on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from TomoRayLib.slicer.scene.case_nodes import CaseNodes
from TomoRayLib.slicer.scene.measure_markups import (
    KINDS,
    LOWER,
    MEASURE_KEY,
    PART_KEY,
    is_synthetic,
    markups_of,
    middle_ras,
)
from TomoRayLib.slicer.scene.node_creation import SYNTHETIC_COLOR, TRUTH_COLOR
from TomoRayLib.slicer.views import annotation, display, layouts
from TomoRayLib.slicer.views.visibility import view_ids

AXIAL, CORONAL, SAGITTAL = layouts.ORIENTATIONS
UPRIGHT = (CORONAL, SAGITTAL)
SEEN_IN = {  # slices in which a measure can be read; in others its line would be a dot, or lie aslant
    "rotation_deg": (AXIAL,),
    "cobb_deg": (CORONAL,),
    "coronal_centroid_angle_deg": (CORONAL,),
    "coronal_offset_mm": (CORONAL,),
    "segmental_angle_deg": (SAGITTAL,),
    "slip_mm": (SAGITTAL,),
    "thoracic_kyphosis_deg": (SAGITTAL,),
    "lumbar_lordosis_deg": (SAGITTAL,),
    "sagittal_angle_deg": (SAGITTAL,),
    "sagittal_centroid_angle_deg": (SAGITTAL,),
}

FADING_MM = 400.0  # from the slice: Slicer lets lines fade from 1 to 10 mm, so that one of two endplates would be gone


def show_measures(case: CaseNodes, chosen: Sequence[Any], *, center: bool = True) -> None:
    """Draw these markups of a case and no others of it, and centre the views on them if wanted.

    In TomoRay's layouts synthetic ones are drawn in the synthetic views, true ones in the true views; in other layouts
    in all views.
    """
    hide_measures(markups_of(case.measures))
    in_own_views = layouts.is_shown()
    labelled = len({node.GetAttribute(MEASURE_KEY) for node in chosen}) == 1  # labels of several lie over each other
    for node in chosen:
        views = _views_of(node) if in_own_views else []
        if views or not in_own_views:
            _draw(node, views, labelled)
    if center and chosen:
        _center(case, chosen, in_own_views)


def hide_measures(markups: Iterable[Any]) -> None:
    """Draw none of these markups."""
    for node in markups:
        look = node.GetDisplayNode()
        if look is not None:
            look.SetVisibility(False)


def _views_of(markup: Any) -> list[str]:
    own, three_d = layouts.TRUE_VIEWS, layouts.TRUE_3D
    if is_synthetic(markup):
        own, three_d = layouts.SYNTHETIC_VIEWS, layouts.SYNTHETIC_3D
    ways = SEEN_IN.get(markup.GetAttribute(MEASURE_KEY), UPRIGHT)
    slices = tuple(view for view, way in zip(own, layouts.ORIENTATIONS, strict=True) if way in ways)
    return view_ids((*slices, three_d))


def _draw(node: Any, views: list[str], labelled: bool) -> None:
    """Draw a markup in these views, in all without any; what it looks like is set once, then it is the user's."""
    look = node.GetDisplayNode()
    if look is None:
        node.CreateDefaultDisplayNodes()
        look = node.GetDisplayNode()
        color = SYNTHETIC_COLOR if is_synthetic(node) else TRUTH_COLOR
        for set_color in (look.SetColor, look.SetSelectedColor, look.SetActiveColor):
            set_color(*color)
        look.SetPointLabelsVisibility(False)
        look.SetGlyphTypeFromString("CrossDot2D")
        look.SetGlyphScale(2.0)
        look.SetTextScale(1.9)
        look.GetTextProperty().SetJustificationToCentered()  # a name is long, and a view may be narrow
        look.SetCurveLineSizeMode(look.UseLineThickness)
        look.SetLineThickness(0.3)
        look.SetOccludedVisibility(True)  # lines inside the surfaces
        look.SetOccludedOpacity(0.9)
        look.SetSliceProjection(True)  # lines beside the slice
        look.SetSliceProjectionUseFiducialColor(True)
        look.SetSliceProjectionOpacity(1.0)
        look.SetLineColorFadingStart(FADING_MM)
        look.SetLineColorFadingEnd(FADING_MM + 1.0)
    look.SetPropertiesLabelVisibility(labelled and node.GetAttribute(PART_KEY) != LOWER)  # a pair says its angle once
    look.RemoveAllViewNodeIDs()
    for view in views:
        look.AddViewNodeID(view)
    look.SetVisibility(True)


def _center(case: CaseNodes, chosen: Sequence[Any], in_own_views: bool) -> None:
    """Bring the middle of the markups into the middle of the views: of each kind in the views of that kind."""
    middle = middle_ras(chosen)
    if middle is None:
        return
    of_kind = [middle_ras(node for node in chosen if is_synthetic(node) == (kind == KINDS[0])) for kind in KINDS]
    synthetic, true = (place or middle for place in of_kind)
    places = dict.fromkeys((*layouts.SYNTHETIC_VIEWS, layouts.SYNTHETIC_3D), synthetic)
    places.update((name, true) for name in (*layouts.TRUE_VIEWS, layouts.TRUE_3D))
    for logic in display.views_with(case):
        node = logic.GetSliceNode()
        node.JumpSliceByCentering(*places.get(node.GetLayoutName(), middle))
    for window, node in annotation.views_of_application():
        if node.IsA("vtkMRMLViewNode") and (node.GetLayoutName() in places or not in_own_views):
            _aim(window, places.get(node.GetLayoutName(), middle))


def _aim(window: Any, place: tuple[float, float, float]) -> None:
    """Move a 3D view's camera, without turning it, until it looks at a place in RAS mm."""
    renderer = window.GetRenderers().GetFirstRenderer()
    camera = renderer.GetActiveCamera()
    way = np.subtract(place, camera.GetFocalPoint())
    camera.SetPosition(*np.add(camera.GetPosition(), way).tolist())
    camera.SetFocalPoint(*place)
    renderer.ResetCameraClippingRange()
    window.Render()
