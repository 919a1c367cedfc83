"""Overlays on a case: the difference in the slices, the distance on the surface, each with its legend."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from TomoRayLib.report.color_maps import DIFFERENCE_COLORS, DISTANCE_COLORS, ColorMap
from TomoRayLib.slicer.scene.case_nodes import CaseNodes
from TomoRayLib.slicer.views import layouts
from TomoRayLib.slicer.views.display import views_with
from TomoRayLib.slicer.views.visibility import view_ids

DISTANCE_ARRAY = "distance_mm"
COLOR_STEPS = 256
# Of the view's width and height; the text of a legend is as large as fits, whatever its font size says.
DISTANCE_LEGEND_SIZE, DIFFERENCE_LEGEND_SIZE = (0.06, 0.4), (0.14, 0.5)
TRANSPARENT_HU = 60.0  # smaller differences are not drawn


def set_difference(case: CaseNodes, visible: bool, opacity: float) -> None:
    """Overlay the difference, synthetic - true in HU, on both volumes: blue too dark, red too bright, clear near 0."""
    node = case.difference
    if node is None:
        return
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(DIFFERENCE_COLORS.high - DIFFERENCE_COLORS.low, 0.0)
    display.SetInterpolate(False)
    display.SetAndObserveColorNodeID(_difference_colors().GetID())
    display.SetApplyThreshold(False)
    views = views_with(case)
    for logic in views:
        composite = logic.GetSliceCompositeNode()
        composite.SetForegroundVolumeID(node.GetID() if visible else None)
        composite.SetForegroundOpacity(opacity)
    last = [logic.GetSliceNode().GetID() for logic in views[-1:]]
    _legend(node, visible, _("Synthetic - true (HU)"), "%+.0f", 5, DIFFERENCE_LEGEND_SIZE, last)


def set_surfaces(case: CaseNodes, truth_opacity: float, synthetic_opacity: float, distance: bool) -> None:
    """Set the opacity of both surfaces; with ``distance``, colour the synthetic one by its distance from the true."""
    for node, opacity in ((case.truth_surface, truth_opacity), (case.synthetic_surface, synthetic_opacity)):
        if node is not None:
            node.GetDisplayNode().SetOpacity(opacity)
            node.GetDisplayNode().SetVisibility(opacity > 0)
    surface = case.synthetic_surface
    if surface is None:
        return
    has_distance = surface.GetPolyData().GetPointData().HasArray(DISTANCE_ARRAY)
    colored = bool(distance and has_distance)
    display = surface.GetDisplayNode()
    if colored:
        display.SetActiveScalarName(DISTANCE_ARRAY)
        display.SetAndObserveColorNodeID(_colors("TomoRay distance (mm)", DISTANCE_COLORS).GetID())
        display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
        display.SetScalarRange(DISTANCE_COLORS.low, DISTANCE_COLORS.high)
    display.SetScalarVisibility(colored)
    _legend(
        surface,
        colored and synthetic_opacity > 0,
        _("Distance\n(mm)"),
        "%.0f",
        6,
        DISTANCE_LEGEND_SIZE,
        view_ids((layouts.SYNTHETIC_3D,)),
    )


def _difference_colors() -> Any:
    """Blue - white - red, transparent near zero."""
    node = _colors("TomoRay difference (HU)", DIFFERENCE_COLORS)
    table = node.GetLookupTable()
    for number in range(COLOR_STEPS):
        share = number / (COLOR_STEPS - 1)
        hu = DIFFERENCE_COLORS.low + share * (DIFFERENCE_COLORS.high - DIFFERENCE_COLORS.low)
        red, green, blue, _alpha = table.GetTableValue(number)
        table.SetTableValue(number, red, green, blue, 0.0 if abs(hu) < TRANSPARENT_HU else 1.0)
    return node


def _colors(name: str, colors: ColorMap) -> Any:
    """The colour table node of one of the library's colour maps, added once per scene."""
    node = slicer.mrmlScene.GetFirstNodeByName(name)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
        node.SetTypeToUser()
        node.SetHideFromEditors(False)
        node.SetNumberOfColors(COLOR_STEPS)
        for number in range(COLOR_STEPS):
            value = colors.low + number / (COLOR_STEPS - 1) * (colors.high - colors.low)
            red, green, blue = (float(part) / 255 for part in colors(value))
            node.SetColor(number, f"{value:.1f} {colors.unit}", red, green, blue, 1.0)
        node.GetLookupTable().SetRange(colors.low, colors.high)
        node.SetAttribute("Category", "TomoRay")
    return node


def _legend(
    node: Any,
    visible: bool,
    title: str,
    label_format: str,
    labels: int,
    size: tuple[float, float],
    views: list[str],
) -> None:
    """A colour legend for a node, in the views with these ids.

    It is added anew each time: a view that was opened after a legend, or before a scene was loaded, does not draw it.
    """
    logic = slicer.vtkSlicerColorLogic
    before = logic.GetColorLegendDisplayNode(node)
    if before is not None:
        slicer.mrmlScene.RemoveNode(before)
    if not visible:
        return
    legend = logic.AddDefaultColorLegendDisplayNode(node)
    legend.SetTitleText(title)
    legend.SetLabelFormat(label_format)
    legend.SetMaxNumberOfColors(COLOR_STEPS)
    legend.SetNumberOfLabels(labels)
    legend.SetSize(*size)
    legend.SetPosition(0.98, 0.5)
    legend.RemoveAllViewNodeIDs()
    for view in views:
        legend.AddViewNodeID(view)
