"""The line SYNTHETIC CT in the corner of every view that shows something synthetic, as long as it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import slicer
import slicer.util
import vtk

from TomoRayLib.base.notices import VIEW_NOTICE
from TomoRayLib.slicer.scene.nodes import NOTICE_KEY

MARKED_KINDS = (
    "vtkMRMLModelNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLScalarVolumeNode",
    "vtkMRMLMarkupsFiducialNode",
    "vtkMRMLMarkupsLineNode",
    "vtkMRMLMarkupsAngleNode",
    "vtkMRMLMarkupsCurveNode",
)
ViewOnScreen = tuple[Any, Any]  # (render window, view node)
FONT_SIZE_PX, LEAST_FONT_SIZE_PX = 14, 6


class Annotations:
    """Keeps a line of text in the views up to date.

    ``views`` returns the current render windows and view nodes; ``update()`` must be called when the layout or
    what the views show has changed. An actor of our own: Slicer's corner texts belong to its DataProbe.
    """

    def __init__(self, views: Callable[[], Iterable[ViewOnScreen]]) -> None:
        self._views = views
        self._actors: dict[str, tuple[Any, Any]] = {}  # view node id -> (renderer, actor)

    def update(self) -> list[str]:
        """Add the line to views that show something synthetic, remove it from others; returns the ids of the former."""
        marked = []
        seen = set()
        for window, node in self._views():
            identifier = node.GetID()
            seen.add(identifier)
            renderer: Any = window.GetRenderers().GetFirstRenderer() if window is not None else None
            shown = renderer is not None and shows_synthetic(node)
            present = self._actors.get(identifier)
            if present is not None and (not shown or present[0] is not renderer):
                self._remove(identifier)
                present = None
            if shown and present is None:
                actor = _text_actor()
                renderer.AddViewProp(actor)
                self._actors[identifier] = (renderer, actor)
                window.Render()
            if shown:
                marked.append(identifier)
        for identifier in set(self._actors) - seen:
            self._remove(identifier)
        return marked

    def remove(self) -> None:
        """Remove the line from all views."""
        for identifier in list(self._actors):
            self._remove(identifier)

    def _remove(self, identifier: str) -> None:
        renderer, actor = self._actors.pop(identifier)
        renderer.RemoveViewProp(actor)
        window = renderer.GetRenderWindow()
        if window is not None:
            window.Render()


class Keeper:
    """Keeps the annotations up to date whatever changes the views: the panel, a slice controller, a loaded scene.

    ``later(function)`` calls a function when the application is next idle: in the middle of an event the scene and the
    views may be incomplete, and many events in a row are one change.
    """

    def __init__(self, views: Callable[[], Iterable[ViewOnScreen]], later: Callable[[Callable[[], None]], Any]) -> None:
        self._annotations = Annotations(views)
        self._later = later
        self._due = False
        self._observed: dict[str, tuple[Any, list[int]]] = {}  # node id -> (node, tags of its observers)
        scene = slicer.mrmlScene
        for event in (
            scene.NodeAddedEvent,
            scene.NodeRemovedEvent,
            scene.EndImportEvent,
            scene.EndCloseEvent,
            scene.EndBatchProcessEvent,
        ):
            scene.AddObserver(event, self._changed)

    def refresh(self) -> None:
        """Bring the lines up to date with the views; not in the middle of a batch of changes, but at its end."""
        self._due = False
        if not slicer.mrmlScene.IsBatchProcessing():
            self._observe()
            self._annotations.update()

    def _changed(self, *_caller_and_event: Any) -> None:
        if not self._due:
            self._due = True
            self._later(self.refresh)

    def _observe(self) -> None:
        """Observe what decides whether something synthetic is visible: each view's volumes, and each marked node."""
        wanted = {node.GetID(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
        for kind in MARKED_KINDS:
            wanted.update(
                (node.GetID(), node)
                for node in slicer.util.getNodesByClass(kind)
                if node.GetAttribute(NOTICE_KEY) is not None
            )
        for identifier, (node, tags) in list(self._observed.items()):
            if wanted.get(identifier) is not node:
                for tag in tags:
                    node.RemoveObserver(tag)
                del self._observed[identifier]
        for identifier, node in wanted.items():
            if identifier not in self._observed:
                events = [vtk.vtkCommand.ModifiedEvent]
                if node.IsA("vtkMRMLDisplayableNode"):
                    events.append(node.DisplayModifiedEvent)
                self._observed[identifier] = (node, [node.AddObserver(event, self._changed) for event in events])


_KEEPER: Keeper | None = None


def start(later: Callable[[Callable[[], None]], Any]) -> Keeper:
    """Return the keeper of all views; the first call creates it, for the life of the application."""
    global _KEEPER
    if _KEEPER is None:
        _KEEPER = Keeper(views_of_application, later)
    return _KEEPER


def views_of_application() -> list[ViewOnScreen]:
    """(render window, view node) of every slice and 3D view on the screen; none without a main window."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return []
    views = []
    for name in manager.sliceViewNames():
        widget = manager.sliceWidget(name)
        if widget is not None:
            views.append((widget.sliceView().renderWindow(), widget.mrmlSliceNode()))
    for number in range(manager.threeDViewCount):
        view = manager.threeDWidget(number).threeDView()
        views.append((view.renderWindow(), view.mrmlViewNode()))
    return views


def shows_synthetic(view_node: Any) -> bool:
    """True if a view shows a node that is marked as synthetic: a volume, a segmentation or a model."""
    if view_node.IsA("vtkMRMLSliceNode") and _slice_shows_synthetic_volume(view_node):
        return True
    is_3d = view_node.IsA("vtkMRMLViewNode")
    for kind in MARKED_KINDS:
        for node in slicer.util.getNodesByClass(kind):
            if node.GetAttribute(NOTICE_KEY) is not None and _is_drawn(node, view_node, is_3d):
                return True
    return False


def _slice_shows_synthetic_volume(slice_node: Any) -> bool:
    logic = slicer.app.applicationLogic().GetSliceLogicByLayoutName(slice_node.GetLayoutName())
    if logic is None or logic.GetSliceCompositeNode() is None:
        return False
    composite = logic.GetSliceCompositeNode()
    shown = [composite.GetBackgroundVolumeID(), composite.GetLabelVolumeID()]
    if composite.GetForegroundOpacity() > 0:
        shown.append(composite.GetForegroundVolumeID())
    volumes = [slicer.mrmlScene.GetNodeByID(identifier) for identifier in shown if identifier]
    return any(volume is not None and volume.GetAttribute(NOTICE_KEY) is not None for volume in volumes)


def _is_drawn(node: Any, view_node: Any, is_3d: bool) -> bool:
    """True if one of the node's display nodes draws it in this view (a volume: by volume rendering)."""
    for number in range(node.GetNumberOfDisplayNodes()):
        display = node.GetNthDisplayNode(number)
        if display is None or not display.GetVisibility() or not display.IsDisplayableInView(view_node.GetID()):
            continue
        if node.IsA("vtkMRMLScalarVolumeNode"):
            if is_3d and display.IsA("vtkMRMLVolumeRenderingDisplayNode"):
                return True
        elif is_3d:
            if display.GetVisibility3D() and _has_surface(node):
                return True
        elif display.GetVisibility2D():
            return True
    return False


def _has_surface(node: Any) -> bool:
    """False for a segmentation whose surfaces nobody has asked for: Show 3D makes them."""
    if not node.IsA("vtkMRMLSegmentationNode"):
        return True
    return bool(node.GetSegmentation().ContainsRepresentation("Closed surface"))


def _text_actor() -> Any:
    """The line at the upper left, smaller in a narrow view so that it is never cut off."""
    actor = vtk.vtkCornerAnnotation()
    actor.SetText(actor.UpperLeft, VIEW_NOTICE.replace(" - ", "\n"))  # two short lines fit into a narrow view
    actor.SetMaximumFontSize(FONT_SIZE_PX)
    actor.SetMinimumFontSize(LEAST_FONT_SIZE_PX)
    text = actor.GetTextProperty()
    text.SetColor(1.0, 0.85, 0.2)
    text.SetBackgroundColor(0.0, 0.0, 0.0)
    text.SetBackgroundOpacity(0.6)
    actor.SetPickable(False)
    return actor
