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
    "height_error_mm": MetricColumn("height_error_mm", "Height error", "mm", 1, False, ""),
}
LARGEST_T = LABEL_OF_NAME["T12"]


def level_statistics(scores: Sequence[CaseScore], row: str) -> dict[str, dict[str, Statistic]]:
    """Compute statistics by level, from cranial to caudal.

    Args:
        scores: The cohort.
        row: The row whose vertebrae are meant.

    Returns:
        For each level that occurs, ``LEVEL_COLUMNS`` over its vertebrae; those cut by the field of view are left out.
        Undefined values (no bone predicted for a vertebra) are not counted.
    """
    found: dict[str, list[tuple[Any, str]]] = {}
    for score in scores:
        for vertebra in score.vertebrae.get(row, ()):
            if not vertebra["touches_edge"]:
                found.setdefault(str(vertebra["name"]), []).append((vertebra, score.subject))
    return {
        level: {key: statistic((_number(one[key]), person) for one, person in found[level]) for key in LEVEL_COLUMNS}
        for level in sorted(found, key=_place)
    }


def _place(level: str) -> float:
    """The level's place from the head: T13 (28) lies between T12 and L1."""
    label = LABEL_OF_NAME.get(level, 99)
    return LARGEST_T + 0.5 if label == T13_LABEL else label


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
