"""Measures of a synthetic spine beside the true one: paired by place, errors beside values, reasons for gaps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.stacked_boxes import BoxVertebra, grid_around, label_volume
from TomoRayLib.measures.comparison import COLUMNS, NOT_FOUND, KnownMeasures, measure_rows, measures_dict
from TomoRayLib.measures.known_errors import KnownError
from TomoRayLib.measures.spine import MeasuredSpine, measure_spine
from TomoRayLib.measures.usual import Usual

TRUE = [BoxVertebra(20 + number, (1.2, 0.3, 80.3 - 36.0 * number), roll_deg=6.0 * number) for number in range(4)]
ERROR = KnownError("height_anterior_mm", 40, 6, -0.5, -3.0, 2.0, 1.0, 0.8, "L1", "L3", guess=1.9)
KNOWN = KnownMeasures({"height_anterior_mm": ERROR}, {("height_anterior_mm", "L2"): Usual(26.5, 2.1, 20)})


def measured(boxes: list[BoxVertebra]) -> MeasuredSpine:
    grid = grid_around(TRUE, (1.0, 1.0, 1.0))
    return measure_spine(label_volume(boxes, grid), grid)


@pytest.fixture(scope="module")
def truth() -> MeasuredSpine:
    return measured(TRUE)


@pytest.fixture(scope="module")
def one_too_high() -> MeasuredSpine:
    """The same vertebrae, lower in front, all numbers one too high, and the lowest one missing."""
    return measured([replace(box, label=box.label + 1, anterior_mm=22.0) for box in TRUE[:3]])


def test_without_a_truth_every_measure_is_a_row_with_its_known_error(truth) -> None:
    rows = measure_rows(truth, KNOWN)
    assert len(rows) == len(truth.measures)
    with_error = {(row.key, row.subject) for row in rows if row.error is not None}
    assert with_error == {("height_anterior_mm", name) for name in ("L1", "L2", "L3")}, "none was compared at L4"
    assert {row.subject for row in rows if row.usual is not None} == {"L2"}
    assert all(row.truth is None and row.difference is None for row in rows)


def test_vertebrae_are_compared_by_place_and_not_by_number(truth, one_too_high) -> None:
    places = {20: 21, 21: 22, 22: 23}
    rows = {(row.key, row.subject): row for row in measure_rows(one_too_high, KNOWN, truth, places)}
    for name in ("L1", "L2", "L3"):
        row = rows["height_anterior_mm", name]
        assert row.difference == pytest.approx(-4.0, abs=1.0)
        assert row.error is ERROR
        assert rows["height_posterior_mm", name].difference == pytest.approx(0.0, abs=0.8)
    lost = rows["height_anterior_mm", "L4"]
    assert lost.difference is None
    assert lost.to_json_dict()["synthetic_reason"] == NOT_FOUND


def test_stretches_are_measured_over_the_vertebrae_that_both_have(truth, one_too_high) -> None:
    rows = measure_rows(one_too_high, KnownMeasures(), truth, {20: 21, 21: 22, 22: 23})
    of = {(row.key, row.subject): row for row in rows}
    assert of["spine_length_mm", "L1-L3"].difference == pytest.approx(0.0, abs=1.0)
    assert of["cobb_deg", "L1-L3"].difference == pytest.approx(0.0, abs=1.5)
    whole = of["cobb_deg", "L1-L4"]
    assert whole.truth.value == truth.of("cobb_deg", "L1-L4").value, "the patient's own curve is told too"
    assert "does not have all of these vertebrae" in whole.to_json_dict()["synthetic_reason"]
    assert whole.difference is None


def test_no_vertebra_in_common_leaves_reasons_and_no_numbers(truth) -> None:
    rows = measure_rows(measured([]), KnownMeasures(), truth, {})
    assert all(row.difference is None for row in rows)
    assert all(row.to_json_dict()["synthetic_reason"] for row in rows)
    cobb = [row for row in rows if row.key == "cobb_deg"]
    assert [row.truth.value for row in cobb] == [truth.of("cobb_deg", "L1-L4").value], "the true curve stays"


def test_the_file_holds_definitions_both_spines_and_rows(truth, one_too_high) -> None:
    rows = measure_rows(one_too_high, KNOWN, truth, {20: 21})
    written = measures_dict(rows, one_too_high, truth)
    assert set(written) == {"definitions", "synthetic", "truth", "rows"}
    assert [vertebra["name"] for vertebra in written["truth"]["vertebrae"]] == ["L1", "L2", "L3", "L4"]
    assert [vertebra["name"] for vertebra in written["synthetic"]["vertebrae"]] == ["L2", "L3", "L4"]
    assert all(len(row.to_csv_row()) == len(COLUMNS) for row in rows)
