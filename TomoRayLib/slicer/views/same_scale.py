"""One scale in all linked slice views: as many mm to a pixel in each, also after the views change their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import slicer.util
import vtk

from TomoRayLib.slicer.views import layouts
from TomoRayLib.slicer.views.display import slice_logic

LINKED_VIEWS = (*layouts.TRUE_VIEWS, *layouts.SYNTHETIC_VIEWS)


def set_same_scale() -> None:
    """Give the linked views of the current layout the scale of the one that shows most to a pixel.

    A view that is linked passes its scale on only when a user zooms: views of different sizes, or fitted to different
    volumes, begin with different ones.
    """
    nodes = [logic.GetSliceNode() for logic in map(slice_logic, _on_screen()) if logic is not None]
    sizes = {node.GetID(): node.GetDimensions()[:2] for node in nodes}
    shown = [node for node in nodes if min(sizes[node.GetID()]) > 1]
    if not shown:
        return
    mm_per_pixel = max(node.GetFieldOfView()[axis] / sizes[node.GetID()][axis] for node in shown for axis in (0, 1))
    for node in shown:
        columns, rows = sizes[node.GetID()]
        field_mm = (mm_per_pixel * columns, mm_per_pixel * rows)
        if any(abs(node.GetFieldOfView()[axis] - field_mm[axis]) > 1e-6 * field_mm[axis] for axis in (0, 1)):
            node.SetFieldOfView(*field_mm, node.GetFieldOfView()[2])


def _on_screen() -> list[str]:
    manager = slicer.app.layoutManager()
    names = manager.sliceViewNames() if manager is not None else ()
    return [name for name in names if name in LINKED_VIEWS]


class ScaleKeeper:
    """Keeps the scale the same when views change their size: another layout, a splitter, the window.

    ``later(function)`` calls a function when the application is next idle.
    """

    def __init__(self, later: Callable[[Callable[[], None]], Any]) -> None:
        self._later = later
        self._due = False
        self.is_on = True
        self._sizes: dict[str, tuple[int, int]] = {}  # by id of the slice node
        self._observed: dict[str, Any] = {}

    def refresh(self) -> None:
        """Observe the views that there are by now, and give them one scale."""
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if node.GetLayoutName() in LINKED_VIEWS and self._observed.get(node.GetID()) is not node:
                self._observed[node.GetID()] = node
                self._sizes[node.GetID()] = node.GetDimensions()[:2]
                node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_modified)
        self._apply()

    def _on_modified(self, node: Any, _event: Any) -> None:
        size = node.GetDimensions()[:2]
        if self._sizes.get(node.GetID()) != size:
            self._sizes[node.GetID()] = size
            if not self._due:
                self._due = True
                self._later(self._apply)

    def _apply(self) -> None:
        self._due = False
        if self.is_on:
            set_same_scale()
