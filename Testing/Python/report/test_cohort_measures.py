"""A cohort's measures: tables as CSV, the section of its page, Bland-Altman plots."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from support.cohort_scores import three_scores
from TomoRayLib.measures.agreement import Pair, agreement_of
from TomoRayLib.measures.definitions import DEFINITIONS
from TomoRayLib.report.cohort_measures import (
    AGREEMENT_COLUMNS,
    PAIR_COLUMNS,
    agreement_csv,
    bland_altman_svg,
    measures_csv,
    measures_section,
)
from TomoRayLib.report.cohort_result import CohortResult

LOST = "not measurable, because no vertebra of the synthetic CT lies in this place"


def measured(*values: tuple[str, str, float, float | None]) -> list[dict]:
    return [
        {"key": key, "subject": place, "truth": truth, "synthetic": synthetic, "reason": None if synthetic else LOST}
        for key, place, truth, synthetic in values
    ]


@pytest.fixture(scope="module")
def result() -> CohortResult:
    first, second, third = three_scores()
    scores = (
        replace(
            first,
            measures={
                "tomoray": measured(
                    ("height_middle_mm", "T12", 24.0, 26.0),
                    ("height_middle_mm", "L1", 26.0, 27.0),
                    ("cobb_deg", "T12-L1", 8.0, 9.0),
                )
            },
        ),
        second,
        replace(
            third,
            measures={
                "tomoray": measured(("height_middle_mm", "L4", 27.0, 31.0), ("height_middle_mm", "L5", 25.0, None))
            },
        ),
    )
    return CohortResult("cohort", scores, (), (), {})


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_true_measure_is_a_line_and_a_lost_one_says_why(result) -> None:
    rows = rows_of(measures_csv(result.scores))
    assert tuple(rows[0]) == PAIR_COLUMNS
    assert len(rows) == 5
    assert [row["difference"] for row in rows] == ["2.0", "1.0", "1.0", "4.0", ""]
    assert rows[-1]["reason"] == LOST


def test_agreement_counts_pairs_people_and_true_values(result) -> None:
    rows = {row["measure"]: row for row in rows_of(agreement_csv(result))}
    assert tuple(rows["cobb_deg"]) == AGREEMENT_COLUMNS
    height = rows["height_middle_mm"]
    assert (height["true_values"], height["n"], height["people"]) == ("4", "3", "2")
    expected = agreement_of([Pair("sub-a", "T12", 24, 26), Pair("sub-a", "L1", 26, 27), Pair("sub-b", "L4", 27, 31)])
    assert float(height["bias"]) == pytest.approx(7 / 3, abs=1e-3)
    assert float(height["high"]) == pytest.approx(expected.high, abs=1e-3)
    assert rows["cobb_deg"]["low"] == "", "one pair has no limits"


def test_the_page_says_in_words_what_the_limits_allow(result) -> None:
    section = measures_section(result)
    assert "3 of 4" in section
    assert section.count("too few to tell") == 2, "two people, whatever their number of vertebrae"
    assert "A guess errs" in section
    assert "mean atlas have no vertebrae told apart" in section
    assert section.count("<svg") == 2, "one plot, on the screen and on paper: one pair is none"


def test_nothing_is_said_of_a_cohort_without_vertebrae_told_apart() -> None:
    assert measures_section(CohortResult("cohort", three_scores(), (), (), {})) == ""


def test_a_plot_puts_every_pair_where_it_belongs() -> None:
    pairs = [Pair("a", "L1", 20.0, 21.0), Pair("a", "L2", 24.0, 23.0), Pair("b", "L1", 30.0, 33.0)]
    root = ElementTree.fromstring(bland_altman_svg(DEFINITIONS["height_middle_mm"], pairs))
    circles = root.findall("circle")
    across = [float(one.get("cx", "")) for one in circles]
    up = [float(one.get("cy", "")) for one in circles]
    assert across == sorted(across), "means 20.5, 23.5 and 31.5"
    assert up[2] < up[0] < up[1], "differences 3, 1 and -1: y grows downwards"
    steps = (across[1] - across[0]) / 3.0, (across[2] - across[1]) / 8.0
    assert steps[0] == pytest.approx(steps[1], rel=0.02)
    assert len({one.get("fill") for one in circles}) == 2, "a colour for each person"
    assert re.search(r"b, L1: \+3\.0", ElementTree.tostring(root, encoding="unicode"))
