"""How well two ways of measuring agree: bias, limits of agreement, intraclass correlation.

Several measures of one person are not independent: the variance of their differences is split into the part between
people and the part within them (Bland and Altman 2007, https://doi.org/10.1080/10543400701329422, "where the true value
varies"). With one measure a person the limits are the usual bias +- 1.96 SD.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LIMITS_SD = 1.96


@dataclass(frozen=True)
class Pair:
    """One measure of one person: the true value and that of the synthetic CT."""

    person: str
    subject: str
    truth: float
    synthetic: float

    @property
    def difference(self) -> float:
        """Synthetic minus true."""
        return self.synthetic - self.truth


@dataclass(frozen=True)
class Agreement:
    """Agreement of ``n`` pairs of ``people``: mean difference, its SD, the 95 % limits of agreement, the mean absolute
    difference and the intraclass correlation ICC(A,1). NaN where too few pairs tell."""

    n: int
    people: int
    bias: float
    sd: float
    low: float
    high: float
    mean_absolute: float
    icc: float

    def to_json_dict(self) -> dict[str, Any]:
        """All of it; null for what is not known."""
        numbers = {name: getattr(self, name) for name in ("bias", "sd", "low", "high", "mean_absolute", "icc")}
        return {
            "n": self.n,
            "people": self.people,
            **{name: round(value, 4) if math.isfinite(value) else None for name, value in numbers.items()},
        }


def agreement_of(pairs: Sequence[Pair]) -> Agreement:
    """Compute how well pairs of one kind of measure agree.

    Args:
        pairs: Any number of pairs, several of one person allowed.

    Returns:
        The agreement; limits need two pairs.
    """
    differences = np.array([pair.difference for pair in pairs], dtype=float)
    people = sorted({pair.person for pair in pairs})
    if not len(differences):
        return Agreement(0, 0, *(math.nan,) * 6)
    bias = float(differences.mean())
    sd = _total_sd([differences[[pair.person == one for pair in pairs]] for one in people])
    return Agreement(
        n=len(pairs),
        people=len(people),
        bias=bias,
        sd=sd,
        low=bias - LIMITS_SD * sd,
        high=bias + LIMITS_SD * sd,
        mean_absolute=float(np.abs(differences).mean()),
        icc=icc_absolute([(pair.truth, pair.synthetic) for pair in pairs]),
    )


def icc_absolute(ratings: Sequence[Sequence[float]]) -> float:
    """Compute the intraclass correlation of absolute agreement, single measures, two-way: ICC(A,1).

    Args:
        ratings: One row for each thing that is rated, one column for each rater.

    Returns:
        At most 1; NaN with fewer than three rows, or if nothing varies.

    Source: McGraw and Wong 1996, https://doi.org/10.1037/1082-989X.1.1.30; Shrout and Fleiss' ICC(2,1).
    """
    table = np.asarray(ratings, dtype=float)
    if len(table) < 3:
        return math.nan
    n, k = table.shape
    mean = table.mean()
    rows = k * float(((table.mean(axis=1) - mean) ** 2).sum()) / (n - 1)
    columns = n * float(((table.mean(axis=0) - mean) ** 2).sum()) / (k - 1)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + mean
    error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    below = rows + (k - 1) * error + k * (columns - error) / n
    return (rows - error) / below if below > 0 else math.nan


def _total_sd(groups: Sequence[np.ndarray]) -> float:
    """The SD of a single difference of a new person, from groups of one person each: variance between plus within."""
    n = sum(len(group) for group in groups)
    if n < 2:
        return math.nan
    everything = np.concatenate(groups)
    if len(groups) in (1, n):
        return float(everything.std(ddof=1))
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / (n - len(groups))
    between = sum(len(group) * float((group.mean() - everything.mean()) ** 2) for group in groups) / (len(groups) - 1)
    usual = (n**2 - sum(len(group) ** 2 for group in groups)) / ((len(groups) - 1) * n)
    return math.sqrt(max(0.0, (between - within) / usual) + within)
