"""One scale in all linked slice views: as many mm to a pixel in each, also after the views change their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import slicer.util
import vtk

from TomoRayLib.slicer.scene.case_nodes import CaseNodes
from TomoRayLib.slicer.views import layouts
from TomoRayLib.slicer.views.display import box_of, slice_logic

LINKED_VIEWS = (*layouts.TRUE_VIEWS, *layouts.SYNTHETIC_VIEWS)
AXES_OF = {"Axial": (0, 1), "Coronal": (0, 2), "Sagittal": (1, 2)}  # of RAS, along rows and columns of a view
MARGIN_MM = 12.0  # around the spine
SAME = 1e-6


class ScaleKeeper:
    """Gives the linked views one scale, at which the whole spine is seen in each, and keeps it the same.

    A view that is linked passes its scale on only when a user zooms: views of different sizes, or fitted to different
    volumes, begin with different ones, and another layout, a splitter or the window change their sizes. Until the user
    zooms, the spine is fitted into them again. ``later(function)`` calls a function when the application is next idle.
    """

    def __init__(self, later: Callable[[Callable[[], None]], Any]) -> None:
        self._later = later
        self._due = self._applying = False
        self.is_on = True
        self._extent_mm: tuple[float, float, float] | None = None  # of the spine, along RAS; None once a user zoomed
        self._settled: dict[str, tuple] = {}  # size in pixels and field of view in mm, by id of the slice node
        self._observed: dict[str, Any] = {}

    def fit(self, case: CaseNodes) -> None:
        """Fit the spine of a case into the views that there are by now."""
        box, lengths = box_of(case), [0.0] * 3
        box.GetLengths(lengths)
        self._extent_mm = (lengths[0], lengths[1], lengths[2]) if box.IsValid() else None
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if node.GetLayoutName() in LINKED_VIEWS and self._observed.get(node.GetID()) is not node:
                self._observed[node.GetID()] = node
                node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_modified)
        self._apply()

    def _on_modified(self, node: Any, _event: Any) -> None:
        if not self._applying and not self._due and self._settled.get(node.GetID()) != _state(node):
            self._due = True
            self._later(self._settle)

    def _settle(self) -> None:
        """Tell a change of size from a zoom: in the middle of a resize a view has its new field, but not its size."""
        self._due = False
        now = {name: _state(node) for name, node in self._observed.items()}
        known = {name: state for name, state in now.items() if name in self._settled}
        if any(state[0] != self._settled[name][0] for name, state in known.items()):
            self._apply()
        elif any(state != self._settled[name] for name, state in known.items()):
            self._extent_mm = None
            self._settled = now

    def _apply(self) -> None:
        self._applying = True
        try:
            if self.is_on:
                set_same_scale(self._extent_mm)
        finally:
            self._applying = False
        self._settled = {name: _state(node) for name, node in self._observed.items()}


def _state(node: Any) -> tuple:
    return node.GetDimensions()[:2], tuple(round(value, 3) for value in node.GetFieldOfView()[:2])


def set_same_scale(extent_mm: tuple[float, float, float] | None) -> None:
    """Give the linked views of the current layout the scale at which each shows what it must.

    ``extent_mm`` along RAS is that; None: the scale of the view that shows most to a pixel now.
    """
    nodes = [logic.GetSliceNode() for logic in map(slice_logic, _on_screen()) if logic is not None]
    shown = [node for node in nodes if min(node.GetDimensions()[:2]) > 1]
    if not shown:
        return
    mm_per_pixel = max(
        needed / pixels
        for node in shown
        for needed, pixels in zip(_needed_mm(node, extent_mm), _size(node), strict=True)
    )
    for node in shown:
        field_mm = [mm_per_pixel * pixels for pixels in _size(node)]
        if any(abs(now - new) > SAME * new for now, new in zip(node.GetFieldOfView(), field_mm, strict=False)):
            node.SetFieldOfView(*field_mm, node.GetFieldOfView()[2])


def _needed_mm(node: Any, extent_mm: tuple[float, float, float] | None) -> tuple[float, float]:
    """The mm along rows and columns that a view must show."""
    if extent_mm is None:
        return (node.GetFieldOfView()[0], node.GetFieldOfView()[1])
    name = node.GetLayoutName()
    across, along = next(axes for orientation, axes in AXES_OF.items() if name.endswith(orientation))
    return (extent_mm[across] + 2 * MARGIN_MM, extent_mm[along] + 2 * MARGIN_MM)


def _size(node: Any) -> tuple[int, int]:
    return (node.GetDimensions()[0], node.GetDimensions()[1])


def _on_screen() -> list[str]:
    manager = slicer.app.layoutManager()
    names = manager.sliceViewNames() if manager is not None else ()
    return [name for name in names if name in LINKED_VIEWS]
