"""Statistics of single vertebrae by level, over the people of a cohort."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME, T13_LABEL
from TomoRayLib.metrics.scores import MetricColumn
from TomoRayLib.metrics.statistics import CaseScore, Statistic, statistic

LEVEL_COLUMNS: dict[str, MetricColumn] = {
    "dice": MetricColumn("dice", "Dice", "", 3, True, ""),
    "assd_mm": MetricColumn("assd_mm", "ASSD", "mm", 2, False, ""),
    "nsd_2mm": MetricColumn("nsd_2mm", "NSD 2 mm", "", 3, True, ""),
    "centroid_error_mm": MetricColumn("centroid_error_mm", "Centroid error", "mm", 1, False, ""),
    "body_height_error_mm": MetricColumn("body_height_error_mm", "Body height error", "mm", 1, False, ""),
}
BODY_HEIGHT = "height_middle_mm"  # the measure whose absolute difference is the body height error
LARGEST_T = LABEL_OF_NAME["T12"]


def level_statistics(scores: Sequence[CaseScore], row: str) -> dict[str, dict[str, Statistic]]:
    """Compute statistics by level, from cranial to caudal.

    Args:
        scores: The cohort.
        row: The row whose vertebrae are meant.

    Returns:
        For each level that occurs, ``LEVEL_COLUMNS`` over its vertebrae; those cut by the field of view are left out.
        Undefined values (no bone predicted for a vertebra, a body that was not measured) are not counted.
    """
    found: dict[str, list[tuple[Any, str]]] = {}
    for score in scores:
        heights_mm = _body_height_errors_mm(score, row)
        for vertebra in score.vertebrae.get(row, ()):
            if not vertebra["touches_edge"]:
                name = str(vertebra["name"])
                values = {**vertebra, "body_height_error_mm": heights_mm.get(name)}
                found.setdefault(name, []).append((values, score.subject))
    return {
        level: {key: statistic((_number(one[key]), person) for one, person in found[level]) for key in LEVEL_COLUMNS}
        for level in sorted(found, key=_place)
    }


def _body_height_errors_mm(score: CaseScore, row: str) -> dict[str, float]:
    """How far the middle heights of bodies are from the true ones, by the vertebra's true name."""
    return {
        str(one["subject"]): abs(float(one["synthetic"]) - float(one["truth"]))
        for one in score.measures.get(row, ())
        if one["key"] == BODY_HEIGHT and one["synthetic"] is not None
    }


def _place(level: str) -> float:
    """The level's place from the head: T13 (28) lies between T12 and L1."""
    label = LABEL_OF_NAME.get(level, 99)
    return LARGEST_T + 0.5 if label == T13_LABEL else label


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
