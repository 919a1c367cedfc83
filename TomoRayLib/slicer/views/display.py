"""How a case looks: window, slices, difference overlay, surfaces and their distance colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from TomoRayLib.report.color_maps import DIFFERENCE_COLORS, DISTANCE_COLORS, ColorMap
from TomoRayLib.slicer.scene.case_nodes import CaseNodes
from TomoRayLib.slicer.scene.nodes import in_scene
from TomoRayLib.slicer.scene.radiographs import screen_axes
from TomoRayLib.slicer.views import layouts

WINDOW_HU = {"model": (1300.0, 400.0), "bone": (1500.0, 300.0), "soft tissue": (400.0, 40.0)}  # (width, center)
DISTANCE_ARRAY = "distance_mm"
COLOR_STEPS = 256
BODY_AHEAD_MM, BODY_ABOVE_MM = 18.0, 8.0  # of a vertebra, from the middle of its box, about
# Of the view's width and height; the text of a legend is as large as fits, whatever its font size says.
DISTANCE_LEGEND_SIZE, DIFFERENCE_LEGEND_SIZE = (0.06, 0.4), (0.14, 0.5)
KEPT_OUT_KEY = "TomoRay.KeptOut"  # on display nodes of the user's that TomoRay's views leave out
TRANSPARENT_HU = 60.0  # smaller differences are not drawn


def slice_logic(view_name: str) -> Any:
    """The slice logic of a view, None where the layout has no such view."""
    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(view_name)


def slice_logics() -> list[Any]:
    """All slice logics of the application."""
    collection = slicer.app.applicationLogic().GetSliceLogics()
    return [collection.GetItemAsObject(number) for number in range(collection.GetNumberOfItems())] if collection else []


def set_window(case: CaseNodes, name: str) -> None:
    """The same window, a key of ``WINDOW_HU``, on the true and the synthetic CT."""
    width, center = WINDOW_HU[name]
    for volume in (case.truth, case.synthetic):
        if volume is not None:
            display = volume.GetDisplayNode()
            display.SetAutoWindowLevel(False)
            display.SetWindowLevel(width, center)
            display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")


def show_slices(case: CaseNodes) -> None:
    """Put the volumes into TomoRay's views, each centred on the case; views that the layout lacks are left out."""
    scenes = [(name, case.truth or case.synthetic) for name in layouts.TRUE_VIEWS]
    scenes += [(name, case.synthetic) for name in layouts.SYNTHETIC_VIEWS]
    for name, volume in scenes:
        logic = slice_logic(name)
        if logic is not None and volume is not None:
            composite = logic.GetSliceCompositeNode()
            composite.SetBackgroundVolumeID(volume.GetID())
            composite.SetLabelVolumeID(None)
            _show_scale_and_axes(logic.GetSliceNode())
            _center(logic, case)


def show_radiographs(ap: Any, lateral: Any) -> None:
    """Put the two radiographs into their views, each seen straight on."""
    for name, volume in zip(layouts.RADIOGRAPH_VIEWS, (ap, lateral), strict=True):
        logic = slice_logic(name)
        if logic is not None and in_scene(volume):
            logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
            _face(logic.GetSliceNode(), volume)
            logic.GetSliceNode().SetRulerType(slicer.vtkMRMLAbstractViewNode.RulerTypeThin)
            logic.FitSliceToBackground()


def _face(slice_node: Any, radiograph: Any) -> None:
    """Turn a slice view to a radiograph as the panel's preview shows it: patient upright."""
    right, down = screen_axes(radiograph)
    matrix = slice_node.GetSliceToRAS()
    for row, values in enumerate(zip(right, -down, np.cross(right, -down), strict=True)):
        for column, value in enumerate(values):
            matrix.SetElement(row, column, float(value))
    bounds = [0.0] * 6
    radiograph.GetRASBounds(bounds)
    for row in range(3):
        matrix.SetElement(row, 3, (bounds[2 * row] + bounds[2 * row + 1]) / 2)
    slice_node.UpdateMatrices()


