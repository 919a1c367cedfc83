"""One case in the scene: its nodes, added from a results folder, and found again after a scene is saved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.base.notices import NOTICE
from TomoRayLib.slicer.scene.hierarchy import put_into_folder, put_into_subfolder, put_next_to, remove_nodes
from TomoRayLib.slicer.scene.measure_markups import add_markups, connect_markups, is_synthetic, markups_of
from TomoRayLib.slicer.scene.measure_table import fill_measure_table
from TomoRayLib.slicer.scene.node_creation import SYNTHETIC_COLOR, TRUTH_COLOR, NewNodes
from TomoRayLib.slicer.scene.nodes import NOTICE_KEY, Role, in_scene, problem_of
from TomoRayLib.slicer.scene.outlines import field_of_node, lay_on
from TomoRayLib.slicer.scene.results_on_disk import ResultFiles, read_radiographs
from TomoRayLib.slicer.scene.sample_nodes import pass_sample_note
from TomoRayLib.slicer.scene.score_table import fill_score_table
from TomoRayLib.slicer.scene.vertebra_names import count_is_unsure, truth_is_unsure

if TYPE_CHECKING:
    from TomoRayLib.images.types import Radiograph

PROVENANCE_KEY = "TomoRay.Provenance"  # attribute of the synthetic CT of a case, and of no other node
INPUTS_KEY = "TomoRay.InputNodes"  # attribute of the synthetic CT: the names of the nodes that it was made from
ROLE = "TomoRay."  # + field name: the references from the synthetic CT to the other nodes
INPUTS_ROLE = "TomoRay.inputs"  # the references to all nodes that it was made from, in the order of ``INPUTS_KEY``
SOURCE_KEY = "TomoRay.Source"  # attribute of the synthetic CT: which study on disk it was made from, if any
OWNER_ROLE = "TomoRay.case"  # the reference back
INPUT_ROLE = "TomoRay.input"  # the reference from the synthetic CT to the CT or AP radiograph it was made from

VIEWS = ("ap", "lateral")


@dataclass(frozen=True)
class CaseNodes:
    """The nodes of one case. Several are None without a true segmentation, ``ap`` and ``lateral`` without a CT.

    ``vertebra_names`` and ``measures`` (the table, which refers to the markups) are None for a model that does not tell
    vertebrae apart, ``truth_names`` for such a truth.

    ``ap_outline`` and ``lateral_outline``, label maps of the synthetic bone on the radiographs, are None in cases of
    older versions.
    """

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
    ap_outline: Any = None
    lateral_outline: Any = None
    vertebra_names: Any = None
    truth_names: Any = None
    measures: Any = None

    def all(self) -> list[Any]:
        """Every node that there is, the markups of the measures included."""
        nodes = [node for node in (getattr(self, item.name) for item in fields(self)) if node is not None]
        return [*nodes, *markups_of(self.measures)]


def add_case(
    folder: Path,
    title: str,
    main_input: Any = None,
    synthetic: Any = None,
    vertebrae: Any = None,
    *,
    inputs: Sequence[Any] = (),
    source: str | None = None,
) -> CaseNodes:
    """Add the case of a results folder to the scene: all of its nodes, or none.

    Args:
        folder: Results of a synthesis.
        title: Name of the case; part of each node's name.
        main_input: CT or AP radiograph that the case is placed next to.
        synthetic: Scalar volume node to fill instead of adding one. What an earlier case of the same input left around
            it is replaced; if it belongs to a case of another input it is left as it is, and a new node is added.
        vertebrae: Segmentation node to fill, likewise.
        inputs: Nodes that the case was made from; they are never removed.
        source: What tells a study on disk, the input in place of a node, from others.

    Raises:
        InputError: If a file of the folder cannot be read.
        OSError: If a file is missing.
    """
    results = ResultFiles.read(folder)
    synthetic, vertebrae = (node if in_scene(node) else None for node in (synthetic, vertebrae))
    previous = case_of(synthetic)
    if previous is not None and not is_made_from(previous, main_input, source):
        previous = synthetic = None
    if vertebrae is not None and vertebrae.GetNodeReference(OWNER_ROLE) not in (None, synthetic):
        vertebrae = None
    kept = [*(node for node in (synthetic, vertebrae) if node is not None), *inputs]
    with NewNodes() as new:
        case = _nodes_of(results, title, synthetic, vertebrae, new)
        if in_scene(main_input):
            case.synthetic.SetNodeReferenceID(INPUT_ROLE, main_input.GetID())
            pass_sample_note(main_input, [node for node in (case.ap, case.lateral) if node is not None])
        put_into_folder(case.all(), f"TomoRay: {title}", main_input)
        sort_markups(case)
    if previous is not None:
        remove_nodes([node for node in previous.all() if not any(node is other for other in kept)])
        new.restore_titles()
    case.synthetic.SetAttribute(SOURCE_KEY, source)
    case.synthetic.RemoveNodeReferenceIDs(INPUTS_ROLE)
    for node in inputs:
        case.synthetic.AddNodeReferenceID(INPUTS_ROLE, node.GetID())
    if inputs:
        case.synthetic.SetAttribute(INPUTS_KEY, json.dumps([node.GetName() for node in inputs]))
    for view in VIEWS:
        outline_on_radiograph(case, view)
    return case


def sort_markups(case: CaseNodes) -> None:
    """Put the markups of a case, which are many, into two folders of its folder, and let them refer to the case."""
    markups = markups_of(case.measures)
    for node in markups:
        node.SetNodeReferenceID(OWNER_ROLE, case.synthetic.GetID())
    put_into_subfolder([node for node in markups if is_synthetic(node)], _("Measures, SYNTHETIC"))
    put_into_subfolder([node for node in markups if not is_synthetic(node)], _("Measures, true"))


def add_radiographs(folder: Path, title: str, ct: Any = None) -> tuple[Any, Any]:
    """Add the rendered radiographs (AP, lateral) of a results folder as volume nodes next to the CT."""
    pair = read_radiographs(folder)
    with NewNodes() as new:
        nodes = _radiographs(pair, title, new)
        pass_sample_note(ct, nodes)
        put_next_to(nodes, ct)
    return nodes


def case_of(synthetic: Any) -> CaseNodes | None:
    """The case that a synthetic CT belongs to, by its node references; None for any other node."""
    if not in_scene(synthetic) or synthetic.GetAttribute(PROVENANCE_KEY) is None:
        return None
    others = {
        item.name: synthetic.GetNodeReference(ROLE + item.name)
        for item in fields(CaseNodes)
        if item.name != "synthetic"
    }
    return CaseNodes(synthetic, **others)


def radiograph_node(case: CaseNodes, view: str) -> Any:
    """The node of a radiograph, "ap" or "lateral": the case's own, else the input; None if it is gone."""
    if case.ap is not None:
        return getattr(case, view)
    return case.synthetic.GetNthNodeReference(INPUTS_ROLE, VIEWS.index(view))


