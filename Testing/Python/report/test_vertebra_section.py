"""What a cohort's page says of the vertebrae found and named over all cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from TomoRayLib.metrics.vertebra_pooling import PooledCounts
from TomoRayLib.report.vertebra_section import FLOORS_SENTENCE, pooled_sentences

POOLED = PooledCounts(
    whole=41, found=40, named=25, named_up_to_shift=39, extra=2, cases=6, cases_unsure=4, cases_not_counted=0
)


def test_the_sums_are_a_sentence_with_what_both_floors_find() -> None:
    assert pooled_sentences(POOLED) == (
        "Whole vertebrae in view: 41 in 6 cases; found within 10 mm 40 (98 %), named right 25 (61 %), up to a common "
        "shift 39 (95 %); numbering unsure in 4 of 6 cases. An empty volume finds none, and the mean atlas tells no "
        "vertebrae apart."
    )


@pytest.mark.parametrize(("count", "words"), [(1, "1 case"), (3, "3 cases")])
def test_cases_that_are_not_counted_are_told(count: int, words: str) -> None:
    text = pooled_sentences(replace(POOLED, cases_not_counted=count))
    assert f"of 6 cases. Not counted: {words} without vertebrae told apart. {FLOORS_SENTENCE}" in text


def test_without_a_whole_vertebra_there_is_no_share() -> None:
    nothing = PooledCounts(0, 0, 0, 0, extra=1, cases=1, cases_unsure=0, cases_not_counted=2)
    assert pooled_sentences(nothing) == (
        "Whole vertebrae in view: none in 1 case; numbering unsure in 0 of 1 case. Not counted: 2 cases without "
        "vertebrae told apart."
    )
