"""The measures of a case as markups that can be seen, dragged and read: lines of lengths, pairs of lines of angles.

Slicer's angle markup has three points, so its arms meet. Endplates are nearly parallel: their lines meet far outside of
the patient, and an angle with a nearer corner would not lie on both. So an angle between endplates is a pair of line
markups, each on its endplate, and both show the angle between them, which follows when one is dragged. Slicer draws no
line beside the slice, so both lie in one plane, as on a radiograph: half-way between the two vertebrae. The axial
rotation, whose arms do meet in the middle of the body, is an angle markup; a length along the spine is a curve.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from TomoRayLib.base.notices import NOTICE
from TomoRayLib.slicer.scene.measure_table import doubted
from TomoRayLib.slicer.scene.nodes import NOTICE_KEY, in_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from TomoRayLib.slicer.scene.node_creation import NewNodes

KINDS = ("synthetic", "truth")
KIND_KEY, MEASURE_KEY, SUBJECT_KEY, PART_KEY, NORMAL_KEY = (
    f"TomoRay.Measure{name}" for name in ("Of", "", "Subject", "Part", "Plane")
)
MARKUPS_ROLE = "TomoRay.markups"  # the references from the table of measures to its markups
UPPER, LOWER = "upper", "lower"
ANGLE = "angle"  # name of the measurement that both lines of an angle have
LINE_KIND, ANGLE_KIND, CURVE_KIND = (f"vtkMRMLMarkups{kind}Node" for kind in ("Line", "Angle", "Curve"))
RAS_OF_LPS = np.array([-1.0, -1.0, 1.0])


def add_markups(
    measures: Mapping[str, Any], new: NewNodes, rows: Iterable[Mapping[str, Any]] | None = None
) -> list[Any]:
    """Add the markups of each row of ``measures.json`` (or of ``rows`` alone): nothing is drawn until they are shown.

    They have no display nodes at first: Slicer draws a hundred hidden markups in each view, which costs seconds.
    """
    with _in_one_step():
        return [
            node
            for row in (measures["rows"] if rows is None else rows)
            for kind in KINDS
            if row[f"{kind}_lines_mm"]
            for node in _markups_of_row(measures, row, kind, new)
        ]


def connect_markups(table: Any, markups: Iterable[Any]) -> None:
    """Keep the references from a table of measures to its markups: they are saved with the scene."""
    table.RemoveNodeReferenceIDs(MARKUPS_ROLE)
    for node in markups:
        table.AddNodeReferenceID(MARKUPS_ROLE, node.GetID())


def markups_of(table: Any) -> list[Any]:
    """All markups of a table of measures that are still in the scene."""
    if table is None:
        return []
    nodes = [table.GetNthNodeReference(MARKUPS_ROLE, n) for n in range(table.GetNumberOfNodeReferences(MARKUPS_ROLE))]
    return [node for node in nodes if in_scene(node)]


def markups_of_measure(table: Any, key: str, subject: str) -> list[Any]:
    """The markups of one row, synthetic and true ones."""
    wanted = (key, subject)
    return [
        node for node in markups_of(table) if (node.GetAttribute(MEASURE_KEY), node.GetAttribute(SUBJECT_KEY)) == wanted
    ]


def is_synthetic(markup: Any) -> bool:
    """True for the markup of a synthetic measure."""
    return bool(markup.GetAttribute(KIND_KEY) == KINDS[0])


def middle_ras(markups: Iterable[Any]) -> tuple[float, float, float] | None:
    """The middle of all points of some markups, RAS mm; None without any."""
    places = [place for node in markups for place in _points_ras(node)]
    if not places:
        return None
    x, y, z = np.mean(places, axis=0).tolist()
    return x, y, z


def value_shown(markups: Iterable[Any]) -> float | None:
    """What the markups of one measure of one kind show now, mm or degrees: as measured, or as they were dragged."""
    nodes = list(markups)
    if not nodes or any(len(_points_ras(node)) < 2 for node in nodes):
        return None
    if len(nodes) == 2:
        return _angle_of(nodes)
    (node,) = nodes
    if node.IsA(ANGLE_KIND):
        return float(node.GetAngleDegrees())
    places = np.array(_points_ras(node))
    return float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())


def show_angle(pair: Iterable[Any]) -> None:
    """Write the angle between two lines onto both, where Slicer shows the measurement of a markup."""
    nodes = list(pair)
    angle_deg = _angle_of(nodes)
    for node in nodes:
        measurement = node.GetMeasurement(ANGLE)
        if measurement is None:
            measurement = slicer.vtkMRMLStaticMeasurement()
            measurement.SetName(ANGLE)
            measurement.SetUnits("°")
            measurement.SetPrintFormat("%.1f%s")
            node.AddMeasurement(measurement)
            node.GetMeasurement("length").SetEnabled(False)
        measurement.SetValue(angle_deg)
        node.UpdateAllMeasurements()


def rename_markups(table: Any, measures: Mapping[str, Any], names: Mapping[str, str], new: NewNodes) -> list[Any]:
    """Let the markups follow new names of the synthetic vertebrae; those that were dragged stay where they are.

    Args:
        table: The table of measures.
        measures: Its content after the renaming.
        names: New names of vertebrae by the old ones.
        new: Where markups come from of what is measured only now.

    Returns:
        Those that are of no measure any more.
    """
    from TomoRayLib.measures.measure import subject_renamed

    markups = markups_of(table)
    if measures["truth"] is None:
        for node in markups:
            node.SetAttribute(SUBJECT_KEY, subject_renamed(node.GetAttribute(SUBJECT_KEY), names))
    rows = {(row["key"], row["subject"]): row for row in measures["rows"]}
    kept: list[Any] = []
    gone: list[Any] = []
    for node in markups:
        row = rows.get((node.GetAttribute(MEASURE_KEY), node.GetAttribute(SUBJECT_KEY)))
        kind = node.GetAttribute(KIND_KEY)
        (kept if row is not None and row[f"{kind}_lines_mm"] else gone).append(node)
        if row is not None and kind == KINDS[0]:
            node.SetName(_name(measures, row, kind, node.GetAttribute(PART_KEY)))
    there = {(node.GetAttribute(MEASURE_KEY), node.GetAttribute(SUBJECT_KEY)) for node in kept}
    missing = [row for place, row in rows.items() if place not in there]
    connect_markups(table, [*kept, *add_markups(measures, new, missing)])
    return gone


def _markups_of_row(measures: Mapping[str, Any], row: Mapping[str, Any], kind: str, new: NewNodes) -> list[Any]:
    lines = np.array(row[f"{kind}_lines_mm"], dtype=np.float64)
    if row["unit"] != "°":
        ends = [*lines[:, 0], lines[-1, 1]]
        return [_markup(CURVE_KIND if len(lines) > 1 else LINE_KIND, ends, measures, row, kind, None, new)]
    (corner, first), (other, second) = lines
    if np.array_equal(corner, other):
        return [_markup(ANGLE_KIND, [first, corner, second], measures, row, kind, None, new)]
    normal = _normal_of(measures, row, kind)
    middle = lines.mean(axis=(0, 1))
    pair = []
    for part, ends in zip((UPPER, LOWER), lines, strict=True):
        in_one_plane = ends - ((ends.mean(axis=0) - middle) @ normal) * normal
        node = _markup(LINE_KIND, list(in_one_plane), measures, row, kind, part, new)
        node.SetAttribute(NORMAL_KEY, " ".join(f"{value:.6f}" for value in normal))
        pair.append(node)
    upper, lower = pair
    upper.SetNodeReferenceID(LOWER, lower.GetID())
    lower.SetNodeReferenceID(UPPER, upper.GetID())
    show_angle(pair)
    return pair


def _markup(
    class_name: str,
    places_mm: list[Any],
    measures: Mapping[str, Any],
    row: Mapping[str, Any],
    kind: str,
    part: str | None,
    new: NewNodes,
) -> Any:
    """Add a markup through places in LPS mm."""
    node = new.add(class_name, _name(measures, row, kind, part), unique=False)
    for place in places_mm:
        node.AddControlPointWorld((place * RAS_OF_LPS).tolist())
    node.SetFixedNumberOfControlPoints(True)
    if class_name == CURVE_KIND:
        node.SetCurveTypeToLinear()
        node.GetMeasurement("length").SetEnabled(True)
        node.UpdateAllMeasurements()
    node.SetAttribute(KIND_KEY, kind)
    node.SetAttribute(MEASURE_KEY, row["key"])
    node.SetAttribute(SUBJECT_KEY, row["subject"])
    node.SetAttribute(PART_KEY, part)
    node.SetDescription(measures["definitions"][row["key"]]["definition"])
    if kind == KINDS[0]:
        node.SetAttribute(NOTICE_KEY, NOTICE)
    return node


def _name(measures: Mapping[str, Any], row: Mapping[str, Any], kind: str, part: str | None) -> str:
    subject = doubted(measures, row["synthetic_subject"]) if kind == KINDS[0] else row["subject"]
    name = _("SYNTHETIC {of} {measure}") if kind == KINDS[0] else _("True {of} {measure}")
    said = name.format(of=subject, measure=_lower_first(row["title"]))
    return _("{name}, lower line").format(name=said) if part == LOWER else said


def _lower_first(title: str) -> str:
    return title if title.startswith("Cobb") else title[:1].lower() + title[1:]


def _normal_of(measures: Mapping[str, Any], row: Mapping[str, Any], kind: str) -> NDArray[np.float64]:
    """The unit vector across the plane of an angle, LPS: of the patient, or of a level."""
    from TomoRayLib.measures.line_angles import NORMAL

    if row["key"] in NORMAL:
        return NORMAL[row["key"]]
    subject = row["synthetic_subject"] if kind == KINDS[0] else row["subject"]
    vertebrae = {one["name"]: one for one in measures[kind]["vertebrae"]}
    upper, lower = (np.array(vertebrae[name]["axes"]["left"]) for name in subject.split("/"))
    side = np.asarray(upper + lower, dtype=np.float64)
    return side / np.linalg.norm(side)


def _angle_of(nodes: list[Any]) -> float:
    """The angle between two line markups in degrees, the upper one first; 0 if one has no length in its plane."""
    from TomoRayLib.measures.line_angles import angle_of_lines

    upper, lower = sorted(nodes, key=lambda node: node.GetAttribute(PART_KEY) != UPPER)
    normal = [float(value) for value in upper.GetAttribute(NORMAL_KEY).split()]
    lines = [np.array(_points_ras(node)) * RAS_OF_LPS for node in (upper, lower)]
    try:
        return angle_of_lines(upper.GetAttribute(MEASURE_KEY), lines, normal)
    except ValueError:
        return 0.0


def _points_ras(node: Any) -> list[list[float]]:
    places = []
    for number in range(node.GetNumberOfControlPoints()):
        ras = [0.0] * 3
        node.GetNthControlPointPositionWorld(number, ras)
        places.append(ras)
    return places


@contextmanager
def _in_one_step() -> Iterator[None]:
    """Add nodes in one step, after which Slicer's markups logic gives them no display nodes of its own."""
    scene = slicer.mrmlScene
    scene.StartState(scene.BatchProcessState)
    try:
        yield
    finally:
        scene.EndState(scene.BatchProcessState)
