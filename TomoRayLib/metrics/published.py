"""The paper's Table 2, and whether a cohort's scores are equivalent to it.

Equivalence is tested by two one-sided tests (TOST; Schuirmann 1987, https://doi.org/10.1007/BF01068419) of Welch's
kind, from means and SDs. It is not paired: the paper's people are others, its split and some of its settings (field of
view, lookup table, data range) are not published. A table that says so goes with every figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy import stats

from TomoRayLib.metrics.statistics import Statistic

PAPER = "Zanier et al., Neurospine 2024;21(1):68-75, Table 2"
# The largest difference that still counts as the same, our choice: half of the paper's internal SD.
MARGINS = {"psnr_3d_db": 0.5, "ssim_2d": 0.005, "cosine_similarity": 0.1}
LEVEL = 0.05


@dataclass(frozen=True)
class PublishedScore:
    """A published mean with its SD, median and quartiles."""

    mean: float
    sd: float
    median: float
    q1: float
    q3: float


@dataclass(frozen=True)
class PublishedCohort:
    """A cohort of the paper: how many people, and their scores by metric."""

    n: int
    scores: Mapping[str, PublishedScore]


TABLE_2: dict[str, PublishedCohort] = {
    "internal": PublishedCohort(
        55,
        {
            "psnr_3d_db": PublishedScore(22.206, 1.027, 22.419, 21.458, 22.801),
            "ssim_2d": PublishedScore(0.953, 0.009, 0.953, 0.948, 0.961),
            "cosine_similarity": PublishedScore(0.709, 0.195, 0.779, 0.728, 0.817),
        },
    ),
    "external": PublishedCohort(
        56,
        {
            "psnr_3d_db": PublishedScore(21.139, 1.018, 21.273, 20.514, 21.821),
            "ssim_2d": PublishedScore(0.947, 0.010, 0.948, 0.942, 0.953),
            # The abstract's 0.671 ± 0.691 takes the median for the SD; Table 2 has 0.078.
            "cosine_similarity": PublishedScore(0.671, 0.078, 0.691, 0.652, 0.716),
        },
    ),
}


@dataclass(frozen=True)
class Equivalence:
    """A cohort's mean against a published one.

    Args:
        metric: Key of the metric.
        cohort: ``internal`` or ``external``.
        difference: Ours minus the paper's.
        ci_low: 90 % interval of the difference, which two one-sided tests of 5 % use.
        ci_high: Its upper end.
        margin: The largest difference that counts as the same.
        p: The larger of the two one-sided p values; NaN with fewer than three values.
    """

    metric: str
    cohort: str
    difference: float
    ci_low: float
    ci_high: float
    margin: float
    p: float

    @property
    def verdict(self) -> str:
        """``equivalent``, ``higher``, ``lower`` or ``not shown`` (neither equivalent nor different)."""
        if math.isnan(self.p):
            return "not shown"
        if self.p < LEVEL:
            return "equivalent"
        if self.ci_low > 0:
            return "higher"
        return "lower" if self.ci_high < 0 else "not shown"

    def to_json_dict(self) -> dict[str, Any]:
        """The fields and the verdict by name; NaN is None."""
        values = {**vars(self), "verdict": self.verdict}
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}


def equivalence(metric: str, ours: Statistic, cohort: str) -> Equivalence:
    """Test whether a cohort's mean is equivalent to the paper's.

    Args:
        metric: One of ``MARGINS``.
        ours: The cohort's statistic of that metric over people (``statistics.by_person``).
        cohort: One of ``TABLE_2``.

    Returns:
        Difference, interval and p.
    """
    theirs, count, margin = TABLE_2[cohort].scores[metric], TABLE_2[cohort].n, MARGINS[metric]
    difference = ours.mean - theirs.mean
    if ours.n < 3 or not math.isfinite(ours.sd):
        return Equivalence(metric, cohort, difference, math.nan, math.nan, margin, math.nan)
    parts = (ours.sd**2 / ours.n, theirs.sd**2 / count)
    error = math.sqrt(sum(parts))
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (ours.n - 1) + parts[1] ** 2 / (count - 1))
    half = float(stats.t.ppf(1 - LEVEL, freedom)) * error
    p_low = float(stats.t.sf((difference + margin) / error, freedom))
    p_high = float(stats.t.cdf((difference - margin) / error, freedom))
    return Equivalence(metric, cohort, difference, difference - half, difference + half, margin, max(p_low, p_high))
