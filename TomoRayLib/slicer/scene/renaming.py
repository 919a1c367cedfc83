"""All synthetic vertebrae of a case renamed at once from one that the user names, without another run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer.util
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from TomoRayLib.anatomy.vertebra_naming import new_numbers, renamed_vertebrae
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.scene.case_nodes import PROVENANCE_KEY, CaseNodes, sort_markups
from TomoRayLib.slicer.scene.hierarchy import put_next_to, remove_nodes
from TomoRayLib.slicer.scene.measure_markups import rename_markups
from TomoRayLib.slicer.scene.measure_table import fill_measure_table, measures_of
from TomoRayLib.slicer.scene.node_creation import NewNodes
from TomoRayLib.slicer.scene.nodes import LPS_OF_RAS
from TomoRayLib.slicer.scene.score_table import METRICS_KEY
from TomoRayLib.slicer.scene.segment_nodes import BINARY_LABELMAP, name_vertebra
from TomoRayLib.slicer.scene.segments import label_of_segment
from TomoRayLib.slicer.scene.vertebra_names import count_is_unsure, rename_points

if TYPE_CHECKING:
    from TomoRayLib.measures.comparison import KnownMeasures

REPORTED_KEY = "numbers_in_report"  # of the provenance: the numbers that the report has, once they are other ones
_BANNER = re.compile(r'<p class="renamed".*?</p>', re.DOTALL)
_BODY = re.compile(r"<body[^>]*>")


def named_vertebrae(case: CaseNodes) -> dict[str, Any] | None:
    """Return the provenance of a case whose synthetic vertebrae are told apart, with what ``DecodedSpine.to_json_dict``
    wrote of them; None if they are not, or if the case was made by an older version."""
    if case.vertebra_names is None:
        return None
    provenance: dict[str, Any] = json.loads(case.synthetic.GetAttribute(PROVENANCE_KEY))
    return provenance if provenance.get("vertebrae") else None


def rename_vertebrae(case: CaseNodes, was: int, becomes: int) -> None:
    """Rename segments, points, provenance and counts of a case, and say so in its report.

    Args:
        case: A case whose vertebrae are told apart.
        was: VerSe number of one of its synthetic vertebrae.
        becomes: The number that it gets; all others are counted from it.

    Raises:
        InputError: As ``anatomy.vertebra_naming.new_numbers`` does; nothing has changed then.
    """
    provenance = named_vertebrae(case)
    assert provenance is not None
    present = [one["number"] for one in provenance["vertebrae"]]
    numbers = new_numbers(present, was, becomes)
    reported = provenance.get(REPORTED_KEY, present)
    renamed = {**provenance, **renamed_vertebrae(provenance, was, becomes), REPORTED_KEY: reported}
    scores = _renamed_scores(case.metrics, numbers, renamed)  # what may fail comes before anything has changed
    measures = _renamed_measures(case, numbers, renamed)
    if measures is not None:
        _rename_measure_nodes(case, numbers, measures)
    if scores is not None:
        case.metrics.SetAttribute(METRICS_KEY, json.dumps(scores))
    _rename_segments(case.vertebrae, numbers)
    rename_points(case.vertebra_names, numbers, count_is_unsure(renamed))
    case.synthetic.SetAttribute(PROVENANCE_KEY, json.dumps(renamed))
    if case.report is not None:
        now = [one["number"] for one in renamed["vertebrae"]]
        case.report.SetText(_with_banner(case.report.GetText(), reported, now, becomes))


def report_is_old(provenance: Mapping[str, Any]) -> bool:
    """Return whether the vertebrae of a case have other names by now than in its report."""
    now = [one["number"] for one in provenance["vertebrae"]]
    return bool(provenance.get(REPORTED_KEY, now) != now)


def anchor_of(case: CaseNodes) -> str | None:
    """Return what names the vertebrae of another run with the same inputs as the user named those of this case.

    Returns:
        ``"L1=X,Y,Z"``, a place inside that vertebra in LPS mm; None if the user named none, or its segment is gone.
    """
    provenance = named_vertebrae(case)
    if provenance is None or not provenance.get("named_by_you") or case.vertebrae is None:
        return None
    segmentation = case.vertebrae.GetSegmentation()
    for place in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(place)
        label = label_of_segment(segment)
        if label is not None and NAME_OF_LABEL[label] == provenance["named_by_you"]["name"]:
            inside = _place_inside(segment)
            return None if inside is None else f"{NAME_OF_LABEL[label]}={','.join(f'{value:.2f}' for value in inside)}"
    return None


def _rename_segments(node: Any, numbers: Mapping[int, int]) -> None:
    if node is None:
        return
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetNthSegment(place) for place in range(segmentation.GetNumberOfSegments())]
    for segment, label in [(segment, label_of_segment(segment)) for segment in segments]:
        if label is not None and label in numbers:
            name_vertebra(segment, numbers[label])


def _renamed_scores(table: Any, numbers: Mapping[int, int], spine: Mapping[str, Any]) -> dict[str, Any] | None:
    """The scores with what they say of vertebrae found and named under the new names; None if they say nothing."""
    metrics = json.loads(table.GetAttribute(METRICS_KEY)) if table is not None else {}
    if "counting" not in metrics:
        return None
    from TomoRayLib.metrics.vertebra_matches import renamed_matches

    before = metrics["counting"]
    said = {key: spine[key] for key in ("vertebrae", "numbering", "numbering_certainty", "named_by_you")}
    return {**metrics, "counting": {**before, **renamed_matches(before, numbers), **said}}


def _renamed_measures(case: CaseNodes, numbers: Mapping[int, int], spine: Mapping[str, Any]) -> dict[str, Any] | None:
    """The measures under the new names; kyphosis and lordosis lie between other vertebrae then. None without any."""
    if case.measures is None:
        return None
    from TomoRayLib.measures.renaming import renamed_measures

    content = {**measures_of(case.measures), "numbering": spine["numbering"]}
    return renamed_measures(content, numbers, _known_measures(spine))


def _rename_measure_nodes(case: CaseNodes, numbers: Mapping[int, int], measures: Mapping[str, Any]) -> None:
    """Table and markups of the measures."""
    names = {NAME_OF_LABEL[old]: NAME_OF_LABEL[now] for old, now in numbers.items()}
    with NewNodes() as new:
        gone = rename_markups(case.measures, measures, names, new)
        put_next_to(new.nodes, case.measures)
    remove_nodes(gone)
    fill_measure_table(case.measures, measures)
    sort_markups(case)


def _known_measures(provenance: Mapping[str, Any]) -> KnownMeasures:
    """Errors and usual measures of the case's model; no errors if the registry has other weights by now."""
    from TomoRayLib.measures.comparison import KnownMeasures
    from TomoRayLib.weights import find_model, load_known_measures

    model = provenance.get("model", {})
    try:
        entry = find_model(model.get("id"))
        known = load_known_measures(entry)
    except InputError:
        return KnownMeasures()
    return known if entry.sha256 == model.get("weights_sha256") else KnownMeasures(usual=known.usual)


