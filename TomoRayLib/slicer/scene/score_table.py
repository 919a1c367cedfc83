"""The scores of a case as a table node, each next to two baselines: an empty volume and the mean spine atlas."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vtk
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from TomoRayLib.metrics.scores import MetricColumn

METRICS_KEY = "TomoRay.Metrics"  # node attribute: metrics.json as text, full precision, for the export
BEST = "\N{BLACK STAR}"
ROWS = ("tomoray", "blank", "mean_atlas")
# High for an empty volume already: in the table they come after the other main scores.
OF_THE_WHOLE_VOLUME = ("psnr_3d_db", "ssim_2d")


def fill_score_table(node, metrics: Mapping[str, Any]) -> None:
    """Fill a table node from ``MetricsTable.to_json_dict()``: one line per metric.

    The numbers are texts with the metric's own decimals, the best of a line marked by ``BEST``; full precision is kept
    for ``metrics_csv``. An arrow behind the score's name points to where better is.
    """
    from TomoRayLib.metrics.scores import METRIC_COLUMNS

    headings = (_("Score"), _("Synthetic"), _("Blank"), _("Mean atlas"))
    rows = [_line(metrics, column) for column in sorted(METRIC_COLUMNS, key=_place)]
    was_modifying = node.StartModify()
    node.RemoveAllColumns()
    for number, heading in enumerate(headings):
        column = vtk.vtkStringArray()
        column.SetName(heading)
        for row in rows:
            column.InsertNextValue(row[number])
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    node.SetAttribute(METRICS_KEY, json.dumps(metrics))
    node.EndModify(was_modifying)


def _line(metrics: Mapping[str, Any], column: MetricColumn) -> list[str]:
    """A score's name and its values; none is marked if the best two are the same."""
    values = [_value(metrics, row, column.key) for row in ROWS]
    sign = 1 if column.higher_is_better else -1
    known = sorted((sign * value for value in values if not math.isnan(value)), reverse=True)
    best = known[0] if len(known) > 1 and known[0] > known[1] else math.nan
    marks = [f"{BEST} " if sign * value == best else "" for value in values]
    arrow = "\N{UPWARDS ARROW}" if column.higher_is_better else "\N{DOWNWARDS ARROW}"
    texts = (f"{mark}{column.format(value)}" for mark, value in zip(marks, values, strict=True))
    return [f"{column.heading} {arrow}", *texts]


def metrics_csv(node) -> str:
    """The table as CSV in full precision: one line per metric, with ``synthetic``, ``blank`` and ``mean_atlas``."""
    from TomoRayLib.base.text_formats import csv_text
    from TomoRayLib.metrics.scores import METRIC_COLUMNS

    metrics = json.loads(node.GetAttribute(METRICS_KEY))
    rows = [
        (
            column.key,
            column.unit,
            *(_value(metrics, row, column.key) for row in ROWS),
            "higher" if column.higher_is_better else "lower",
        )
        for column in METRIC_COLUMNS
    ]
    return csv_text(("metric", "unit", "synthetic", "blank", "mean_atlas", "better"), rows)


def labels_by(node) -> str | None:
    """Whose labels the scores measure against if the CT has no segmentation; None with one."""
    found: str | None = json.loads(node.GetAttribute(METRICS_KEY)).get("labels_by")
    return found


def counted_ahead(node) -> tuple[int, int]:
    """Count the scores in which the synthetic CT is better than both baselines; returns (that number, all scores)."""
    from TomoRayLib.metrics.scores import METRIC_COLUMNS

    metrics = json.loads(node.GetAttribute(METRICS_KEY))
    ahead = 0
    for column in METRIC_COLUMNS:
        synthetic, *baselines = (_value(metrics, row, column.key) for row in ROWS)
        sign = 1 if column.higher_is_better else -1
        ahead += all(sign * synthetic > sign * baseline for baseline in baselines)
    return ahead, len(METRIC_COLUMNS)


def export_metrics(node, path: Path) -> None:
    """Write the scores as CSV atomically. Raises OutputError if the file cannot be written."""
    from TomoRayLib.base.files import write_atomically

    with write_atomically(path) as partial:
        partial.write_text(metrics_csv(node), encoding="utf-8")


def _place(column: MetricColumn) -> int:
    """The main scores that tell most about a spine come first; the others follow in the order of the report."""
    from TomoRayLib.metrics.scores import MAIN_SCORES

    first = [key for key in MAIN_SCORES if key not in OF_THE_WHOLE_VOLUME]
    return first.index(column.key) if column.key in first else len(first)


def _value(metrics: Mapping[str, Any], row: str, key: str) -> float:
    """A metric's value. JSON has neither infinity nor NaN: the flags tell them apart."""
    value = metrics["rows"][row][key]
    if value is not None:
        return float(value)
    infinite = metrics.get("flags", {}).get(row, {}).get("infinite", ())
    return math.inf if key in infinite else math.nan
