"""The fingerprint of a request: it tells whether a displayed result is still that of the chosen inputs."""

from __future__ import annotations

from dataclasses import replace

from TomoRayLib.slicer.request import CTInputs, Request, StudyInputs
from TomoRayLib.slicer.scene.nodes import index_to_lps, transform_problem
from TomoRayLib.slicer.scene.segment_nodes import BINARY_LABELMAP


def fingerprint(request: Request) -> tuple:
    """A value that is equal for two requests with the same result but for names: their choices, and their images."""
    inputs, settings = request.inputs, replace(request.settings, anchor=None)
    if isinstance(inputs, StudyInputs):
        vertebrae = (_image_key(inputs.segmentation), *_segment_keys(inputs.segmentation))
        return vertebrae, replace(inputs, segmentation=None), settings
    if isinstance(inputs, CTInputs):
        chosen: tuple = (_image_key(inputs.ct), _image_key(inputs.segmentation), *_segment_keys(inputs.segmentation))
        return chosen, inputs.preset, inputs.isocenter_mm, settings
    chosen = (_image_key(inputs.ap), _image_key(inputs.lateral))
    return chosen, replace(inputs, ap=None, lateral=None), settings


def _segment_keys(node) -> list[tuple]:
    """Name and state of each segment; empty for anything but a segmentation."""
    if node is None or not hasattr(node, "GetSegmentation"):
        return []
    segments = node.GetSegmentation()
    found = [segments.GetNthSegment(number) for number in range(segments.GetNumberOfSegments())]
    voxels = [segment.GetRepresentation(BINARY_LABELMAP) for segment in found]
    return [
        (segment.GetName(), image.GetMTime() if image is not None else 0)
        for segment, image in zip(found, voxels, strict=True)
    ]


def _image_key(node) -> tuple:
    if node is None:
        return ()
    image = node.GetImageData() if hasattr(node, "GetImageData") else None
    placed = tuple(index_to_lps(node).ravel()) if image is not None and transform_problem(node) is None else ()
    transform = node.GetParentTransformNode()
    return (
        node.GetID(),
        image.GetMTime() if image is not None else 0,
        transform.GetID() if transform is not None else "",
        transform.GetTransformToWorldMTime() if transform is not None else 0,
        placed,
    )
