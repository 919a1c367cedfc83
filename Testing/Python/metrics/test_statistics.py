"""Statistics of a cohort by hand and by numpy."""

from __future__ import annotations

import doctest
import json
import math

import numpy as np
import pytest

from support.cohort_scores import metrics_json, three_scores
from TomoRayLib.metrics import statistics as cohort_statistics
from TomoRayLib.metrics.statistics import (
    CaseScore,
    Statistic,
    cases_better_than,
    gain_over,
    mean_interval,
    quantile,
    statistic,
    summarise,
)


@pytest.fixture
def scores() -> tuple[CaseScore, ...]:
    return three_scores()


def test_mean_sd_median_and_quartiles_are_numpys() -> None:
    values = np.random.default_rng(3).normal(22.0, 1.0, size=55)
    found = statistic([(value, str(number)) for number, value in enumerate(values)])
    assert found.n == 55
    assert found.mean == pytest.approx(values.mean())
    assert found.sd == pytest.approx(values.std(ddof=1))
    assert (found.q1, found.median, found.q3) == pytest.approx(tuple(np.quantile(values, (0.25, 0.5, 0.75))))


def test_undefined_values_are_left_out_and_infinite_ones_stay() -> None:
    found = statistic([(math.nan, "a"), (2.0, "b"), (math.inf, "c"), (4.0, "d"), (3.0, "e")])
    assert (found.n, found.n_infinite, found.mean) == (4, 1, math.inf)
    assert (found.q1, found.median) == (2.75, 3.5)
    assert found.q3 == math.inf  # three quarters of the way from 4 to infinity
    assert math.isnan(found.sd)
    assert math.isnan(found.ci_low)
    assert quantile([1.0, math.inf], 0.0) == 1.0
    assert math.isnan(statistic([]).median)


def test_one_case_has_a_mean_but_no_spread() -> None:
    found = statistic([(22.0, "a")])
    assert (found.n, found.mean, found.median) == (1, 22.0, 22.0)
    assert math.isnan(found.sd)
    assert math.isnan(found.ci_low)


def test_the_interval_of_the_mean_is_the_normal_one_for_many_subjects() -> None:
    """Mean ± 1.96 SD / sqrt(n) for 400 independent values; 2000 resamples leave some 3 % of the width."""
    values = np.random.default_rng(5).normal(10.0, 2.0, size=400)
    low, high = mean_interval([(value, str(number)) for number, value in enumerate(values)])
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_cases_of_one_subject_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(5).normal(10.0, 2.0, size=30)
    once = mean_interval([(value, str(number)) for number, value in enumerate(values)])
    fourfold = mean_interval([(value, str(number)) for number, value in enumerate(values) for _ in range(4)])
    assert fourfold == pytest.approx(once)
    assert mean_interval([(1.0, "a"), (2.0, "a")])[0] != mean_interval([(1.0, "a"), (2.0, "a")])[0]  # NaN


def test_a_statistic_survives_json() -> None:
    found = statistic([(2.0, "b"), (math.inf, "c")])
    again = Statistic.from_json_dict(json.loads(json.dumps(found.to_json_dict(), allow_nan=False)))
    np.testing.assert_equal(vars(again), vars(found))


def test_scores_come_back_from_json_with_infinity_told_from_undefined() -> None:
    metrics = metrics_json(0.0, ())
    metrics["rows"]["tomoray"]["ssim_in_mask"] = None
    score = CaseScore.from_metrics("a", "a", metrics)
    assert score.rows["blank"]["hd95_mm"] == math.inf
    assert math.isnan(score.rows["tomoray"]["ssim_in_mask"])


def test_the_summary_has_all_cases_and_each_part_of_the_spine(scores: tuple[CaseScore, ...]) -> None:
    summary = summarise(scores)
    counts = {group: rows["tomoray"]["psnr_3d_db"].n for group, rows in summary.items()}
    assert counts == {"all": 3, "cervical": 1, "thoracic": 2, "lumbar": 2}
    assert summary["thoracic"]["tomoray"]["psnr_3d_db"].mean == 21.0
    assert list(summary["all"]) == ["tomoray", "blank", "mean_atlas"]


def test_gains_are_paired_case_by_case(scores: tuple[CaseScore, ...]) -> None:
    gain = gain_over(scores, "blank")
    assert (gain.mean, gain.median) == (5.0, 4.0)
    assert cases_better_than(scores, "mean_atlas", "psnr_3d_db", True) == (2, 3)
    assert cases_better_than(scores, "blank", "hd95_mm", False) == (2, 3)


def test_the_examples_in_the_statistics_are_right() -> None:
    assert doctest.testmod(cohort_statistics) == (0, 1)