def views_with(case: CaseNodes) -> list[Any]:
    """The slice logics whose background is the true or the synthetic CT of a case, in any layout."""
    shown = {node.GetID() for node in (case.truth, case.synthetic) if node is not None}
    return [logic for logic in slice_logics() if logic.GetSliceCompositeNode().GetBackgroundVolumeID() in shown]


def set_linked(case: CaseNodes, linked: bool) -> None:
    """Scroll, pan and zoom the slice views of a case together."""
    for logic in views_with(case):
        logic.GetSliceCompositeNode().SetLinkedControl(linked)
        logic.GetSliceCompositeNode().SetHotLinkedControl(linked)


def set_difference(case: CaseNodes, visible: bool, opacity: float) -> None:
    """The difference, synthetic - true in HU, over both volumes: blue too dark, red too bright, clear near zero."""
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
    """Opacity of both surfaces in 3D; with ``distance``, the synthetic one shows how far it is from the true one."""
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
        _("Distance (mm)"),
        "%.0f",
        6,
        DISTANCE_LEGEND_SIZE,
        _view_ids((layouts.THREE_D_VIEW,)),
    )


def look_at_surfaces(case: CaseNodes, window: Any, view_node: Any) -> None:
    """Turn a 3D view to the front of the surfaces and fit them into it; without frame, with axis letters."""
    view_node.SetBoxVisible(False)
    _show_scale_and_axes(view_node)
    bounds = vtk.vtkBoundingBox()
    for node in (case.truth_surface, case.synthetic_surface):
        if node is not None:
            bounds.AddBounds(node.GetPolyData().GetBounds())
    if not bounds.IsValid():
        return
    renderer = window.GetRenderers().GetFirstRenderer()
    center = [0.0] * 3
    bounds.GetCenter(center)
    camera = renderer.GetActiveCamera()
    camera.SetFocalPoint(center)
    camera.SetPosition(center[0] - 250.0, center[1] + 430.0, center[2])  # from the patient's front and left, in RAS
    camera.SetViewUp(0.0, 0.0, 1.0)
    box = [0.0] * 6
    bounds.GetBounds(box)
    renderer.ResetCamera(box)
    window.Render()


def only_this_case(case: CaseNodes, others: Iterable[CaseNodes]) -> None:
    """Hide the surfaces and outlines of all other cases."""
    for other in others:
        if other.synthetic is not case.synthetic:
            for node in (other.synthetic_surface, other.truth_surface, other.vertebrae, other.truth_vertebrae):
                if node is not None and node.GetDisplayNode() is not None:
                    node.GetDisplayNode().SetVisibility(False)
    for node in (case.vertebrae, case.truth_vertebrae):
        if node is not None:
            node.GetDisplayNode().SetVisibility(True)


def keep_outlines_apart(case: CaseNodes) -> None:
    """True outlines in the true views, synthetic ones in the synthetic views; surfaces in TomoRay's 3D view."""
    for node, names in ((case.truth_vertebrae, layouts.TRUE_VIEWS), (case.vertebrae, layouts.SYNTHETIC_VIEWS)):
        if node is not None:
            display = node.GetDisplayNode()
            display.RemoveAllViewNodeIDs()
            for view in _view_ids(names):
                display.AddViewNodeID(view)


def _display_of(node: Any) -> Any:
    return node.GetDisplayNode() if in_scene(node) else None


def keep_out(node: Any) -> None:
    """Draw a segmentation of the user's in all views but TomoRay's, where it would hide what is compared."""
    display = _display_of(node)
    if display is None or display.GetNumberOfViewNodeIDs() > 0:  # the user has chosen views himself, or we did before
        return
    ours = set(_view_ids((*layouts.VIEW_NAMES, layouts.THREE_D_VIEW)))
    others = [view for view in _view_ids() if view not in ours]
    for view in others:
        display.AddViewNodeID(view)
    display.SetAttribute(KEPT_OUT_KEY, " ".join(others))


