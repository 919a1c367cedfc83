"""Places of nodes in Slicer's subject hierarchy, and taking nodes out of the scene with everything that is theirs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import slicer

from TomoRayLib.slicer.scene.nodes import in_scene

SUBFOLDER_KEY = "TomoRay.Subfolder"  # attribute of a folder's item that goes with its last node


def put_next_to(nodes: Iterable[Any], neighbour: Any) -> None:
    """Put nodes into the folder of another node; at the top if that is None or gone."""
    hierarchy = _hierarchy()
    for node in nodes:
        _set_parent(hierarchy, node, _parent_of(hierarchy, neighbour))


def put_into_folder(nodes: list[Any], title: str, neighbour: Any) -> None:
    """Put nodes into one folder: that of the first node if it has this title, else a new one next to ``neighbour``."""
    hierarchy = _hierarchy()
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(nodes[0]))
    if not folder or hierarchy.GetItemName(folder) != title:
        folder = hierarchy.CreateFolderItem(_parent_of(hierarchy, neighbour), title)
    for node in nodes:
        _set_parent(hierarchy, node, folder)


def put_into_subfolder(nodes: list[Any], title: str) -> None:
    """Put nodes that are in one folder into a folder of their own inside it, which goes when the last of them does."""
    if not nodes:
        return
    hierarchy = _hierarchy()
    parent = _parent_of(hierarchy, nodes[0])
    while hierarchy.GetItemAttribute(parent, SUBFOLDER_KEY):
        parent = hierarchy.GetItemParent(parent)
    folder = next((item for item in _subfolders(hierarchy, parent) if hierarchy.GetItemName(item) == title), None)
    if folder is None:
        folder = hierarchy.CreateFolderItem(parent, title)
        hierarchy.SetItemAttribute(folder, SUBFOLDER_KEY, "1")
        hierarchy.SetItemExpanded(folder, False)
    for node in nodes:
        _set_parent(hierarchy, node, folder)


def remove_nodes(nodes: Iterable[Any]) -> None:
    """Take nodes out of the scene in one step, with their display and storage nodes."""
    hierarchy, scene = _hierarchy(), slicer.mrmlScene
    scene.StartState(scene.BatchProcessState)
    try:
        for node in nodes:
            if in_scene(node):
                _remove(node, hierarchy)
    finally:
        scene.EndState(scene.BatchProcessState)


def _remove(node: Any, hierarchy: Any) -> None:
    own = [node.GetNthDisplayNode(n) for n in range(_count(node, "GetNumberOfDisplayNodes"))]
    own += [node.GetNthStorageNode(n) for n in range(_count(node, "GetNumberOfStorageNodes"))]
    item = hierarchy.GetItemByDataNode(node)
    folder = hierarchy.GetItemParent(item) if item else 0
    if item:
        hierarchy.RemoveItem(item, False, False)
    slicer.mrmlScene.RemoveNode(node)
    if folder and hierarchy.GetItemAttribute(folder, SUBFOLDER_KEY) and not hierarchy.GetNumberOfItemChildren(folder):
        hierarchy.RemoveItem(folder, False, False)
    for helper in own:
        if in_scene(helper):
            slicer.mrmlScene.RemoveNode(helper)


def _count(node: Any, method: str) -> int:
    return int(getattr(node, method)()) if hasattr(node, method) else 0


def _subfolders(hierarchy: Any, parent: int) -> list[int]:
    children = [
        hierarchy.GetItemByPositionUnderParent(parent, n) for n in range(hierarchy.GetNumberOfItemChildren(parent))
    ]
    return [item for item in children if hierarchy.GetItemAttribute(item, SUBFOLDER_KEY)]


def _hierarchy() -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def _parent_of(hierarchy: Any, node: Any) -> int:
    item = hierarchy.GetItemByDataNode(node) if in_scene(node) else 0
    return hierarchy.GetItemParent(item) if item else hierarchy.GetSceneItemID()


def _set_parent(hierarchy: Any, node: Any, parent: int) -> None:
    item = hierarchy.GetItemByDataNode(node)
    if not item:
        item = hierarchy.CreateItem(parent, node)
    hierarchy.SetItemParent(item, parent)
