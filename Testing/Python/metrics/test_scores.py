"""The list of scores and the shorter ones drawn from it."""

from __future__ import annotations

import doctest

from TomoRayLib.metrics import scores
from TomoRayLib.metrics.scores import COLUMN_OF_KEY, GLANCE_SCORES, MAIN_SCORES, METRIC_KEYS, PAPER_SCORES


def test_the_main_scores_are_all_but_those_of_single_planes() -> None:
    assert set(MAIN_SCORES) == {key for key in METRIC_KEYS if not COLUMN_OF_KEY[key].is_of_one_plane}
    assert len(MAIN_SCORES) == len(set(MAIN_SCORES)) == 11


def test_the_shorter_lists_hold_main_scores_alone() -> None:
    assert set(PAPER_SCORES) < set(MAIN_SCORES)
    assert set(GLANCE_SCORES) < set(MAIN_SCORES)


def test_the_examples_in_the_docstrings_are_right() -> None:
    assert doctest.testmod(scores) == (0, 1)
