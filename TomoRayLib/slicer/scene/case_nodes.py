"""One case in the scene: its nodes, made from a results folder, found again after a scene is saved, and removed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.slicer.scene.case_files import CaseFiles, read_radiographs
from TomoRayLib.slicer.scene.nodes import NOTICE_KEY, in_scene, place_on_grid
from TomoRayLib.slicer.scene.segment_nodes import VERTEBRA_COLORS, add_segment
from TomoRayLib.slicer.scene.tables import fill_metrics_table

if TYPE_CHECKING:
    from TomoRayLib.images.types import Radiograph, Volume

PROVENANCE_KEY = "TomoRay.Provenance"  # and this one the synthetic CT itself
ROLE = "TomoRay."  # + field name: the references from the synthetic volume to the other nodes
OWNER_ROLE = "TomoRay.case"  # the reference back
TITLE_KEY = "TomoRay.Title"  # a node's name before Slicer made it unique
INPUT_ROLE = "TomoRay.input"  # the reference from the synthetic volume to the CT or AP radiograph it was made from
SYNTHETIC_COLOR = (0.90, 0.62, 0.0)  # Okabe and Ito's orange; the truth is their sky blue
TRUTH_COLOR = (0.34, 0.71, 0.91)


@dataclass(frozen=True)
class CaseNodes:
    """The nodes of one case. Without a true segmentation several are None; ``ap`` and ``lateral`` only with a CT."""

    synthetic: Any
    vertebrae: Any = None
    ap: Any = None
    lateral: Any = None
    truth: Any = None
    truth_vertebrae: Any = None
    difference: Any = None
    synthetic_surface: Any = None
    truth_surface: Any = None
    metrics: Any = None
    report: Any = None

    def all(self) -> list[Any]:
        """Every node that there is."""
        return [node for node in (getattr(self, item.name) for item in fields(self)) if node is not None]


def load_case(
    folder: Path,
    name: str,
    beside: Any = None,
    synthetic: Any = None,
    vertebrae: Any = None,
    *,
    inputs: Sequence[Any] = (),
) -> CaseNodes:
    """The case of a finished results folder as nodes, in a subject hierarchy folder beside the input node.

    ``synthetic`` and ``vertebrae`` are nodes to fill instead of making new ones; what an earlier case of the same input
    left around them is replaced. A node that belongs to a case of another input is left as it is, and a new one made.
    Nodes in ``inputs`` are never removed. All nodes appear, or none.
    """
    results = CaseFiles.read(folder)
    previous = find_case(synthetic) if synthetic is not None else None
    if previous is not None and previous.synthetic.GetNodeReference(INPUT_ROLE) is not beside:
        previous = synthetic = None
    if vertebrae is not None and vertebrae.GetNodeReference(OWNER_ROLE) not in (None, synthetic):
        vertebrae = None
    kept = [*(node for node in (synthetic, vertebrae) if node is not None), *inputs]
    with _all_or_none() as made:
        case = _made_case(results, name, synthetic, vertebrae, made)
        _place(case, name, beside)
    if previous is not None:
        _remove([node for node in previous.all() if not any(node is other for other in kept)])
        for node in made:  # the names that those before them had
            node.SetName(None)
            node.SetName(_unused_name(node.GetAttribute(TITLE_KEY)))
    return case


def load_radiographs(folder: Path, name: str, beside: Any = None) -> tuple[Any, Any]:
    """The rendered radiographs of a results folder as two volume nodes beside the CT."""
    pictures = read_radiographs(folder)
    with _all_or_none() as made:
        nodes = _radiographs(pictures, name, made)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        for node in nodes:
            _set_parent(hierarchy, node, _parent_of(hierarchy, beside))
    return nodes


def find_case(synthetic: Any) -> CaseNodes | None:
    """The case that a synthetic CT belongs to, by its node references; None for any other node."""
    if not in_scene(synthetic) or synthetic.GetAttribute(PROVENANCE_KEY) is None:
        return None
    others = {
        item.name: synthetic.GetNodeReference(ROLE + item.name)
        for item in fields(CaseNodes)
        if item.name != "synthetic"
    }
    return CaseNodes(synthetic, **others)


def find_cases() -> list[CaseNodes]:
    """Every case in the scene, the newest last."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [case for case in (find_case(node) for node in volumes) if case is not None]


def remove_case(case: CaseNodes) -> None:
    """Take a case out of the scene, its folder too."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(case.synthetic)
    parent = hierarchy.GetItemParent(item)
    _remove(case.all())
    if parent not in (0, hierarchy.GetSceneItemID()) and hierarchy.GetNumberOfItemChildren(parent) == 0:
        hierarchy.RemoveItem(parent)


def report_html(case: CaseNodes) -> str | None:
    """The case's report, one self-contained page; None where there is none."""
    return case.report.GetText() if case.report is not None else None


