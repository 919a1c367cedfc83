"""Observers on the chosen nodes: the panel must change when an image is edited, moved or segmented."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import slicer
import vtk

SEGMENT_EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified")
NODE_EVENTS = ("ImageDataModifiedEvent", "TransformModifiedEvent", "PointModifiedEvent")


class Watch:
    """Calls ``changed`` whenever one of the watched nodes changes. ``follow`` says which nodes these are."""

    def __init__(self, changed: Callable[[], Any]) -> None:
        self._changed = changed
        self._tags: list[tuple[Any, int]] = []
        self._watched: list[Any] = []

    def follow(self, nodes: Iterable[Any]) -> None:
        """Watch these nodes (None among them is skipped) and no others."""
        wanted = [node for node in nodes if node is not None]
        if [id(node) for node in wanted] == [id(node) for node in self._watched]:
            return
        for subject, tag in self._tags:
            subject.RemoveObserver(tag)
        self._watched = wanted
        self._tags = [
            (subject, subject.AddObserver(event, lambda *_arguments: self._changed()))
            for node in wanted
            for subject, event in _events_of(node)
        ]


def _events_of(node: Any) -> list[tuple[Any, int]]:
    events = [(node, vtk.vtkCommand.ModifiedEvent)]
    events += [(node, getattr(node, name)) for name in NODE_EVENTS if hasattr(node, name)]
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        events += [(segmentation, getattr(slicer.vtkSegmentation, name)) for name in SEGMENT_EVENTS]
    return events
