"""A segmentation or label map in the scene to vertebra labels in VerSe numbering."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from TomoRayLib.anatomy.numberings import AUTO
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, WHOLE_SPINE_LABEL, label_of_structure
from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.scene.nodes import grid_of, in_scene, nothing_left_over, transform_problem, volume_of
from TomoRayLib.slicer.scene.segment_nodes import BINARY_LABELMAP

if TYPE_CHECKING:
    from TomoRayLib.geometry.grid import Grid
    from TomoRayLib.images.types import Volume

SPINE_WORDS = {"spine", "vertebrae", "vertebra", "vertebral", "bone"}


def label_of_text(text: str) -> int | None:
    """VerSe label that a segment's or a term's name means, None if it names no vertebra.

    Knows VerSe names and numbers ("T5", "vert_T5", "20"), TotalSegmentator's ("vertebrae_L1"), and terms in words
    ("L1 vertebra", "Vertebra L1", "fifth thoracic vertebra").

    >>> [label_of_text(name) for name in ("T5", "vertebrae_L1", "fifth thoracic vertebra", "rib_left_3")]
    [12, 20, 12, None]
    """
    if text.strip().isdecimal():
        return int(text) if int(text) in NAME_OF_LABEL else None
    return label_of_structure(text)


def label_of_segment(segment) -> int | None:
    """VerSe label of a segment, from its name, else from its terminology entry."""
    label = label_of_text(segment.GetName() or "")
    if label is not None:
        return label
    for term in _terms(segment):
        label = label_of_text(term)
        if label is not None:
            return label
    return None


def segmentation_problem(node) -> str | None:
    """Return why a segmentation or label map cannot be used, in a sentence; None if it can."""
    if node is None:
        return None
    if not in_scene(node):
        return _("The vertebra segmentation was deleted. Choose another, or none.")
    if node.IsA("vtkMRMLSegmentationNode"):
        if node.GetSegmentation().GetNumberOfSegments() == 0:
            return _("The segmentation {name} is empty. Choose another, or none.").format(name=node.GetName())
        if not _has_vertebra(node.GetSegmentation()):
            return no_vertebra_named(node)
    elif node.GetImageData() is None:
        return _("The label map {name} holds no image. Choose another, or none.").format(name=node.GetName())
    return transform_problem(node)


def _has_vertebra(segmentation) -> bool:
    segments = [segmentation.GetNthSegment(number) for number in range(segmentation.GetNumberOfSegments())]
    return any(label_of_segment(segment) is not None for segment in segments) or (
        len(segments) == 1 and _may_be_spine(segments[0])
    )


def no_vertebra_named(node) -> str:
    """The message for a segmentation in which no segment is recognised as a vertebra."""
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(number).GetName() for number in range(segmentation.GetNumberOfSegments())]
    sentence = _(
        "No segment of {name} is named as a vertebra (found: {found}). Name them T5, L1, ... or vertebrae_T5, ..., or "
        "set the terminology of each."
    ).format(name=node.GetName(), found=_some(names))
    if all(re.fullmatch(r"Segment_\d+", name or "") for name in names):
        sentence += " " + _("If its file holds VerSe numbers, load it as a label map instead.")
    return sentence


def goes_by_names(node, numbering: str = AUTO) -> bool:
    """Return whether the labels of a segmentation or label map are VerSe's by its names.

    Those of a segmentation always are. A label map's own numbers count if its colour table names none of them, or if
    their ``numbering`` is stated.
    """
    from TomoRayLib.images.masks.parts import labels_in

    if node.IsA("vtkMRMLSegmentationNode"):
        return True
    if numbering != AUTO:
        return False
    return any(label_of_structure(_color_name(node, value)) for value in labels_in(volume_of(node).voxels))


def labels_of(node, ct_node, numbering: str = AUTO) -> tuple[Volume, tuple[str, ...]]:
    """Vertebra labels (z, y, x) and notes: a segmentation on the CT's grid, a label map on its own.

    Without a CT node a segmentation is on its own grid too, cut to what it holds. They are in VerSe numbering if they
    go by names, else a label map's own numbers.

    Raises InputError if the node has no vertebra, or none inside the CT.
    """
    problem = segmentation_problem(node)
    if problem is not None:
        raise InputError(problem)
    if node.IsA("vtkMRMLSegmentationNode"):
        volume, notes = _labels_of_segmentation(node, ct_node)
    else:
        volume, notes = _labels_of_label_map(node, goes_by_names(node, numbering))
    if not volume.voxels.any() and ct_node is None:
        raise InputError(_("The segmentation {name} is empty. Choose another, or none.").format(name=node.GetName()))
    if not volume.voxels.any():
        raise InputError(
            _(
                "{name} has no vertebra inside the CT {ct}. Is it the segmentation of another patient? Choose the one "
                "of this CT, or none."
            ).format(name=node.GetName(), ct=ct_node.GetName())
        )
    return volume, notes


def _labels_of_segmentation(node, ct_node) -> tuple[Volume, tuple[str, ...]]:
    from TomoRayLib.images.types import Volume

    segmentation = node.GetSegmentation()
    segments = {number: segmentation.GetSegment(number) for number in segmentation.GetSegmentIDs()}
    labels = {number: label_of_segment(segment) for number, segment in segments.items()}
    chosen = {number: label for number, label in labels.items() if label is not None}
    notes = []
    if chosen:
        others = [segments[number].GetName() for number, label in labels.items() if label is None]
        if others:
            notes.append(_ignored(others))
    elif len(segments) == 1 and _may_be_spine(next(iter(segments.values()))):
        chosen = dict.fromkeys(segments, WHOLE_SPINE_LABEL)
        notes.append(_("{name} has one segment: taken as the whole spine.").format(name=node.GetName()))
    else:
        raise InputError(no_vertebra_named(node))
    meaning = np.array([0, *chosen.values()], np.uint8)
    numbered, grid = _numbered_segments(node, list(chosen), ct_node)
    return Volume(meaning[numbered], grid), tuple(notes)


def _numbered_segments(node, segment_ids: list[str], ct_node) -> tuple[np.ndarray, Grid]:
    """Segments as 1, 2, ... in the order given, 0 elsewhere, (z, y, x), and their grid: all transforms applied, that of
    the CT or, if it is None, of the segmentation itself.

    The node itself is not changed. If segments overlap, the last one counts.
    """
    scene = slicer.mrmlScene
    with nothing_left_over():
        label_map = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "TomoRay export")
        source = node
        if not node.GetSegmentation().ContainsRepresentation(BINARY_LABELMAP):
            source = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "TomoRay export copy")
            source.GetSegmentation().DeepCopy(node.GetSegmentation())
            if ct_node is not None:
                source.SetReferenceImageGeometryParameterFromVolumeNode(ct_node)
            source.SetAndObserveTransformNodeID(node.GetTransformNodeID())
            source.GetSegmentation().CreateRepresentation(BINARY_LABELMAP)
        ids = vtk.vtkStringArray()
        for segment_id in segment_ids:
            ids.InsertNextValue(segment_id)
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        if not logic.ExportSegmentsToLabelmapNode(source, ids, label_map, ct_node):
            raise InputError(
                _(
                    "The segments of {name} could not be exported to the grid of the CT. Check them in the module "
                    "Segmentations."
                ).format(name=node.GetName())
            )
        grid = grid_of(label_map if ct_node is None else ct_node)
        return np.array(slicer.util.arrayFromVolume(label_map), dtype=np.uint8), grid


def _labels_of_label_map(node, by_names: bool) -> tuple[Volume, tuple[str, ...]]:
    """A label map's own numbers or, if its colour table names vertebrae, the VerSe numbers of these names."""
    from TomoRayLib.images.masks.label_maps import renumbered
    from TomoRayLib.images.masks.parts import labels_in
    from TomoRayLib.images.types import Volume

    volume = volume_of(node)
    present = sorted(labels_in(volume.voxels))
    if not present:
        raise InputError(_("The label map {name} is empty. Choose another, or none.").format(name=node.GetName()))
    if not by_names:
        if min(present) < 0 or max(present) > WHOLE_SPINE_LABEL:
            raise InputError(
                _(
                    "The label map {name} contains the value {value}, but vertebra labels are 1 to 255. Choose the "
                    "vertebra label map."
                ).format(name=node.GetName(), value=max(present, key=abs))
            )
        return Volume(volume.voxels.astype(np.uint8), volume.grid), ()
    names = {value: _color_name(node, value) for value in present}
    meant = {value: label_of_structure(name) for value, name in names.items() if name}
    voxels = renumbered(volume.voxels, {value: label for value, label in meant.items() if label is not None})
    others = [names[value] or str(value) for value in present if meant.get(value) is None]
    return Volume(voxels, volume.grid), (_ignored(others),) if others else ()


def _color_name(node, value: int) -> str:
    display = node.GetDisplayNode()
    colors = display.GetColorNode() if display is not None else None
    return (colors.GetColorName(value) or "") if colors is not None else ""


def _terms(segment) -> list[str]:
    """The code meanings in a segment's terminology entry: ``context~category~type~...``, each split by ``^``."""
    entry = _tag(segment, "TerminologyEntry")
    return [part.split("^")[2] for part in entry.split("~") if part.count("^") >= 2 and part.split("^")[2]]


def _tag(segment, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def _may_be_spine(segment) -> bool:
    """True for a segment without a name of its own (Segment_1), or one named as spine or bone."""
    name = (segment.GetName() or "").lower()
    return name == "" or name.startswith("segment") or bool(SPINE_WORDS & set(re.split(r"[\s_\-]+", name)))


def _ignored(names: list[str]) -> str:
    return _("Not vertebrae, ignored: {names}.").format(names=_some(names))


def _some(names) -> str:
    listed = [name or "?" for name in names]
    return ", ".join(listed[:4]) + (", ..." if len(listed) > 4 else "")
