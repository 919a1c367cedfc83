"""Statistics over people: several images of one are one value."""

from __future__ import annotations

import math

import pytest

from TomoRayLib.metrics.scores import METRIC_KEYS
from TomoRayLib.metrics.statistics import CaseScore, by_person


def a_score(name: str, subject: str, value: float) -> CaseScore:
    return CaseScore(name, subject, {"a": dict.fromkeys(METRIC_KEYS, value)}, {})


def test_images_of_one_person_are_averaged() -> None:
    scores = [a_score("1", "p", 1.0), a_score("2", "p", 3.0), a_score("3", "q", 5.0), a_score("4", "r", math.nan)]
    found = by_person(scores, "a", "dice")
    assert (found.n, found.mean, found.median) == (2, 3.5, 3.5)
    assert found.sd == pytest.approx(math.sqrt(4.5))
    again = by_person([*scores, *(a_score(f"again {n}", "q", 5.0) for n in range(20))], "a", "dice")
    assert again == found
    assert by_person(scores, "b", "dice").n == 0
