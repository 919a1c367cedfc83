"""Scores of single vertebrae by level: body heights from the measures, not the extent of labels with processes."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pytest

from support.cohort_scores import three_scores
from TomoRayLib.metrics.statistics import CaseScore
from TomoRayLib.report.cohort_levels import LEVEL_COLUMNS, level_statistics
from TomoRayLib.report.cohort_result import CohortResult
from TomoRayLib.report.cohort_tables import levels_csv


def a_pair(key: str, subject: str, truth: float, synthetic: float | None) -> dict[str, object]:
    return {"key": key, "subject": subject, "truth": truth, "synthetic": synthetic, "reason": None}


def measured_scores() -> tuple[CaseScore, ...]:
    """Bodies of L1 are 2.5 mm too low and 1 mm too high, that of T12 is not measured; L4 has no measures at all."""
    first, second, third = three_scores()
    of_first = [
        a_pair("height_middle_mm", "L1", 25.0, 22.5),
        a_pair("height_anterior_mm", "L1", 26.0, 16.0),
        a_pair("height_middle_mm", "T12", 23.0, None),
    ]
    of_other = [a_pair("height_middle_mm", "L1", 24.0, 25.0)]
    again = replace(first, name="sub-c", subject="sub-c", measures={"tomoray": of_other})
    return replace(first, measures={"tomoray": of_first}), second, third, again


def test_the_height_is_that_of_the_body_where_it_was_measured() -> None:
    levels = level_statistics(measured_scores(), "tomoray")
    found = levels["L1"]["body_height_error_mm"]
    assert (found.n, found.mean) == (2, pytest.approx(1.75))
    for level in ("T12", "L4"):
        assert levels[level]["body_height_error_mm"].n == 0
        assert math.isnan(levels[level]["body_height_error_mm"].mean)
        assert levels[level]["dice"].n > 0
    assert level_statistics(measured_scores(), "mean_atlas")["L1"]["body_height_error_mm"].n == 0


def test_levels_are_a_table_with_units() -> None:
    lines = list(csv.DictReader(io.StringIO(levels_csv(CohortResult("C", measured_scores(), (), (), {})))))
    (line,) = (
        one for one in lines if (one["row"], one["level"], one["metric"]) == ("tomoray", "L1", "body_height_error_mm")
    )
    assert (line["unit"], line["n"], float(line["mean"])) == ("mm", "2", pytest.approx(1.75))
    assert {one["metric"] for one in lines} == set(LEVEL_COLUMNS)
