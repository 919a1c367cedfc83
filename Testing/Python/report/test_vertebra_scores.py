"""Which vertebrae are better than the mean atlas's, how far each lies off, and that nothing of it is hidden."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from support.report_cases import metrics_table
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.metrics.row import MetricsRow
from TomoRayLib.metrics.shift import Shift, no_shift
from TomoRayLib.metrics.table import MetricsTable
from TomoRayLib.metrics.vertebra import VertebraRow
from TomoRayLib.report.shift_words import shift_cell, shift_phrase, shift_sentences
from TomoRayLib.report.tables import at_a_glance, scores_section
from TomoRayLib.report.vertebra_scores import against_atlas, against_atlas_sentence, vertebra_table


def a_vertebra(name: str, dice: float, shift: Shift | None = None, cut: bool = False) -> VertebraRow:
    moved = shift or Shift(0.0, 0.0, 0.0, dice, dice)
    places = (moved.left_mm, moved.posterior_mm, moved.superior_mm, moved.dice_moved)
    return VertebraRow(LABEL_OF_NAME[name], name, dice, 9.0, 2.0, 0.3, 0.5, 3.0, cut, *places)


def a_table(ours: list[VertebraRow], atlas: list[VertebraRow], shift: Shift | None = None) -> MetricsTable:
    table = metrics_table()
    rows = dict(table.rows)
    rows["tomoray"] = replace(rows["tomoray"], per_vertebra=tuple(ours), shift=shift)
    rows["mean_atlas"] = replace(rows["mean_atlas"], per_vertebra=tuple(atlas))
    return replace(table, rows=tuple(rows.items()))


FOUR = a_table(
    [a_vertebra("T11", 0.6), a_vertebra("T12", 0.4), a_vertebra("L1", 0.5004), a_vertebra("L2", 0.1, cut=True)],
    [a_vertebra("T11", 0.5), a_vertebra("T12", 0.7), a_vertebra("L1", 0.4996), a_vertebra("L2", 0.9, cut=True)],
)


def test_vertebrae_ahead_behind_and_equal_as_printed_are_told_by_name() -> None:
    found = against_atlas(FOUR)
    assert found is not None
    assert (found.ahead, found.behind, found.equal) == (("T11",), ("T12",), ("L1",))  # a cut one is not compared
    assert against_atlas_sentence(FOUR, "TomoRay") == (
        "Of 3 whole vertebrae in view TomoRay has a higher Dice than the mean atlas in 1 (T11); the mean atlas is "
        "ahead in 1 (T12); both are equal in 1 (L1)."
    )


def test_what_is_behind_is_marked_in_the_table_and_told_on_top() -> None:
    table = vertebra_table(FOUR, "TomoRay")
    lines = re.findall(r'<tr( class="behind")?><th scope="row">(\w+)</th>', table)
    assert [name for kind, name in lines if kind] == ["T12", "L2"]
    assert re.findall(r"<td>(TomoRay|atlas|equal)</td>", table) == ["TomoRay", "atlas", "equal", "atlas"]
    assert re.findall(r"<b>([\d.]+)</b>", table) == ["0.600", "0.700", "0.900"]
    sentence = against_atlas_sentence(FOUR, "TomoRay")
    assert sentence in at_a_glance(FOUR)
    section = scores_section(FOUR)
    assert sentence in section
    assert "<details" not in section  # nothing of the table is folded away


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (0.6, "In the one whole vertebra in view TomoRay has a higher Dice than the mean atlas."),
        (0.4, "In the one whole vertebra in view TomoRay has a lower Dice than the mean atlas."),
        (0.5, "In the one whole vertebra in view TomoRay has the Dice of the mean atlas."),
    ],
)
def test_a_single_vertebra_is_told_in_the_singular(ours: float, expected: str) -> None:
    table = a_table([a_vertebra("L1", ours)], [a_vertebra("L1", 0.5)])
    assert against_atlas_sentence(table, "TomoRay") == expected


def test_without_atlas_or_vertebrae_nothing_is_said() -> None:
    alone = replace(FOUR, rows=FOUR.rows[:2])
    assert alone.names == ("tomoray", "blank")
    assert against_atlas_sentence(alone, "TomoRay") == ""
    assert "Mean atlas" not in vertebra_table(alone, "TomoRay")
    assert vertebra_table(a_table([], []), "TomoRay") == ""


def test_if_none_is_ahead_that_is_said() -> None:
    table = a_table([a_vertebra(name, 0.4) for name in ("L1", "L2")], [a_vertebra(name, 0.6) for name in ("L1", "L2")])
    assert against_atlas_sentence(table, "TomoRay") == (
        "Of 2 whole vertebrae in view TomoRay has a higher Dice than the mean atlas in none; the mean atlas is ahead "
        "in 2 (L1, L2)."
    )


@pytest.mark.parametrize(
    ("shift", "cell", "phrase"),
    [
        (Shift(1.3, -11.0, 0.0, 0.4, 0.7), "11 forward", "11.0 mm too far forward"),
        (
            Shift(-4.0, 8.0, 0.0, 0.4, 0.7),
            "8 back, 4 right",
            "8.0 mm too far back and 4.0 mm too far to the patient's right",
        ),
        (
            Shift(4.0, -6.7, 8.0, 0.4, 0.7),
            "8 up, 7 forward, 4 left",
            "8.0 mm too high, 6.7 mm too far forward and 4.0 mm too far to the patient's left",
        ),
        (Shift(0.0, 0.0, -2.7, 0.7, 0.8), "3 down", "2.7 mm too low"),
        (Shift(0.0, 1.3, 1.3, 0.8, 0.81), "none", "in place"),
    ],
)
def test_directions_are_the_patients(shift: Shift, cell: str, phrase: str) -> None:
    assert shift_cell(shift) == cell
    assert shift_phrase(shift) == phrase


def test_an_unknown_shift_is_a_dash() -> None:
    assert shift_cell(no_shift()) == "\N{EN DASH}"


def a_row(shift: Shift | None, vertebrae: list[VertebraRow]) -> MetricsRow:
    return replace(metrics_table()["tomoray"], shift=shift, per_vertebra=tuple(vertebrae))


def test_so_much_of_the_error_is_a_shift() -> None:
    vertebrae = [
        a_vertebra("T11", 0.4, Shift(0.0, -9.0, 0.0, 0.4, 0.7)),
        a_vertebra("T12", 0.5, Shift(0.0, -6.0, 0.0, 0.5, 0.7)),
        a_vertebra("L1", 0.6, Shift(3.0, 0.0, 0.0, 0.6, 0.7)),
        a_vertebra("L2", 0.1, no_shift(), cut=True),
    ]
    text = shift_sentences(a_row(Shift(0.0, -6.7, 0.0, 0.6, 0.7), vertebrae))
    assert "lies 6.7 mm too far forward." in text
    assert "Dice would be 0.700 in place of 0.600: 25 % of what it lacks to 1" in text
    assert "Its 3 whole vertebrae lie 6.0 mm off on average, 2 of 3 too far forward;" in text
    assert "mean Dice would be 0.700 in place of 0.500, 40 % of what they lack." in text


def test_what_lies_in_place_and_what_is_not_known() -> None:
    in_place = shift_sentences(a_row(Shift(0.0, 1.3, 0.0, 0.8, 0.81), []))
    assert in_place.startswith("As a whole the synthetic spine lies in place")
    assert shift_sentences(a_row(None, [])) == ""
    assert shift_sentences(a_row(no_shift(), [])) == ""
    assert not math.isnan(metrics_table()["tomoray"].dice)
    assert metrics_table()["blank"].shift is not None
    assert shift_sentences(metrics_table()["blank"]) == ""
