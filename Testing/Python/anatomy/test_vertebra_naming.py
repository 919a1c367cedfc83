"""One vertebra named by a person, and the numbers that its spine gets from it."""

from __future__ import annotations

import numpy as np
import pytest

from support.vertebra_fields import course, labelled_spine
from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine, decode_vertebrae
from TomoRayLib.anatomy.vertebra_field import centroids_of_labels, vertebra_field
from TomoRayLib.anatomy.vertebra_naming import (
    SURE,
    Anchor,
    nearest_number,
    new_numbers,
    numbering_text,
    parsed_anchor,
    renamed_vertebrae,
)
from TomoRayLib.anatomy.vertebra_renumbering import number_at, renumbered
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid

TURN = np.deg2rad(25.0)
OBLIQUE = (np.cos(TURN), -np.sin(TURN), 0.0, np.sin(TURN), np.cos(TURN), 0.0, 0.0, 0.0, 1.0)
GRID = Grid((64, 72, 96), (2.2, 1.9, 2.6), (-41.0, 17.0, -310.0), OBLIQUE)
NUMBERS = tuple(range(14, 21))  # T7 to L1
MIDDLE = GRID.index_to_world @ [32.0, 36.0, 48.0, 1.0]


def numbers_of(*names: str) -> list[int]:
    return [LABEL_OF_NAME[name] for name in names]


@pytest.fixture(scope="module")
def spine() -> DecodedSpine:
    x, y, z = MIDDLE[:3]
    labels = labelled_spine(course(7, (x, y, z + 72.0), 24.0, 10.0, 8.0), NUMBERS, GRID)
    decoded = decode_vertebrae(labels > 0, vertebra_field(labels, GRID)[0], GRID)
    assert [one.number for one in decoded.vertebrae] == list(NUMBERS)
    return decoded


@pytest.mark.parametrize(
    ("text", "anchor"),
    [
        ("L1=T12", Anchor(20, was=19)),
        ("vertebrae_L1 = Th12", Anchor(20, was=19)),
        ("T13=L1", Anchor(28, was=20)),
        ("L1=12.5,-30,410", Anchor(20, (12.5, -30.0, 410.0))),
        (" L1 = 12.5, -30, 4.1e2", Anchor(20, (12.5, -30.0, 410.0))),
    ],
)
def test_an_anchor_is_a_name_or_a_place(text: str, anchor: Anchor) -> None:
    assert parsed_anchor(text) == anchor


@pytest.mark.parametrize("text", ["", "L1", "=T12", "S1=T12", "L1=", "L1=1,2", "L1=1,2,3,4", "L1=1,2,nan", "L1=left"])
def test_anything_else_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(InputError, match="Expected one vertebra to be named as L1=X,Y,Z") as error:
        parsed_anchor(text)
    assert error.value.field == "anchor"
    assert repr(text) in str(error.value)


def test_all_are_counted_from_the_one_that_is_named() -> None:
    names = ("T10", "T11", "T12", "L1")
    numbers = new_numbers(numbers_of(*names), LABEL_OF_NAME["T12"], LABEL_OF_NAME["L1"])
    assert list(numbers.values()) == numbers_of("T11", "T12", "L1", "L2")
    assert new_numbers(numbers.values(), LABEL_OF_NAME["L1"], LABEL_OF_NAME["T12"]) == dict(
        zip(numbers.values(), numbers, strict=True)
    )


def test_t13_is_there_only_if_it_is_named() -> None:
    numbers = new_numbers(numbers_of("T11", "T12", "L1", "L2"), LABEL_OF_NAME["L1"], LABEL_OF_NAME["T13"])
    assert list(numbers.values()) == numbers_of("T11", "T12", "T13", "L1")
    back = new_numbers(numbers.values(), LABEL_OF_NAME["L1"], LABEL_OF_NAME["L2"])
    assert [back[number] for number in numbers.values()] == numbers_of("T11", "T12", "L1", "L2")


def test_a_missing_vertebra_stays_missing() -> None:
    numbers = new_numbers(numbers_of("C6", "T1", "T2"), LABEL_OF_NAME["T2"], LABEL_OF_NAME["T4"])
    assert list(numbers.values()) == numbers_of("T1", "T3", "T4")


