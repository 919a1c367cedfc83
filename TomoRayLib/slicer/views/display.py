"""A case in the views: its volumes and radiographs in the slices, one window for both CTs, the camera in 3D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import slicer.util
import vtk

from TomoRayLib.slicer.scene.case_nodes import CaseNodes
from TomoRayLib.slicer.scene.nodes import in_scene
from TomoRayLib.slicer.scene.radiographs import screen_axes
from TomoRayLib.slicer.views import layouts

WINDOW_HU = {"model": (1300.0, 400.0), "bone": (1500.0, 300.0), "soft tissue": (400.0, 40.0)}  # (width, center)
BODY_AHEAD_MM, BODY_ABOVE_MM = 18.0, 8.0  # of a vertebra, from the middle of its box, about


def slice_logic(view_name: str) -> Any:
    """The slice logic of a view, None if the layout has no such view."""
    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(view_name)


def slice_logics() -> list[Any]:
    """All slice logics of the application."""
    collection = slicer.app.applicationLogic().GetSliceLogics()
    return [collection.GetItemAsObject(number) for number in range(collection.GetNumberOfItems())] if collection else []


def set_window(case: CaseNodes, name: str) -> None:
    """Set the same window, a key of ``WINDOW_HU``, on the true and the synthetic CT."""
    width, center = WINDOW_HU[name]
    for volume in (case.truth, case.synthetic):
        if volume is not None:
            display = volume.GetDisplayNode()
            display.SetAutoWindowLevel(False)
            display.SetWindowLevel(width, center)
            display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")


def show_slices(case: CaseNodes) -> None:
    """Put the volumes into TomoRay's views, each centred on the case; views that are not in the layout are skipped."""
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


def show_alone(view_name: str, volume: Any) -> None:
    """Fit a single-slice volume, seen straight on, into a view, with no other volume, ruler or axes."""
    logic = slice_logic(view_name)
    if logic is None:
        return
    composite, node = logic.GetSliceCompositeNode(), logic.GetSliceNode()
    composite.SetBackgroundVolumeID(volume.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None)
    node.SetRulerType(node.RulerTypeNone)
    node.SetOrientationMarkerType(node.OrientationMarkerTypeNone)
    _face(node, volume)
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
    """The slice logics whose background is the true or the synthetic CT of a case, in any layout, and TomoRay's true
    views, whatever lies behind their outlines."""
    shown = {node.GetID() for node in (case.truth, case.synthetic) if node is not None}
    return [
        logic
        for logic in slice_logics()
        if logic.GetSliceCompositeNode().GetBackgroundVolumeID() in shown
        or (case.truth is not None and logic.GetSliceNode().GetLayoutName() in layouts.TRUE_VIEWS)
    ]


def set_linked(case: CaseNodes, linked: bool) -> None:
    """Scroll, pan and zoom the slice views of a case together."""
    for logic in views_with(case):
        logic.GetSliceCompositeNode().SetLinkedControl(linked)
        logic.GetSliceCompositeNode().SetHotLinkedControl(linked)


def look_at_surfaces(case: CaseNodes, views: Sequence[tuple[Any, Any]]) -> None:
    """Turn 3D views, as (render window, view node), to the front of both surfaces and fit these into each; no box, but
    a cross of axes. Their cameras are the same, and linked."""
    bounds = box_of(case)
    cameras = []
    for window, view_node in views:
        view_node.SetLinkedControl(True)
        view_node.SetBoxVisible(False)
        view_node.SetAxisLabelsVisible(False)
        _show_scale_and_axes(view_node)
        if bounds.IsValid():
            cameras.append(_fitted_camera(window, bounds))
    farthest = max((camera.GetDistance() for camera in cameras), default=0.0)  # a narrow view needs more distance
    for (window, _node), camera in zip(views, cameras, strict=False):
        camera.Dolly(camera.GetDistance() / farthest)
        window.GetRenderers().GetFirstRenderer().ResetCameraClippingRange()
        window.Render()


def _fitted_camera(window: Any, bounds: Any) -> Any:
    """The camera of a window, from the patient's front and left, as far away as the bounds fit into it."""
    renderer = window.GetRenderers().GetFirstRenderer()
    center, box = [0.0] * 3, [0.0] * 6
    bounds.GetCenter(center)
    bounds.GetBounds(box)
    camera = renderer.GetActiveCamera()
    camera.SetFocalPoint(center)
    camera.SetPosition(center[0] - 250.0, center[1] + 430.0, center[2])  # in RAS
    camera.SetViewUp(0.0, 0.0, 1.0)
    renderer.ResetCamera(box)
    return camera


def _show_scale_and_axes(view_node: Any) -> None:
    """Show a ruler in mm, and a cross of axes with their letters."""
    view_node.SetRulerType(view_node.RulerTypeThin)
    view_node.SetOrientationMarkerType(view_node.OrientationMarkerTypeAxes)
    view_node.SetOrientationMarkerSize(view_node.OrientationMarkerSizeMedium)


def box_of(case: CaseNodes) -> Any:
    """The box in RAS mm around both surfaces of a case, a ``vtkBoundingBox``; not valid if there is no surface."""
    bounds = vtk.vtkBoundingBox()
    for node in (case.truth_surface, case.synthetic_surface):
        if node is not None:
            bounds.AddBounds(node.GetPolyData().GetBounds())
    return bounds


def _center(logic: Any, case: CaseNodes) -> None:
    """Fit the slice into its view, about the middle of the spine, through the middle true vertebra, else the middle of
    the synthetic ones."""
    logic.FitSliceToBackground()
    box = box_of(case)
    if box.IsValid():
        center = [0.0] * 3
        box.GetCenter(center)
        logic.GetSliceNode().JumpSliceByCentering(*center)
    logic.GetSliceNode().JumpSliceByOffsetting(*middle_of(case))
    logic.SnapSliceOffsetToIJK()


def middle_of(case: CaseNodes) -> tuple[float, float, float]:
    """The point in RAS mm that the slices go through."""
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
