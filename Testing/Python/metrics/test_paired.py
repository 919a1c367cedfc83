"""Paired tests against SciPy's own and against Holm's procedure by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from TomoRayLib.metrics.paired import LEAST_PEOPLE, PairedTest, paired_test, paired_tests, with_holm
from TomoRayLib.metrics.scores import METRIC_KEYS
from TomoRayLib.metrics.statistics import CaseScore

BETTER = dict.fromkeys(METRIC_KEYS, True) | {"assd_mm": False}


def a_score(name: str, subject: str, **rows: float) -> CaseScore:
    return CaseScore(name, subject, {row: dict.fromkeys(METRIC_KEYS, value) for row, value in rows.items()}, {})


@pytest.fixture
def scores() -> list[CaseScore]:
    rng = np.random.default_rng(3)
    a = rng.normal(0.7, 0.05, 12)
    b = a - rng.normal(0.03, 0.02, 12)
    return [
        a_score(str(n), str(n), a=x, b=y, mean_atlas=0.4, blank=0.0) for n, (x, y) in enumerate(zip(a, b, strict=True))
    ]


def test_the_test_is_wilcoxons(scores: list[CaseScore]) -> None:
    found = paired_test(scores, ("a", "b"), "dice", True)
    differences = [one.rows["a"]["dice"] - one.rows["b"]["dice"] for one in scores]
    assert found.p == pytest.approx(stats.wilcoxon(differences).pvalue)
    assert found.difference == pytest.approx(np.mean(differences))
    assert found.ci_low < found.difference < found.ci_high
    assert found.better_in == sum(value > 0 for value in differences)
    assert paired_test(scores, ("a", "b"), "assd_mm", False).better_in == 12 - found.better_in


def test_people_are_the_unit_and_not_their_images(scores: list[CaseScore]) -> None:
    """Ten copies of one person's images change neither n nor p."""
    again = [a_score(f"again {n}", "0", **{row: v["dice"] for row, v in scores[0].rows.items()}) for n in range(10)]
    more, plain = (paired_test(group, ("a", "b"), "dice", True) for group in ([*scores, *again], scores))
    assert (more.people, more.p) == (plain.people, pytest.approx(plain.p))
    assert more.difference == pytest.approx(plain.difference)


def test_few_people_have_no_p(scores: list[CaseScore]) -> None:
    few = paired_test(scores[: LEAST_PEOPLE - 1], ("a", "b"), "dice", True)
    assert math.isnan(few.p)
    assert few.people == LEAST_PEOPLE - 1
    assert paired_test([], ("a", "b"), "dice", True).people == 0
    same = [a_score(str(n), str(n), a=0.5, b=0.5) for n in range(LEAST_PEOPLE)]
    assert paired_test(same, ("a", "b"), "dice", True).p == 1


def test_infinite_and_missing_scores_are_counted_and_left_out(scores: list[CaseScore]) -> None:
    lost = [a_score("x", "x", a=math.inf, b=1.0), a_score("y", "y", a=math.nan, b=1.0), a_score("z", "z", a=1.0)]
    found = paired_test([*scores, *lost], ("a", "b"), "assd_mm", False)
    assert (found.people, found.infinite) == (12, 1)


def test_holms_procedure_by_hand() -> None:
    def of(p: float) -> PairedTest:
        return PairedTest("a", "b", "dice", 9, 0.1, 0.0, 0.2, 5, p, p, 0)

    corrected = [one.p_holm for one in with_holm([of(0.01), of(0.04), of(math.nan), of(0.03), of(0.005)])]
    assert corrected[0] == pytest.approx(0.03)  # second smallest of four: times 3
    assert corrected[4] == pytest.approx(0.02)
    assert corrected[3] == pytest.approx(0.06)
    assert corrected[1] == pytest.approx(0.06)  # 0.04 would be below the one before
    assert math.isnan(corrected[2])


def test_methods_are_compared_with_each_other_and_with_the_atlas(scores: list[CaseScore]) -> None:
    found = paired_tests(scores, BETTER, ("dice", "assd_mm"))
    assert [(one.first, one.second, one.metric) for one in found] == [
        ("a", "b", "dice"),
        ("a", "b", "assd_mm"),
        ("a", "mean_atlas", "dice"),
        ("a", "mean_atlas", "assd_mm"),
        ("b", "mean_atlas", "dice"),
        ("b", "mean_atlas", "assd_mm"),
    ]
    assert all(one.p_holm >= one.p for one in found)
    assert found[0].to_json_dict()["people"] == 12