def arrangement_of(case: CaseNodes) -> dict[str, Any]:
    """How the radiographs' nodes were turned, mirrored and inverted for the network; those of a CT were not."""
    provenance = json.loads(case.synthetic.GetAttribute(PROVENANCE_KEY))
    return dict(provenance.get("arrangement", {})) if case.ap is None else {}


def outline_on_radiograph(case: CaseNodes, view: str) -> Any:
    """The outline of the synthetic bone, laid on the radiograph's node as that is stored.

    Returns:
        Its label map; None if the case has none, if the radiograph is gone or has other proportions by now, and if a
        transform moves it.
    """
    outline, radiograph = getattr(case, f"{view}_outline"), radiograph_node(case, view)
    role = Role.AP if view == "ap" else Role.LATERAL
    if outline is None or problem_of(radiograph, role) is not None:
        return None
    how = arrangement_of(case)
    upright = field_of_node(radiograph).made_upright(bool(how.get(f"flip_{view}")), int(how.get(f"turn_{view}", 0)))
    return outline if lay_on(outline, upright) else None


def is_made_from(case: CaseNodes, main_input: Any, source: str | None) -> bool:
    """True if a case is of this input node, or of this study on disk."""
    made_from = case.synthetic.GetNodeReference(INPUT_ROLE)
    return made_from is main_input and case.synthetic.GetAttribute(SOURCE_KEY) == source


