"""Two methods on the same people: the difference, its interval, and a test that knows how many tests there are.

The unit is the person: several cases of one subject are averaged first. The test is Wilcoxon's signed-rank test
(Wilcoxon 1945, https://doi.org/10.2307/3001968), the correction for the number of tests Holm's step-down procedure
(Holm 1979, https://www.jstor.org/stable/4615733), which keeps the chance of any false positive below the level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from TomoRayLib.metrics.scores import MAIN_SCORES
from TomoRayLib.metrics.statistics import MEAN_ATLAS, CaseScore, mean_interval, methods_of, rows_of

LEAST_PEOPLE = 6  # with fewer, not even the most extreme outcome has p below .05 (two-sided)


@dataclass(frozen=True)
class PairedTest:
    """``first`` minus ``second`` in one metric, over the people with a finite score of both.

    Args:
        first: One row.
        second: The other row.
        metric: Key of the metric.
        people: How many people have both scores.
        difference: Mean difference.
        ci_low: 95 % bootstrap interval of the mean difference, people drawn with replacement; NaN below two people.
        ci_high: Its upper end.
        better_in: How many people the first row is better for.
        p: Two-sided, of Wilcoxon's test; NaN below ``LEAST_PEOPLE``.
        p_holm: Corrected for the number of tests made together.
        infinite: How many people are left out because a score is infinite: no surface was predicted.
    """

    first: str
    second: str
    metric: str
    people: int
    difference: float
    ci_low: float
    ci_high: float
    better_in: int
    p: float
    p_holm: float
    infinite: int

    def to_json_dict(self) -> dict[str, Any]:
        """The fields by name; NaN is None."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value for key, value in vars(self).items()
        }


def paired_tests(
    scores: Sequence[CaseScore], better: Mapping[str, bool], metrics: Sequence[str] = MAIN_SCORES
) -> tuple[PairedTest, ...]:
    """Compare all methods with each other and with the mean atlas.

    Args:
        scores: The cohort.
        better: Whether a higher value of each metric is better.
        metrics: The metrics to compare in.

    Returns:
        One test for each pair and metric with at least one person, p values corrected for all of them together.
    """
    methods = methods_of(scores)
    pairs = [*combinations(methods, 2)]
    if MEAN_ATLAS in rows_of(scores):
        pairs += [(method, MEAN_ATLAS) for method in methods]
    found = [paired_test(scores, pair, metric, better[metric]) for pair in pairs for metric in metrics]
    kept = [one for one in found if one.people or one.infinite]
    return with_holm(kept)


def paired_test(scores: Sequence[CaseScore], pair: tuple[str, str], metric: str, higher_is_better: bool) -> PairedTest:
    """Compare two rows in one metric; ``p_holm`` is not corrected yet."""
    first, second = pair
    of_person: dict[str, list[tuple[float, float]]] = {}
    for score in scores:
        if first in score.rows and second in score.rows:
            both = (score.rows[first][metric], score.rows[second][metric])
            if not any(math.isnan(value) for value in both):
                of_person.setdefault(score.subject, []).append(both)
    finite = {
        person: float(np.mean([one - other for one, other in both]))
        for person, both in of_person.items()
        if all(math.isfinite(value) for values in both for value in values)
    }
    differences = np.array(list(finite.values()))
    low, high = mean_interval([(value, person) for person, value in finite.items()])
    p = math.nan
    if len(differences) >= LEAST_PEOPLE:
        p = 1.0 if not differences.any() else float(stats.wilcoxon(differences, method="auto").pvalue)
    better_in = int(((differences > 0) if higher_is_better else (differences < 0)).sum())
    mean = float(differences.mean()) if len(differences) else math.nan
    return PairedTest(
        first, second, metric, len(differences), mean, low, high, better_in, p, p, len(of_person) - len(finite)
    )


def with_holm(tests: Sequence[PairedTest]) -> tuple[PairedTest, ...]:
    """Correct the p values of tests that are made together. Tests without one are not counted."""
    order = sorted((one.p, place) for place, one in enumerate(tests) if not math.isnan(one.p))
    corrected: dict[int, float] = {}
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        corrected[place] = largest
    return tuple(
        PairedTest(**{**vars(one), "p_holm": corrected.get(place, math.nan)}) for place, one in enumerate(tests)
    )