def _made_case(results: CaseFiles, name: str, synthetic: Any, vertebrae: Any, made: list[Any]) -> CaseNodes:
    """The nodes of a case: new ones first, so that the scene's own are filled only where nothing can fail any more."""
    nodes: dict[str, Any] = {}
    if results.metrics is not None:
        nodes["metrics"] = _add("vtkMRMLTableNode", _("Scores - {name}").format(name=name), made)
        fill_metrics_table(nodes["metrics"], results.metrics)
    if results.report is not None:
        nodes["report"] = _add("vtkMRMLTextNode", _("Report - {name}").format(name=name), made)
        nodes["report"].SetText(results.report)
    if results.radiographs is not None:
        nodes["ap"], nodes["lateral"] = _radiographs(results.radiographs, name, made)
    if results.truth is not None:
        nodes["truth"] = _volume_node(_("True CT in the window - {name}").format(name=name), results.truth, made)
    if results.truth is not None and results.labels is not None:  # without labels it is whole, and not to be compared
        difference = type(results.truth)(
            results.synthetic.voxels.astype(np.int16) - results.truth.voxels.astype(np.int16), results.truth.grid
        )
        title = _("Difference, synthetic - true - {name}").format(name=name)
        nodes["difference"] = _volume_node(title, difference, made)
        title = _("True vertebrae - {name}").format(name=name)
        nodes["truth_vertebrae"] = _segmentation_node(title, results.labels, nodes["truth"], made)
        title = _("True surface - {name}").format(name=name)
        nodes["truth_surface"] = _model_node(title, results.truth_surface, TRUTH_COLOR, made)
    title = _("SYNTHETIC surface - {name}").format(name=name)
    nodes["synthetic_surface"] = _model_node(title, results.synthetic_surface, SYNTHETIC_COLOR, made)
    synthetic = _volume_node(_("SYNTHETIC CT - {name}").format(name=name), results.synthetic, made, synthetic)
    _mark(synthetic, results.provenance)
    title = _("SYNTHETIC vertebrae - {name}").format(name=name)
    nodes["vertebrae"] = _segmentation_node(title, results.vertebrae, synthetic, made, vertebrae, is_synthetic=True)
    for field_name in ("vertebrae", "difference", "synthetic_surface", "metrics", "report"):
        if nodes.get(field_name) is not None:
            nodes[field_name].SetAttribute(NOTICE_KEY, NOTICE)
    case = CaseNodes(synthetic, **nodes)
    for item in fields(CaseNodes):
        if item.name != "synthetic":
            node = nodes.get(item.name)
            synthetic.SetNodeReferenceID(ROLE + item.name, node.GetID() if node is not None else None)
            if node is not None:
                node.SetNodeReferenceID(OWNER_ROLE, synthetic.GetID())
    return case


def _radiographs(pictures: tuple[Radiograph, Radiograph], name: str, made: list[Any]) -> tuple[Any, Any]:
    nodes = []
    for radiograph, title in zip(pictures, (_("AP, rendered - {name}"), _("Lateral, rendered - {name}")), strict=True):
        node = _add("vtkMRMLScalarVolumeNode", title.format(name=name), made)
        slicer.util.updateVolumeFromArray(node, radiograph.pixels[None])
        row_mm, column_mm = radiograph.pixel_spacing_mm or (1.0, 1.0)
        node.SetSpacing(column_mm, row_mm, 1.0)
        node.SetIJKToRASDirections(-1, 0, 0, 0, 0, -1, 0, -1, 0)  # upright in the coronal view: rows go down
        for key, text in radiograph.metadata.items():
            if key.startswith("TomoRay."):
                node.SetAttribute(key, text)
        _default_display(node)
        nodes.append(node)
    return nodes[0], nodes[1]


def _volume_node(name: str, volume: Volume, made: list[Any], node: Any = None) -> Any:
    if node is None:
        node = _add("vtkMRMLScalarVolumeNode", name, made)
    else:
        node.SetName(name)
    node.SetAndObserveTransformNodeID(None)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(volume.voxels))
    place_on_grid(node, volume.grid)
    _default_display(node)
    return node


def _default_display(node: Any) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()


