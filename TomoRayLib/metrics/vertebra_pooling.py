"""Counts of vertebrae pooled over the cases of a cohort: sums, and shares of these sums.

The mean of the cases' own shares would give a case with one whole vertebra the weight of one with twelve. The shift is
each case's own: no shift is common to all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.metrics.vertebra_counts import FoundAndNamed, VertebraCounts


@dataclass(frozen=True)
class CountedCase:
    """The counts of one case, and whether the method called its own numbering unsure; None if it says nothing of it."""

    counts: VertebraCounts
    is_unsure: bool | None

    @classmethod
    def from_json_dict(cls, counting: Mapping[str, Any]) -> CountedCase:
        """From ``counting`` in a case's scores: ``MatchedSpine.to_json_dict`` with ``DecodedSpine.to_json_dict``."""
        numbering = counting["numbering"]
        return cls(VertebraCounts(**counting["counts"]), None if numbering is None else numbering == UNSURE)


@dataclass(frozen=True)
class PooledCounts(FoundAndNamed):
    """Sums over a cohort: of ``cases`` cases with counts, in ``cases_unsure`` of which the numbering is unsure; None of
    a method that says nothing of it.

    ``cases_not_counted`` are those without counts, which no other number holds.
    """

    cases: int
    cases_unsure: int | None
    cases_not_counted: int

    def to_json_dict(self) -> dict[str, int | None]:
        """The sums by name; ``PooledCounts(**values)`` reads them back."""
        return asdict(self)


def pool_counts(cases: Iterable[CountedCase | None]) -> PooledCounts | None:
    """Pool the counts of a cohort's cases.

    Args:
        cases: One for each case; None if it has no counts, since model or labels do not tell vertebrae apart.

    Returns:
        The sums; None if not one case has counts.
    """
    everyone = list(cases)
    counted = [case for case in everyone if case is not None]
    if not counted:
        return None
    return PooledCounts(
        whole=sum(case.counts.whole for case in counted),
        found=sum(case.counts.found for case in counted),
        named=sum(case.counts.named for case in counted),
        named_up_to_shift=sum(case.counts.named_up_to_shift for case in counted),
        extra=sum(case.counts.extra for case in counted),
        cases=len(counted),
        cases_unsure=None if all(case.is_unsure is None for case in counted) else sum(map(_is_unsure, counted)),
        cases_not_counted=len(everyone) - len(counted),
    )


def _is_unsure(case: CountedCase) -> bool:
    return bool(case.is_unsure)