@pytest.mark.parametrize(
    ("names", "was", "becomes", "message"),
    [
        (("L4", "L5"), "L4", "L6", "those from L4 to L5 would go 1 below L6"),
        (("C1", "C2", "C3"), "C3", "C1", "those from C1 to C3 would go 2 above C1"),
        (("T12", "L1", "L5", "L6"), "T12", "L1", "those from T12 to L6 would go 1 below L6"),
        (("T12", "L1"), "L3", "L1", "got L3, which none has; name one of T12, L1"),
    ],
)
def test_names_beyond_the_spine_are_refused(names: tuple[str, ...], was: str, becomes: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        new_numbers(numbers_of(*names), LABEL_OF_NAME[was], LABEL_OF_NAME[becomes])
    assert error.value.field == "anchor"


def test_labels_and_vertebrae_are_renumbered_alike(spine: DecodedSpine) -> None:
    named = renumbered(spine, Anchor(20, was=19), GRID)
    np.testing.assert_array_equal(named.labels, np.where(spine.labels > 0, spine.labels + 1, 0))
    assert named.labels.dtype == np.uint8
    assert [one.number for one in named.vertebrae] == [number + 1 for number in NUMBERS]
    assert [one.center_mm for one in named.vertebrae] == [one.center_mm for one in spine.vertebrae]
    assert spine.vertebrae[0].number == NUMBERS[0]


def test_a_named_spine_is_sure_and_says_by_whom(spine: DecodedSpine) -> None:
    doubted = DecodedSpine(spine.labels, spine.vertebrae, 0.413)
    values = renumbered(doubted, Anchor(20, was=19), GRID).to_json_dict()
    assert (values["numbering"], values["numbering_certainty"]) == (SURE, 1.0)
    assert values["named_by_you"] == {"name": "L1", "instead_of": "T12", "certainty_before": 0.413}
    assert doubted.to_json_dict()["named_by_you"] is None
    again = renumbered(renumbered(doubted, Anchor(20, was=19), GRID), Anchor(19, was=20), GRID)
    assert again.to_json_dict()["named_by_you"] == {"name": "T12", "instead_of": "L1", "certainty_before": 0.413}
    np.testing.assert_array_equal(again.labels, spine.labels)


def test_the_field_of_view_keeps_who_named(spine: DecodedSpine) -> None:
    named = renumbered(spine, Anchor(20, was=19), GRID)
    assert named.on_grid(named.labels, GRID).named == named.named


def test_a_place_in_a_vertebra_names_it_on_an_oblique_grid(spine: DecodedSpine) -> None:
    for number, center_mm in centroids_of_labels(spine.labels, GRID).items():
        x, y, z = center_mm.tolist()
        assert number_at(spine, (x, y, z), GRID) == number
        assert number_at(spine, (x + 25.0, y, z), GRID) == number
        becomes = number + 1
        named = renumbered(spine, Anchor(becomes, (x, y, z)), GRID)
        assert {one.number for one in named.vertebrae} == {other + 1 for other in NUMBERS}


def test_a_place_far_from_all_is_refused_with_the_nearest(spine: DecodedSpine) -> None:
    x, y, z = spine.vertebrae[2].center_mm
    with pytest.raises(InputError, match=r"within 25 mm of a vertebra, got \(.*\); the nearest are T9 \d+ mm") as error:
        renumbered(spine, Anchor(20, (x + 70.0, y, z)), GRID)
    assert error.value.field == "anchor"


def test_a_spine_without_vertebrae_has_none_to_name() -> None:
    empty = DecodedSpine(np.zeros(GRID.shape, np.uint8), (), 0.0)
    with pytest.raises(InputError, match="none was told apart"):
        renumbered(empty, Anchor(20, was=19), GRID)


def test_a_result_on_disk_is_renamed_as_the_spine_is(spine: DecodedSpine) -> None:
    values = renamed_vertebrae(spine.to_json_dict(), was=19, becomes=20)
    assert values == renumbered(spine, Anchor(20, was=19), GRID).to_json_dict()
    again = renamed_vertebrae(values, was=20, becomes=28)
    assert [one["name"] for one in again["vertebrae"]][-2:] == ["T13", "L1"]
    assert again["named_by_you"]["certainty_before"] == round(spine.certainty, 3)


def test_a_numbering_is_said_in_words() -> None:
    assert numbering_text("sure", 0.971, False) == "sure, 97 %"
    assert numbering_text("unsure", 0.41, False) == "unsure, 41 %"
    assert numbering_text("sure", 1.0, True) == "named by you"


def test_the_nearest_centre_is_that_of_the_vertebra_meant() -> None:
    centers = {19: (0.0, 0.0, 30.0), 20: (0.0, 5.0, 0.0)}
    assert nearest_number(centers, (3.0, 8.0, 9.0)) == 20
    assert nearest_number({}, (0.0, 0.0, 0.0)) is None