def _segmentation_node(
    name: str, labels: Volume, reference: Any, made: list[Any], node: Any = None, *, is_synthetic: bool = False
) -> Any:
    """Labels as segments on the voxels of ``reference``: one of all synthetic vertebrae, or one a true vertebra."""
    if node is None:
        node = _add("vtkMRMLSegmentationNode", name, made)
    else:
        node.SetName(name)
    node.SetAndObserveTransformNodeID(None)
    node.GetSegmentation().RemoveAllSegments()
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    values = [int(value) for value in np.unique(labels.voxels) if value != 0]
    for number, value in enumerate(values):
        name, color = NAME_OF_LABEL.get(value, _("Spine")), VERTEBRA_COLORS[number % len(VERTEBRA_COLORS)]
        if is_synthetic:
            name, color = _("Vertebrae (synthetic)"), SYNTHETIC_COLOR
        add_segment(node, labels.voxels == value, labels.grid, name, color, f"vertebra_{value}")
    display = node.GetDisplayNode()
    display.SetVisibility3D(False)  # the surfaces are models, with distances
    display.SetAllSegmentsVisibility2DFill(False)
    display.SetSliceIntersectionThickness(2)
    return node


def _model_node(name: str, surface: Any, color: tuple[float, float, float], made: list[Any]) -> Any:
    """A surface as a model; None where there is none."""
    if surface is None:
        return None
    node = _add("vtkMRMLModelNode", name, made)
    node.SetAndObservePolyData(surface)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(*color)
    display.SetVisibility(True)
    display.SetScalarVisibility(False)
    return node


def _mark(synthetic: Any, provenance: Mapping[str, Any]) -> None:
    """Provenance as node attributes: the parts that people look for, and the whole."""
    model = provenance.get("model", {})
    attributes = {
        NOTICE_KEY: NOTICE,
        "TomoRay.Version": provenance.get("tomoray"),
        "TomoRay.Model": model.get("id"),
        "TomoRay.WeightsSha256": model.get("weights_sha256"),
        "TomoRay.WeightsLicence": model.get("licence"),
        "TomoRay.MadeAt": provenance.get("made_at"),
        "TomoRay.Device": provenance.get("device"),
        "TomoRay.Precision": provenance.get("precision"),
        "TomoRay.Views": json.dumps(provenance.get("views")),
        "TomoRay.Inputs": json.dumps(provenance.get("inputs")),
        PROVENANCE_KEY: json.dumps(provenance),
    }
    for key, text in attributes.items():
        synthetic.SetAttribute(key, text)
    synthetic.SetDescription(NOTICE)


def _place(case: CaseNodes, name: str, beside: Any) -> None:
    """All nodes of the case in one folder of the subject hierarchy, beside the input."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(case.synthetic)
    folder = hierarchy.GetItemParent(item)
    title = f"TomoRay: {name}"
    if in_scene(beside):
        case.synthetic.SetNodeReferenceID(INPUT_ROLE, beside.GetID())
    if not folder or hierarchy.GetItemName(folder) != title:
        folder = hierarchy.CreateFolderItem(_parent_of(hierarchy, beside), title)
    for node in case.all():
        _set_parent(hierarchy, node, folder)


def _parent_of(hierarchy: Any, beside: Any) -> int:
    item = hierarchy.GetItemByDataNode(beside) if in_scene(beside) else 0
    return hierarchy.GetItemParent(item) if item else hierarchy.GetSceneItemID()


def _set_parent(hierarchy: Any, node: Any, parent: int) -> None:
    item = hierarchy.GetItemByDataNode(node)
    if not item:
        item = hierarchy.CreateItem(parent, node)
    hierarchy.SetItemParent(item, parent)


def _add(class_name: str, name: str, made: list[Any]) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass(class_name, _unused_name(name))
    node.SetAttribute(TITLE_KEY, name)
    made.append(node)
    return node


def _unused_name(title: str) -> str:
    """The title itself where no node has it, else with a number behind it."""
    scene = slicer.mrmlScene
    return title if scene.GetFirstNodeByName(title) is None else scene.GenerateUniqueName(title)


@contextmanager
def _all_or_none() -> Iterator[list[Any]]:
    """Collects the nodes made inside; takes them out again where something fails."""
    made: list[Any] = []
    try:
        yield made
    except Exception:
        _remove(made)
        raise


def _remove(nodes: list[Any]) -> None:
    """Take nodes out of the scene at once, with their display and storage nodes."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    slicer.mrmlScene.StartState(slicer.mrmlScene.BatchProcessState)
    try:
        for node in nodes:
            if in_scene(node):
                _remove_one(node, hierarchy)
    finally:
        slicer.mrmlScene.EndState(slicer.mrmlScene.BatchProcessState)


def _remove_one(node: Any, hierarchy: Any) -> None:
    own = [node.GetNthDisplayNode(n) for n in range(_count(node, "GetNumberOfDisplayNodes"))]
    own += [node.GetNthStorageNode(n) for n in range(_count(node, "GetNumberOfStorageNodes"))]
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.RemoveItem(item, False, False)
    slicer.mrmlScene.RemoveNode(node)
    for helper in own:
        if in_scene(helper):
            slicer.mrmlScene.RemoveNode(helper)


def _count(node: Any, method: str) -> int:
    return int(getattr(node, method)()) if hasattr(node, method) else 0
