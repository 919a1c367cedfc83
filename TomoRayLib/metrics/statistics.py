"""Statistics of a cohort's scores: mean, SD, median, quartiles, and a confidence interval over patients.

Infinite values (an HD95 without any predicted bone) stay in: they make the mean infinite and the median honest.
Undefined ones (NaN) are left out and lower ``n``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from TomoRayLib.anatomy.vertebrae import REGIONS, region_of
from TomoRayLib.metrics.scores import METRIC_KEYS
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS
from TomoRayLib.metrics.vertebra_pooling import CountedCase

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 0
MODEL_ROW = "tomoray"  # the row of a model that is scored alone
BASELINES = (BLANK, MEAN_ATLAS)
EVERYTHING = "all"
GAIN_KEY = "psnr_3d_db"  # the one metric whose difference from the blank volume does not depend on the field of view


@dataclass(frozen=True)
class CaseScore:
    """The scores of one case: ``rows[row][metric]``, and ``vertebrae[row]`` as in ``MetricsTable.to_json_dict``.

    ``labels_by`` says whose labels they measure against if the case has no segmentation. ``counted`` are the vertebrae
    found and named by row, of methods and labels that tell them apart. ``facts`` divide a cohort into subgroups
    (``{"plane": "sagittal"}``), ``known`` says which methods have seen the person. ``measures`` are true and synthetic
    values by row, as ``evaluation.measured.measured_pairs`` gives them.
    """

    name: str
    subject: str
    rows: Mapping[str, Mapping[str, float]]
    vertebrae: Mapping[str, Sequence[Mapping[str, Any]]]
    labels_by: str | None = None
    counted: Mapping[str, CountedCase] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    known: str | None = None
    measures: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def from_metrics(
        cls,
        name: str,
        subject: str,
        metrics: Mapping[str, Any],
        facts: Mapping[str, str] | None = None,
        known: str | None = None,
    ) -> CaseScore:
        """From the JSON form of a case's rows, in which infinity and NaN are None, with ``countings`` by row."""
        rows = {
            row: {key: _number(value, key in metrics["flags"][row]["infinite"]) for key, value in values.items()}
            for row, values in metrics["rows"].items()
        }
        counted = {row: CountedCase.from_json_dict(one) for row, one in metrics.get("countings", {}).items()}
        labels_by = metrics.get("labels_by")
        measures = metrics.get("measures", {})
        return cls(name, subject, rows, metrics["per_vertebra"], labels_by, counted, facts or {}, known, measures)

    @property
    def regions(self) -> tuple[str, ...]:
        """Parts of the spine with a labelled vertebra in view; empty if vertebrae are not told apart."""
        rows = next((vertebrae for vertebrae in self.vertebrae.values() if vertebrae), ())
        found = {region_of(vertebra["name"]) for vertebra in rows}
        return tuple(region for region in REGIONS if region in found)


@dataclass(frozen=True)
class Statistic:
    """One metric over a cohort. ``n`` counts defined values, ``n_infinite`` the infinite ones among them.

    ``sd`` is the sample's (n - 1). ``ci_low`` and ``ci_high`` bound the mean: 95 % bootstrap interval, subjects drawn
    with replacement. NaN if too few values are finite.
    """

    n: int
    n_infinite: int
    mean: float
    sd: float
    median: float
    q1: float
    q3: float
    ci_low: float
    ci_high: float

    def to_json_dict(self) -> dict[str, Any]:
        """NaN becomes None, infinity the text "inf" (JSON has neither)."""
        return {key: _json_number(value) for key, value in vars(self).items()}

    @classmethod
    def from_json_dict(cls, values: Mapping[str, Any]) -> Statistic:
        """Back from ``to_json_dict``."""
        numbers: dict[str, Any] = {
            key: value if isinstance(value, int) else math.nan if value is None else float(value)
            for key, value in values.items()
        }
        return cls(**numbers)


Summary = dict[str, dict[str, dict[str, Statistic]]]  # group, row, metric


def summarise(scores: Sequence[CaseScore]) -> Summary:
    """Compute the statistics of every metric, by group and row.

    Groups are "all", each part of the spine that occurs, and, of facts with several values in the cohort, each value
    ("plane: sagittal").
    """
    return {
        group: {row: {key: metric_statistic(members, row, key) for key in METRIC_KEYS} for row in rows_of(members)}
        for group, members in groups_of(scores).items()
    }