def _with_banner(html: str, reported: list[int], now: list[int], chosen: int) -> str:
    """The report with a sentence on top about its names, if they are not the present ones; ``chosen`` was named."""
    plain = _BANNER.sub("", html)
    if reported == now:
        return plain
    sentence = _(
        "The synthetic vertebrae were renamed in 3D Slicer after this report was made: {before} is {name} now, and all "
        "others follow. Names below are those before; press Synthesize again for a report with the new ones."
    ).format(before=NAME_OF_LABEL[reported[now.index(chosen)]], name=NAME_OF_LABEL[chosen])
    banner = f'<p class="renamed" style="border:2px solid #b35c00;padding:0.5em"><b>{sentence}</b></p>'
    body = _BODY.search(plain)
    return banner + plain if body is None else plain[: body.end()] + banner + plain[body.end() :]


def _place_inside(segment: Any) -> tuple[float, float, float] | None:
    """The voxel of a segment that is nearest to its middle, in LPS mm; None for an empty segment."""
    image = segment.GetRepresentation(BINARY_LABELMAP)
    if image is None or image.GetPointData().GetScalars() is None:
        return None
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    places = np.argwhere(voxels == segment.GetLabelValue())  # several segments of a loaded scene share an image
    if not len(places):
        return None
    k, j, i = places[np.linalg.norm(places - places.mean(axis=0), axis=1).argmin()]
    to_ras = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_ras)
    x, y, z, _one = LPS_OF_RAS @ slicer.util.arrayFromVTKMatrix(to_ras) @ (i + i0, j + j0, k + k0, 1.0)
    return (float(x), float(y), float(z))
