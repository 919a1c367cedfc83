"""Measures after the synthetic vertebrae got other names: the same values, and named stretches between other ends."""

from __future__ import annotations

import json

import numpy as np
import pytest

from support.stacked_boxes import BoxVertebra, grid_around, label_volume
from TomoRayLib.measures.comparison import KnownMeasures, measure_rows, measures_dict
from TomoRayLib.measures.known_errors import KnownError
from TomoRayLib.measures.renaming import renamed_measures
from TomoRayLib.measures.spine import MeasuredSpine, measure_spine
from TomoRayLib.measures.usual import Usual

T12 = 19
ERROR = KnownError("height_anterior_mm", 40, 6, -0.5, -3.0, 2.0, 1.0, 0.8, "L1", "L3", guess=1.9)
KNOWN = KnownMeasures({"height_anterior_mm": ERROR}, {("height_anterior_mm", "L2"): Usual(26.5, 2.1, 20)})
DOWN = {T12 + number: T12 + number + 1 for number in range(5)}


def measured(first: int) -> MeasuredSpine:
    """Five vertebrae from ``first`` on, a wedged one second and all turned."""
    boxes = [
        BoxVertebra(
            first + number,
            (3.0 * number, 2.0, -36.0 * number),
            anterior_mm=20.0 if number == 1 else 26.0,
            pitch_deg=-18.0 + 8.0 * number,
            roll_deg=4.0 * number,
        )
        for number in range(5)
    ]
    grid = grid_around(boxes, (1.0, 1.2, 1.1))
    return measure_spine(label_volume(boxes, grid), grid)


@pytest.fixture(scope="module")
def one_too_high() -> MeasuredSpine:
    return measured(T12)


def content_of(synthetic: MeasuredSpine, truth: MeasuredSpine | None = None, places=None) -> dict:
    rows = measure_rows(synthetic, KNOWN, truth, places)
    return json.loads(json.dumps(measures_dict(rows, synthetic, truth)))


def test_renamed_measures_are_those_of_a_spine_that_had_the_names_at_once(one_too_high: MeasuredSpine) -> None:
    renamed = renamed_measures(content_of(one_too_high), DOWN, KNOWN)
    at_once = content_of(measured(T12 + 1))
    assert [(row["key"], row["subject"]) for row in renamed["rows"]] == [
        (row["key"], row["subject"]) for row in at_once["rows"]
    ]
    for row, expected in zip(renamed["rows"], at_once["rows"], strict=True):  # each number samples other voxels
        assert row["synthetic"] == (
            None if expected["synthetic"] is None else pytest.approx(expected["synthetic"], abs=1.0)
        )
        assert (row["synthetic_reason"], row["usual"]) == (expected["synthetic_reason"], expected["usual"])
        assert row["error"] == expected["error"]
        assert row["synthetic_subject"] == row["subject"]
        np.testing.assert_allclose(row["synthetic_lines_mm"], expected["synthetic_lines_mm"], atol=1.0)
    assert [one["name"] for one in renamed["synthetic"]["vertebrae"]] == ["L1", "L2", "L3", "L4", "L5"]


def test_lordosis_is_measured_once_l1_and_l5_are_there_and_goes_again(one_too_high: MeasuredSpine) -> None:
    before = content_of(one_too_high)
    renamed = renamed_measures(before, DOWN, KNOWN)
    of_lordosis = [
        next(row for row in content["rows"] if row["key"] == "lumbar_lordosis_deg") for content in (before, renamed)
    ]
    assert of_lordosis[0]["synthetic_reason"] == "not measurable, because L5 is not in view"
    assert of_lordosis[1]["synthetic"] == pytest.approx(32.0, abs=1.2)  # from -18 to +14 degrees
    assert renamed_measures(renamed, {new: old for old, new in DOWN.items()}, KNOWN) == before


def test_beside_a_truth_its_names_stay_and_the_count_of_the_synthetic_ct_changes(one_too_high: MeasuredSpine) -> None:
    truth = measured(T12 + 1)
    content = content_of(one_too_high, truth, {new: old for old, new in DOWN.items()})
    wedged = next(row for row in content["rows"] if (row["key"], row["subject"]) == ("wedge_ratio", "L2"))
    assert wedged["synthetic_subject"] == "L1"
    assert wedged["difference"] == pytest.approx(0.0, abs=0.05)
    renamed = renamed_measures(content, DOWN, KNOWN)
    assert [row["synthetic_subject"] for row in renamed["rows"]] == [row["subject"] for row in content["rows"]]
    without = [{key: value for key, value in row.items() if key != "synthetic_subject"} for row in renamed["rows"]]
    assert without == [
        {key: value for key, value in row.items() if key != "synthetic_subject"} for row in content["rows"]
    ]


def test_reasons_follow_the_names_too_and_the_neck_has_its_own() -> None:
    boxes = [BoxVertebra(9 + number, (0.2, 0.3, 80.3 - 36.0 * number)) for number in range(3)]
    grid = grid_around(boxes, (1.0, 1.0, 1.0))
    spine = measure_spine(label_volume(boxes, grid), grid, unsure={9})
    content = measures_dict(measure_rows(spine, KnownMeasures()), spine, None)
    again = renamed_measures(content, {9: 10, 10: 11, 11: 12}, KnownMeasures())
    rows = {(row["key"], row["subject"]): row for row in again["rows"]}
    assert "T3: the network is unsure" in rows["disc_height_mm", "T3/T4"]["synthetic_reason"]
    neck = renamed_measures(content, {9: 1, 10: 2, 11: 3}, KnownMeasures())
    rows = {(row["key"], row["subject"]): row for row in neck["rows"]}
    assert rows["height_middle_mm", "C2"]["synthetic"] is None
    assert "dens" in rows["height_middle_mm", "C2"]["synthetic_reason"]
    assert rows["height_middle_mm", "C3"]["synthetic"] is not None
