"""The demonstration case in the scene: a CT and its vertebrae."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import slicer
import slicer.util

from TomoRayLib.slicer.scene.nodes import place_on_grid
from TomoRayLib.slicer.scene.segment_nodes import add_vertebra

SAMPLE_KEYS = ("name", "source", "licence", "citation")  # as "TomoRay.Name", ... on the nodes of the sample


def sample_note(node: Any) -> str | None:
    """The sentence on its origin that reports of the sample carry; None for other nodes than its own and renderings."""
    from TomoRayLib.jobs.demonstration import origin_note

    stated = [node.GetAttribute(_attribute(key)) or "" for key in SAMPLE_KEYS] if node is not None else [""]
    return origin_note(*stated) if stated[0] else None


def pass_sample_note(source: Any, nodes: Iterable[Any]) -> None:
    """Let what was rendered from the sample carry its origin too."""
    for key in SAMPLE_KEYS:
        stated = source.GetAttribute(_attribute(key)) if source is not None else None
        for node in nodes if stated else ():
            node.SetAttribute(_attribute(key), stated)


def _attribute(key: str) -> str:
    return f"TomoRay.{key.capitalize()}"


def add_sample(results: Mapping[str, Any]) -> tuple[Any, Any]:
    """Add a demonstration case (CT in HU, one segment per vertebra), or return its nodes if they are still there."""
    from TomoRayLib.images.files import read_labels, read_volume

    name = results["name"]
    present = [slicer.mrmlScene.GetFirstNodeByName(f"{name} {what}") for what in ("CT", "vertebrae")]
    if all(node is not None for node in present):
        return present[0], present[1]
    ct, labels = read_volume(results["ct"]), read_labels(results["labels"])
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{name} CT")
    slicer.util.updateVolumeFromArray(volume, np.ascontiguousarray(ct.voxels))
    place_on_grid(volume, ct.grid)
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(1300.0, 400.0)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{name} vertebrae")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    values = [int(value) for value in np.unique(labels.voxels) if value != 0]
    for value in values:
        add_vertebra(segmentation, labels.voxels == value, labels.grid, value, f"vertebra_{value}")
    for node in (volume, segmentation):
        for key in SAMPLE_KEYS:
            node.SetAttribute(_attribute(key), results.get(key) or "")
    return volume, segmentation