def cases_in_scene() -> list[CaseNodes]:
    """Every case in the scene, the newest last."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [case for case in (case_of(node) for node in volumes) if case is not None]


def report_html(case: CaseNodes) -> str | None:
    """The report of a case, one self-contained page; None if it has none."""
    return case.report.GetText() if case.report is not None else None


def _nodes_of(results: ResultFiles, title: str, synthetic: Any, vertebrae: Any, new: NewNodes) -> CaseNodes:
    """The nodes of a case. New ones come first: nodes of the scene are filled when nothing can fail any more."""
    nodes: dict[str, Any] = {}
    if results.metrics is not None:
        nodes["metrics"] = new.add("vtkMRMLTableNode", _("Scores - {name}").format(name=title))
        fill_score_table(nodes["metrics"], results.metrics)
    if results.report is not None:
        nodes["report"] = new.text(_("Report - {name}").format(name=title), results.report)
    if results.radiographs is not None:
        are_scouts = bool(results.provenance.get("inputs", {}).get("study"))
        nodes["ap"], nodes["lateral"] = _radiographs(results.radiographs, title, new, are_scouts)
    if results.truth is not None:
        nodes["truth"] = new.volume(_("True CT in the window - {name}").format(name=title), results.truth)
    if results.truth is not None and results.labels is not None:  # without labels it is the whole CT: not comparable
        difference = type(results.truth)(
            results.synthetic.voxels.astype(np.int16) - results.truth.voxels.astype(np.int16), results.truth.grid
        )
        name = _("Difference, synthetic - true - {name}").format(name=title)
        nodes["difference"] = new.volume(name, difference)
        owner = results.provenance.get("labels_by")
        kind = _("True vertebrae, {owner} - {name}") if owner else _("True vertebrae - {name}")
        name = kind.format(owner=owner, name=title)
        nodes["truth_vertebrae"] = new.segmentation(name, results.labels, nodes["truth"])
        name = _("Names of true vertebrae - {name}").format(name=title)
        nodes["truth_names"] = new.names(name, results.labels, truth_is_unsure(results.provenance), TRUTH_COLOR)
        name = _("True surface - {name}").format(name=title)
        nodes["truth_surface"] = new.model(name, results.truth_surface, TRUTH_COLOR)
    outline_names = (_("SYNTHETIC outline on AP - {name}"), _("SYNTHETIC outline on lateral - {name}"))
    for view, name, bone_mm in zip(VIEWS, outline_names, results.bone_mm, strict=True):
        if bone_mm is not None:
            nodes[f"{view}_outline"] = new.outline(name.format(name=title), bone_mm)
    if results.told_apart:
        name = _("Names of SYNTHETIC vertebrae - {name}").format(name=title)
        unsure = count_is_unsure(results.provenance)
        nodes["vertebra_names"] = new.names(name, results.vertebrae, unsure, SYNTHETIC_COLOR)
    if results.measures is not None:
        nodes["measures"] = new.add("vtkMRMLTableNode", _("Measures - {name}").format(name=title))
        fill_measure_table(nodes["measures"], results.measures)
        connect_markups(nodes["measures"], add_markups(results.measures, new))
    name = _("SYNTHETIC surface - {name}").format(name=title)
    nodes["synthetic_surface"] = new.model(name, results.synthetic_surface, SYNTHETIC_COLOR)
    synthetic = new.volume(_("SYNTHETIC CT - {name}").format(name=title), results.synthetic, synthetic)
    name = _("SYNTHETIC vertebrae - {name}").format(name=title)
    nodes["vertebrae"] = new.segmentation(name, results.vertebrae, synthetic, vertebrae, told_apart=results.told_apart)
    case = CaseNodes(synthetic, **nodes)
    _mark(case, results.provenance)
    _connect(case)
    return case


def _radiographs(
    pair: tuple[Radiograph, Radiograph], title: str, new: NewNodes, are_scouts: bool = False
) -> tuple[Any, Any]:
    names = (_("AP, rendered - {name}"), _("Lateral, rendered - {name}"))
    if are_scouts:
        names = (_("AP, scout - {name}"), _("Lateral, scout - {name}"))
    ap, lateral = (new.radiograph(name.format(name=title), image) for name, image in zip(names, pair, strict=True))
    return ap, lateral


def _connect(case: CaseNodes) -> None:
    """References from the synthetic CT to the other nodes and back: they are saved with the scene."""
    for item in fields(CaseNodes):
        if item.name != "synthetic":
            node = getattr(case, item.name)
            case.synthetic.SetNodeReferenceID(ROLE + item.name, node.GetID() if node is not None else None)
            if node is not None:
                node.SetNodeReferenceID(OWNER_ROLE, case.synthetic.GetID())


def _mark(case: CaseNodes, provenance: Mapping[str, Any]) -> None:
    """The notice on every synthetic node, and provenance on the synthetic CT: the parts people look for, and all."""
    others = (case.vertebrae, case.difference, case.synthetic_surface, case.metrics, case.report)
    for node in (*others, case.ap_outline, case.lateral_outline, case.vertebra_names, case.measures):
        if node is not None:
            node.SetAttribute(NOTICE_KEY, NOTICE)
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
        case.synthetic.SetAttribute(key, text)
    case.synthetic.SetDescription(NOTICE)
