"""The names of a case's vertebrae as points in the scene: "L1" at its centroid, "L1?" if the count is unsure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER, LABEL_OF_NAME, NAME_OF_LABEL

if TYPE_CHECKING:
    from TomoRayLib.images.types import Volume

UNSURE_MARK = "?"  # behind a name


def add_names(node: Any, labels: Volume, unsure: bool, color: tuple[float, float, float]) -> None:
    """Fill a point list with one named point at the centroid of each vertebra of ``labels`` (VerSe numbers, LPS mm).

    The points are locked; they are hidden until views are chosen for them.
    """
    from TomoRayLib.anatomy.vertebra_field import centroids_of_labels

    centroids_mm = centroids_of_labels(labels.voxels, labels.grid)
    for label in CRANIOCAUDAL_ORDER:
        if label in centroids_mm:
            x, y, z = (float(value) for value in centroids_mm[label])
            node.AddControlPoint((-x, -y, z), shown_name(label, unsure))
    node.SetLocked(True)
    node.SetFixedNumberOfControlPoints(True)
    node.CreateDefaultDisplayNodes()
    look = node.GetDisplayNode()
    look.SetVisibility(False)
    for set_color in (look.SetColor, look.SetSelectedColor, look.SetActiveColor):
        set_color(*color)
    look.SetPropertiesLabelVisibility(False)
    look.SetPointLabelsVisibility(True)
    look.SetGlyphTypeFromString("Circle2D")
    look.SetGlyphScale(1.5)
    look.SetTextScale(3.5)
    look.SetOccludedVisibility(True)  # names inside the surfaces
    look.SetOccludedOpacity(1.0)
    look.SetSliceProjection(True)  # vertebrae beside the slice keep their names
    look.SetSliceProjectionUseFiducialColor(True)
    look.SetSliceProjectionOpacity(1.0)


def rename_points(node: Any, numbers: Mapping[int, int], unsure: bool) -> None:
    """Give each point the name of its new VerSe number, by the old one; a point that names no vertebra keeps its own.

    Args:
        node: A point list as ``add_names`` filled it; None is passed over.
        numbers: New VerSe number by the old one.
        unsure: Whether the new numbers are unsure.
    """
    if node is None:
        return
    was_modifying = node.StartModify()
    for place in range(node.GetNumberOfControlPoints()):
        label = LABEL_OF_NAME.get(node.GetNthControlPointLabel(place).removesuffix(UNSURE_MARK))
        if label is not None and label in numbers:
            node.SetNthControlPointLabel(place, shown_name(numbers[label], unsure))
    node.EndModify(was_modifying)


def shown_name(label: int, unsure: bool) -> str:
    """``"L1"``, or ``"L1?"`` if the count is unsure."""
    return NAME_OF_LABEL[label] + (UNSURE_MARK if unsure else "")


def count_is_unsure(provenance: Mapping[str, Any]) -> bool:
    """Return whether all numbers of a case's synthetic vertebrae may be too high or too low."""
    return bool(provenance.get("numbering") == UNSURE)


def truth_is_unsure(provenance: Mapping[str, Any]) -> bool:
    """Return whether those of its true ones may be: they are labels by TomoRay that it is not certain of."""
    from TomoRayLib.anatomy.vertebra_decoding import LEAST_CERTAINTY

    own = provenance.get("segmenter")
    return own is not None and float(own.get("certainty", 0.0)) < LEAST_CERTAINTY
