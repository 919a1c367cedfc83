"""Counts of vertebrae over several cases: sums and shares of sums."""

from __future__ import annotations

import json
import math

import pytest

from TomoRayLib.metrics.vertebra_counts import VertebraCounts
from TomoRayLib.metrics.vertebra_pooling import CountedCase, PooledCounts, pool_counts

LARGE = CountedCase(VertebraCounts(whole=12, found=11, named=4, named_up_to_shift=10, extra=2, shift=-1), True)
SMALL = CountedCase(VertebraCounts(whole=1, found=0, named=0, named_up_to_shift=0, extra=3, shift=0), False)
MIDDLE = CountedCase(VertebraCounts(whole=3, found=3, named=3, named_up_to_shift=3, extra=0, shift=0), False)
CUT_ALONE = CountedCase(VertebraCounts(whole=0, found=0, named=0, named_up_to_shift=0, extra=1, shift=0), True)


def test_counts_are_summed_over_lopsided_cases() -> None:
    assert pool_counts([LARGE, SMALL, MIDDLE]) == PooledCounts(
        whole=16, found=14, named=7, named_up_to_shift=13, extra=5, cases=3, cases_unsure=1, cases_not_counted=0
    )


def test_shares_are_those_of_the_sums_and_no_mean_of_shares() -> None:
    """The means of the cases' shares would be .64, .44 and .61."""
    pooled = pool_counts([LARGE, SMALL, MIDDLE])
    assert pooled is not None
    shares = (pooled.found_share, pooled.named_share, pooled.named_up_to_shift_share)
    assert shares == pytest.approx((14 / 16, 7 / 16, 13 / 16))


def test_a_case_without_whole_vertebrae_changes_no_share_but_is_a_case() -> None:
    pooled = pool_counts([SMALL, MIDDLE, CUT_ALONE])
    assert pooled is not None
    assert (pooled.cases, pooled.cases_unsure, pooled.extra) == (3, 1, 4)
    assert pooled.found_share == pytest.approx(3 / 4)
    alone = pool_counts([CUT_ALONE])
    assert alone is not None
    assert (alone.cases, alone.whole) == (1, 0)
    assert math.isnan(alone.found_share)


def test_cases_without_counts_are_told_and_in_no_sum() -> None:
    assert pool_counts([None, MIDDLE, None, LARGE, None]) == PooledCounts(
        whole=15, found=14, named=7, named_up_to_shift=13, extra=2, cases=2, cases_unsure=1, cases_not_counted=3
    )


def test_without_any_counts_there_is_nothing_to_pool() -> None:
    assert pool_counts([None, None]) is None
    assert pool_counts(iter(())) is None


@pytest.mark.parametrize(("numbering", "is_unsure"), [("sure", False), ("unsure", True)])
def test_a_case_is_read_from_its_scores(numbering: str, is_unsure: bool) -> None:
    counting = {"counts": LARGE.counts.to_json_dict(), "numbering": numbering, "per_vertebra": [], "vertebrae": []}
    assert CountedCase.from_json_dict(json.loads(json.dumps(counting))) == CountedCase(LARGE.counts, is_unsure)


def test_sums_come_back_from_json() -> None:
    pooled = pool_counts([None, LARGE, SMALL])
    assert pooled is not None
    values = json.loads(json.dumps(pooled.to_json_dict()))
    assert (values["whole"], values["cases_not_counted"]) == (13, 1)
    assert PooledCounts(**values) == pooled