def let_back() -> None:
    """Undo every ``keep_out``, except where the user has chosen other views meanwhile."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        display = _display_of(node)
        views = display.GetAttribute(KEPT_OUT_KEY) if display is not None else None
        if display is None or views is None:
            continue
        if views.split() == [display.GetNthViewNodeID(n) for n in range(display.GetNumberOfViewNodeIDs())]:
            display.RemoveAllViewNodeIDs()
        display.SetAttribute(KEPT_OUT_KEY, None)


def set_table(case: CaseNodes) -> None:
    """Show the scores in the layout's table view; nothing for a case without."""
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveTableID(case.metrics.GetID() if case.metrics is not None else None)
    slicer.app.applicationLogic().PropagateTableSelection()


def _show_scale_and_axes(view_node: Any) -> None:
    """A ruler in mm, and a cross of axes with their letters."""
    view_node.SetRulerType(view_node.RulerTypeThin)
    view_node.SetOrientationMarkerType(view_node.OrientationMarkerTypeAxes)
    view_node.SetOrientationMarkerSize(view_node.OrientationMarkerSizeMedium)


def _center(logic: Any, case: CaseNodes) -> None:
    """Fit the slice into its view, through the middle true vertebra, else the middle of the synthetic ones."""
    logic.FitSliceToBackground()
    logic.GetSliceNode().JumpSliceByOffsetting(*_middle_of(case))
    logic.SnapSliceOffsetToIJK()


def _middle_of(case: CaseNodes) -> tuple[float, float, float]:
    """A point in RAS mm that is worth looking at."""
    if case.truth_vertebrae is not None:
        segmentation = case.truth_vertebrae.GetSegmentation()
        middle = segmentation.GetNthSegmentID(segmentation.GetNumberOfSegments() // 2)
        center = case.truth_vertebrae.GetSegmentCenterRAS(middle)
        if center is not None:
            return center[0], center[1] + BODY_AHEAD_MM, center[2] + BODY_ABOVE_MM
    bounds = [0.0] * 6
    for node in (case.vertebrae, case.synthetic):
        if node is not None and _filled_bounds(node, bounds):
            break
    return (bounds[0] + bounds[1]) / 2, (bounds[2] + bounds[3]) / 2, (bounds[4] + bounds[5]) / 2


def _filled_bounds(node: Any, bounds: list[float]) -> bool:
    node.GetRASBounds(bounds)
    return all(bounds[2 * axis] <= bounds[2 * axis + 1] for axis in range(3))


def _difference_colors() -> Any:
    """Blue - white - red, and the more transparent the smaller the difference."""
    node = _colors("TomoRay difference (HU)", DIFFERENCE_COLORS)
    table = node.GetLookupTable()
    for number in range(COLOR_STEPS):
        share = number / (COLOR_STEPS - 1)
        hu = DIFFERENCE_COLORS.low + share * (DIFFERENCE_COLORS.high - DIFFERENCE_COLORS.low)
        red, green, blue, _alpha = table.GetTableValue(number)
        table.SetTableValue(number, red, green, blue, 0.0 if abs(hu) < TRANSPARENT_HU else 1.0)
    return node


def _colors(name: str, colors: ColorMap) -> Any:
    """A colour table node of the library's colour map, made once a scene."""
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

    It is made anew each time: a view that was opened after a legend, or before a scene was loaded, does not know it.
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


def _view_ids(names: tuple[str, ...] | None = None) -> list[str]:
    """Ids of the slice and 3D views with these layout names, of all without names."""
    found = []
    for kind in ("vtkMRMLSliceNode", "vtkMRMLViewNode"):
        for node in slicer.util.getNodesByClass(kind):
            if names is None or node.GetLayoutName() in names:
                found.append(node.GetID())
    return found
