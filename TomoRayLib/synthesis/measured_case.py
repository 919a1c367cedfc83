"""The measures of one case: its synthetic vertebrae, the true ones if there are some, and both side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.base.text_formats import csv_text
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.measures.comparison import COLUMNS, KnownMeasures, MeasureRow, measure_rows, measures_dict
from TomoRayLib.measures.spine import MeasuredSpine, labels_of_unsure, measure_spine
from TomoRayLib.metrics.vertebra_counts import labels_cut_by_ends
from TomoRayLib.metrics.vertebra_matches import MatchedSpine

LEAST_AGREEMENT = 0.5  # share of a vertebra's voxels that agree on its centre; below it its ends are a guess


@dataclass(frozen=True, eq=False)
class CaseMeasures:
    """Measures of the synthetic vertebrae, of the true ones (None without them), and the table of both."""

    synthetic: MeasuredSpine
    truth: MeasuredSpine | None
    rows: tuple[MeasureRow, ...]

    def to_json_dict(self, spine: DecodedSpine) -> dict[str, Any]:
        """Return the content of ``measures.json``; ``spine`` says how sure the numbers are."""
        return {
            "notice": NOTICE,
            "numbering": spine.numbering,
            **measures_dict(self.rows, self.synthetic, self.truth),
        }

    def to_csv(self) -> str:
        """Return the table as CSV, one line for each measure."""
        return csv_text(COLUMNS, [row.to_csv_row() for row in self.rows])


def measured_prediction(
    labels: NDArray[np.integer], grid: Grid, agreements: Mapping[int, float] | None = None
) -> MeasuredSpine:
    """Measure the vertebrae of a synthetic CT or of another labelled prediction.

    Args:
        labels: VerSe numbers (z, y, x), z along the body.
        grid: Their grid.
        agreements: Share of each vertebra's voxels that agree on its centre; below ``LEAST_AGREEMENT`` it is unsure.

    Returns:
        The measures; what the first and the last slice cut has none.
    """
    unsure = labels_of_unsure(agreements or {}, LEAST_AGREEMENT)
    return measure_spine(labels, grid, cut=labels_cut_by_ends(labels), unsure=unsure)


def measured_truth(labels: NDArray[np.integer], grid: Grid, cut: Collection[int]) -> MeasuredSpine:
    """Measure the true vertebrae on the grid of a synthetic CT.

    Args:
        labels: VerSe numbers (z, y, x), z along the body.
        grid: Their grid.
        cut: Vertebrae that the ends of the CT cut, within this grid or not.

    Returns:
        The measures; what the CT or the first and the last slice cut has none.
    """
    return measure_spine(labels, grid, cut={*cut, *labels_cut_by_ends(labels)})


def case_measures(
    spine: DecodedSpine,
    grid: Grid,
    known: KnownMeasures,
    true_labels: NDArray[np.integer] | None = None,
    matched: MatchedSpine | None = None,
) -> CaseMeasures:
    """Measure the vertebrae of one case.

    Args:
        spine: The synthetic vertebrae on ``grid``.
        grid: Grid of the synthetic CT.
        known: The known errors of the model's measures, and the usual measures of other people.
        true_labels: VerSe numbers (z, y, x) on the same grid, if there are true vertebrae told apart.
        matched: Which synthetic vertebra lies in the place of which true one, and which of these are whole.

    Returns:
        The measures.
    """
    agreements = {vertebra.number: vertebra.agreement for vertebra in spine.vertebrae}
    synthetic = measured_prediction(spine.labels, grid, agreements)
    if true_labels is None or matched is None:
        return CaseMeasures(synthetic, None, measure_rows(synthetic, known))
    truth = measured_truth(true_labels, grid, {row.label for row in matched.rows if not row.whole})
    places = {row.label: row.found_as for row in matched.rows if row.found_as is not None}
    return CaseMeasures(synthetic, truth, measure_rows(synthetic, known, truth, places))
