"""Equivalence with the paper's table, against SciPy's Welch tests from the same summary figures."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from TomoRayLib.metrics.published import MARGINS, TABLE_2, equivalence
from TomoRayLib.metrics.statistics import Statistic


def ours(n: int, mean: float, sd: float) -> Statistic:
    return Statistic(n, 0, mean, sd, mean, mean, mean, math.nan, math.nan)


@pytest.mark.parametrize("metric", list(MARGINS))
@pytest.mark.parametrize("cohort", list(TABLE_2))
def test_the_tests_are_welchs(metric: str, cohort: str) -> None:
    theirs, count, margin = TABLE_2[cohort].scores[metric], TABLE_2[cohort].n, MARGINS[metric]
    mean, sd, n = theirs.mean + 0.3 * margin, 1.3 * theirs.sd, 40
    found = equivalence(metric, ours(n, mean, sd), cohort)
    lower = stats.ttest_ind_from_stats(
        mean + margin, sd, n, theirs.mean, theirs.sd, count, equal_var=False, alternative="greater"
    )
    upper = stats.ttest_ind_from_stats(
        mean - margin, sd, n, theirs.mean, theirs.sd, count, equal_var=False, alternative="less"
    )
    assert found.p == pytest.approx(max(lower.pvalue, upper.pvalue))
    assert found.ci_low < found.difference < found.ci_high
    assert (found.p < 0.05) == (-margin < found.ci_low and found.ci_high < margin)


def test_the_verdicts() -> None:
    internal = TABLE_2["internal"].scores["psnr_3d_db"]
    same = equivalence("psnr_3d_db", ours(400, internal.mean, 0.5), "internal")
    higher = equivalence("psnr_3d_db", ours(400, internal.mean + 4, 0.5), "internal")
    lower = equivalence("psnr_3d_db", ours(400, internal.mean - 4, 0.5), "internal")
    wide = equivalence("psnr_3d_db", ours(5, internal.mean, 4.0), "internal")
    few = equivalence("psnr_3d_db", ours(2, internal.mean, 0.1), "internal")
    assert [one.verdict for one in (same, higher, lower, wide, few)] == [
        "equivalent",
        "higher",
        "lower",
        "not shown",
        "not shown",
    ]
    assert few.to_json_dict()["p"] is None
