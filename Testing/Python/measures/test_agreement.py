"""Agreement of two ways of measuring: published examples, and what is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from TomoRayLib.measures.agreement import Pair, agreement_of, icc_absolute
from TomoRayLib.measures.known_errors import FEWEST, known_error, read_known_errors
from TomoRayLib.measures.measure import measured
from TomoRayLib.measures.spine import MeasuredSpine
from TomoRayLib.measures.usual import Usual, usual_from_json, usual_measures, usual_to_json

# Shrout and Fleiss 1979, table 2: six targets, four judges; ICC(2,1) = .29
SHROUT_AND_FLEISS = ((9, 2, 5, 8), (6, 1, 3, 2), (8, 4, 6, 8), (7, 1, 2, 6), (10, 5, 6, 9), (6, 2, 4, 7))


def pairs(differences, person=None) -> list[Pair]:
    return [
        Pair(person[number] if person else str(number), "L1", 20.0 + number, 20.0 + number + one)
        for number, one in enumerate(differences)
    ]


def spine_with(height_mm: float) -> MeasuredSpine:
    """A spine of one measure."""
    return MeasuredSpine({}, (measured("height_anterior_mm", "L1", height_mm),))


def test_icc_of_the_published_example() -> None:
    assert icc_absolute(SHROUT_AND_FLEISS) == pytest.approx(0.29, abs=0.005)


def test_icc_of_equal_ratings_is_one_and_a_bias_lowers_it() -> None:
    same = [(value, value) for value in (18.0, 22.0, 27.0, 31.0)]
    biased = [(value, value + 5.0) for value in (18.0, 22.0, 27.0, 31.0)]
    assert icc_absolute(same) == pytest.approx(1.0)
    assert icc_absolute(biased) < 0.75
    assert math.isnan(icc_absolute(same[:2]))


def test_limits_are_the_usual_ones_with_one_measure_a_person() -> None:
    differences = np.array([-1.0, 0.5, 2.0, 3.0, -0.5])
    agreement = agreement_of(pairs(differences))
    sd = differences.std(ddof=1)
    assert (agreement.n, agreement.people) == (5, 5)
    assert agreement.bias == pytest.approx(differences.mean())
    assert agreement.low == pytest.approx(differences.mean() - 1.96 * sd)
    assert agreement.high == pytest.approx(differences.mean() + 1.96 * sd)
    assert agreement.mean_absolute == pytest.approx(np.abs(differences).mean())


def test_limits_widen_if_measures_of_one_person_err_alike() -> None:
    """Ten vertebrae of one person that all err by the same are hardly more than one."""
    differences = [3.0, 3.1, 2.9, 3.0, -3.0, -3.1, -2.9, -3.0]
    people = ["a"] * 4 + ["b"] * 4
    agreement = agreement_of(pairs(differences, people))
    assert agreement.people == 2
    assert agreement.sd > 1.25 * np.std(differences, ddof=1)
    alone = agreement_of(pairs(differences))
    assert alone.sd == pytest.approx(np.std(differences, ddof=1))


def test_variance_is_split_as_the_variance_components_say() -> None:
    """Simulated people: SD between 3, within 1, so a new single difference has an SD of sqrt(10)."""
    chance = np.random.default_rng(5)
    made = [
        (f"p{person}", shift + chance.normal(0, 1))
        for person, shift in enumerate(chance.normal(0, 3, 400))
        for _ in range(4)
    ]
    agreement = agreement_of([Pair(person, "L1", 0.0, difference) for person, difference in made])
    assert agreement.sd == pytest.approx(math.sqrt(10), rel=0.06)


def test_too_few_pairs_have_no_limits_and_no_error_that_is_told() -> None:
    assert math.isnan(agreement_of([]).bias)
    one = agreement_of(pairs([1.0]))
    assert one.to_json_dict()["low"] is None
    assert known_error("cobb_deg", pairs([1.0])) is None


@pytest.mark.parametrize(("sd", "usable"), [(0.8, True), (5.0, False)])
def test_a_known_error_says_in_words_whether_it_is_of_use(sd, usable) -> None:
    chance = np.random.default_rng(1)
    usual = {("height_anterior_mm", "L1"): Usual(25.0, 2.0, 20)}
    error = known_error("height_anterior_mm", pairs(chance.normal(0, sd, 30)), usual, chosen_on=["0", "29", "x"])
    assert error is not None
    assert error.usable is usable
    assert ("do not use the value" in error.sentence) is not usable
    assert "n = 30, 30 people, 2 of whom the weights were chosen on, L1 to L1" in error.sentence
    again = read_known_errors({"height_anterior_mm": error.to_json_dict(), "unknown_mm": {}})
    assert again == {"height_anterior_mm": error}


def test_limits_that_may_be_wider_than_they_look_are_of_no_use() -> None:
    """The same differences of 5 and of 50 people: the limits are the same, but five people may hide wider ones."""
    usual = {("height_anterior_mm", "L1"): Usual(60.0, 2.0, 20)}
    few, many = (
        known_error("height_anterior_mm", pairs([-1.7, -0.85, 0.0, 0.85, 1.7] * times), usual) for times in (1, 10)
    )
    assert few is not None
    assert many is not None
    assert few.high == pytest.approx(many.high, rel=0.15)
    assert (few.usable, many.usable) == (False, True)


def test_many_vertebrae_of_one_person_are_one_person() -> None:
    usual = {("height_anterior_mm", "L1"): Usual(60.0, 2.0, 20)}
    error = known_error("height_anterior_mm", pairs([0.1, -0.1, 0.2, -0.2, 0.0, 0.1], ["a"] * 6), usual)
    assert error is not None
    assert not error.usable
    assert "too few" in error.sentence


def test_nothing_is_of_use_without_a_guess_to_compare_it_with() -> None:
    error = known_error("height_anterior_mm", pairs([0.1, -0.1] * 10))
    assert error is not None
    assert not error.usable
    assert "What a guess would err by is not known" in error.sentence


def test_few_pairs_are_never_of_use() -> None:
    error = known_error("cobb_deg", pairs([0.1] * (FEWEST - 2) + [0.2]))
    assert error is not None
    assert not error.usable
    assert "too few" in error.sentence


def test_a_measure_that_errs_more_than_a_guess_is_of_no_use() -> None:
    usual = usual_measures([[spine_with(24.0)], [spine_with(23.0), spine_with(27.0)], [spine_with(26.0)]])
    assert usual["height_anterior_mm", "L1"] == Usual(25.0, 1.0, 3)
    made = [Pair(str(number), "L1", 25.0 + number / 20, 27.0 + number / 20) for number in range(8)]
    error = known_error("height_anterior_mm", made, usual)
    assert error is not None
    assert error.guess == pytest.approx(np.mean([number / 20 for number in range(8)]), abs=1e-3)
    assert error.beats_guess is False
    assert not error.usable
    assert "not clearly less than the usual value" in error.sentence
    assert usual_from_json(usual_to_json(usual)) == usual


def test_an_error_covers_the_levels_that_were_compared() -> None:
    subjects = ["T11/T12", "T12/L1", "L1/L2"]
    made = [Pair(str(number), subject, 5.0, 5.0 + number / 9) for number, subject in enumerate(subjects)]
    error = known_error("disc_height_mm", made)
    assert error is not None
    assert (error.highest, error.lowest) == ("T11", "L2")
    asked = ("T10/T11", "T11/T12", "L1/L2", "L2/L3", "spine")
    assert [error.covers(subject) for subject in asked] == [False, True, True, False, False]


def test_the_error_of_a_stretch_covers_no_longer_one() -> None:
    error = known_error("spine_length_mm", [Pair(str(n), "T11-L2", 100.0, 101.0 + n) for n in range(6)])
    assert error is not None
    assert [error.covers(subject) for subject in ("T11-L2", "T12-L1", "T1-T12", "C3-C7", "spine")] == [
        True, True, False, False, False
    ]  # fmt: skip