def groups_of(scores: Sequence[CaseScore]) -> dict[str, list[CaseScore]]:
    """Divide a cohort as ``summarise`` does: the members of each group that has any. A case can be in several."""
    groups = {EVERYTHING: list(scores)}
    groups |= {region: [score for score in scores if region in score.regions] for region in REGIONS}
    for fact in dict.fromkeys(fact for score in scores for fact in score.facts):
        values = sorted({score.facts[fact] for score in scores if fact in score.facts})
        if len(values) > 1:
            groups |= {f"{fact}: {value}": [one for one in scores if one.facts.get(fact) == value] for value in values}
    return {group: members for group, members in groups.items() if members}


def rows_of(scores: Sequence[CaseScore]) -> tuple[str, ...]:
    """The rows that occur, in printing order: methods as they come, then the baselines."""
    found = dict.fromkeys(row for score in scores for row in score.rows)
    return (*methods_of(scores), *(row for row in BASELINES if row in found))


def methods_of(scores: Sequence[CaseScore]) -> tuple[str, ...]:
    """The rows of methods, without the baselines."""
    return tuple(dict.fromkeys(row for score in scores for row in score.rows if row not in BASELINES))


def metric_statistic(scores: Sequence[CaseScore], row: str, key: str) -> Statistic:
    values = [(score.rows[row][key], score.subject) for score in scores if row in score.rows]
    return statistic(values)


def by_person(scores: Sequence[CaseScore], row: str, key: str) -> Statistic:
    """Statistic of each person's mean over their cases: ``n`` counts people."""
    of_person: dict[str, list[float]] = {}
    for score in scores:
        if row in score.rows and not math.isnan(score.rows[row][key]):
            of_person.setdefault(score.subject, []).append(score.rows[row][key])
    return statistic((sum(values) / len(values), person) for person, values in of_person.items())


def gain_over(scores: Sequence[CaseScore], other: str, method: str = MODEL_ROW) -> Statistic:
    """Statistic of each case's difference in ``GAIN_KEY`` between a method and another row."""
    pairs = [
        (score.rows[method][GAIN_KEY] - score.rows[other][GAIN_KEY], score.subject)
        for score in scores
        if other in score.rows and method in score.rows
    ]
    return statistic(pairs)


def cases_better_than(
    scores: Sequence[CaseScore], other: str, key: str, higher_is_better: bool, method: str = MODEL_ROW
) -> tuple[int, int]:
    """Count the cases in which a method's score is better than another row's, and those in which both are defined."""
    sign = 1 if higher_is_better else -1
    pairs = [
        (score.rows[method][key], score.rows[other][key])
        for score in scores
        if other in score.rows and method in score.rows
    ]
    defined = [(ours, theirs) for ours, theirs in pairs if not math.isnan(ours) and not math.isnan(theirs)]
    return sum(sign * ours > sign * theirs for ours, theirs in defined), len(defined)


def statistic(values: Iterable[tuple[float, str]]) -> Statistic:
    """Compute the statistic of (value, subject) pairs.

    >>> statistic([(1.0, "a"), (2.0, "b"), (4.0, "c")]).median
    2.0
    """
    defined = [(value, subject) for value, subject in values if not math.isnan(value)]
    numbers = sorted(value for value, _ in defined)
    n, infinite = len(numbers), sum(math.isinf(value) for value in numbers)
    mean = sum(numbers) / n if n else math.nan
    sd = float(np.std(numbers, ddof=1)) if n > 1 and not infinite else math.nan
    low, high = mean_interval(defined) if not infinite else (math.nan, math.nan)
    q1, median, q3 = (quantile(numbers, share) for share in (0.25, 0.5, 0.75))
    return Statistic(n, infinite, mean, sd, median, q1, q3, low, high)


def quantile(ascending: Sequence[float], share: float) -> float:
    """Linear between the two nearest ranks (numpy's default), also for infinite values; NaN without values."""
    if not ascending:
        return math.nan
    position = share * (len(ascending) - 1)
    below = math.floor(position)
    weight = position - below
    low = ascending[below]
    if weight == 0 or math.isinf(low):
        return low
    return low + weight * (ascending[below + 1] - low)


def mean_interval(values: Sequence[tuple[float, str]]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean; a subject is drawn with all its cases. NaN below two subjects."""
    of_subject: dict[str, list[float]] = {}
    for value, subject in values:
        of_subject.setdefault(subject, []).append(value)
    if len(of_subject) < 2:
        return math.nan, math.nan
    sums = np.array([sum(members) for members in of_subject.values()])
    counts = np.array([len(members) for members in of_subject.values()])
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _number(value: float | None, is_infinite: bool) -> float:
    if value is None:
        return math.inf if is_infinite else math.nan
    return float(value)


def _json_number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)
