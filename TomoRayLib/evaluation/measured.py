"""Measures of a labelled prediction beside the true ones, as pairs that are kept with a case's row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.measures.comparison import KnownMeasures, MeasureRow, measure_rows
from TomoRayLib.measures.definitions import OF_CURVE
from TomoRayLib.measures.spine import MeasuredSpine
from TomoRayLib.metrics.vertebra_counts import Labels
from TomoRayLib.metrics.vertebra_matches import match_vertebrae
from TomoRayLib.synthesis.measured_case import measured_prediction


def measured_pairs(
    labels: Labels | None,
    true_labels: Labels,
    truth: MeasuredSpine,
    grid: Grid,
    cut: Collection[int],
    spine: Mapping[str, Any] | None,
) -> list[dict[str, Any]] | None:
    """Measure a labelled prediction and pair it with the truth by place.

    Args:
        labels: VerSe numbers (z, y, x) of the prediction; None if it tells no vertebrae apart.
        true_labels: The true ones, on the same grid.
        truth: Their measures.
        grid: The grid of both.
        cut: True vertebrae that the scan shows in part.
        spine: What a model says of its vertebrae (``DecodedSpine.to_json_dict``); None of other methods.

    Returns:
        ``key``, ``subject``, ``truth``, ``synthetic`` and ``reason`` of each measure that the truth has (a value is
        None if there is none); None without labels. Of each kind of curve those over the stretch that both have, or
        else the true ones, which the prediction lacks.
    """
    if labels is None:
        return None
    matched = match_vertebrae(labels, true_labels, grid.spacing_mm, cut)
    if matched is None:
        return None
    own = measured_prediction(labels, grid, _agreements(spine))
    places = {row.label: row.found_as for row in matched.rows if row.found_as is not None}
    rows = measure_rows(own, KnownMeasures(), truth, places)
    there = [row for row in rows if row.truth is not None and row.truth.value is not None]
    compared = {row.key for row in there if row.difference is not None}
    return [
        _kept(row) for row in there if row.difference is not None or row.key not in OF_CURVE or row.key not in compared
    ]


def _agreements(spine: Mapping[str, Any] | None) -> dict[int, float]:
    vertebrae: Sequence[Mapping[str, Any]] = spine["vertebrae"] if spine else ()
    return {LABEL_OF_NAME[one["name"]]: float(one["agreement"]) for one in vertebrae if "agreement" in one}


def _kept(row: MeasureRow) -> dict[str, Any]:
    values = row.to_json_dict()
    kept = {name: values[name] for name in ("key", "subject", "truth", "synthetic")}
    return {**kept, "reason": values["synthetic_reason"]}
