"""Whom a method has seen, by name and by shape."""

from __future__ import annotations

import numpy as np
import pytest

from support.labelled_cts import a_labelled_ct
from TomoRayLib.evaluation.roles import LeakGuard, People, Role
from TomoRayLib.evaluation.spine_shape import spine_picture
from TomoRayLib.weights import read_registry

PEOPLE = People(
    trained_on=("sub-verse401_split-verse253", "s0308", "sub-hosp01_ses-1"), chosen_on=("sub-verse005", "s0308")
)


@pytest.mark.parametrize(
    ("names", "role"),
    [
        (("verse253",), Role.TRAINED_ON),
        (("sub-verse401_split-verse252",), Role.TRAINED_ON),
        (("elsewhere", "s0308"), Role.TRAINED_ON),
        (("sub-hosp01_ses-2",), Role.TRAINED_ON),
        (("verse005_CT-iso",), Role.CHOSEN_ON),
        (("sub-verse050",), Role.HELD_OUT),
        ((), Role.HELD_OUT),
    ],
)
def test_the_role_of_a_person(names: tuple[str, ...], role: Role) -> None:
    assert PEOPLE.role_of(names) is role


def test_people_go_through_json() -> None:
    assert People.from_json_dict(PEOPLE.to_json_dict()) == PEOPLE
    assert People.from_json_dict({}) == People()


def test_a_copy_under_another_name_is_known_by_its_shape() -> None:
    picture = spine_picture(a_labelled_ct()[1])
    guard = LeakGuard({"a": PEOPLE, "b": People(chosen_on=("s0308",)), "c": People()}, {"s0308": (picture,)})
    found = guard.by_shape(picture)
    assert [(one.method, one.role, one.copy_of) for one in found] == [
        ("a", Role.TRAINED_ON, "s0308"),
        ("b", Role.CHOSEN_ON, "s0308"),
    ]
    assert found[0].sentence == "a was trained on this person (by its shape a copy of s0308)"
    assert guard.by_shape(picture[:, :, ::-1] & (np.arange(40) > 18)) == ()
    assert [one.method for one in guard.by_name(["s0308"])] == ["a", "b"]


def test_every_model_of_the_registry_says_whom_it_knows_and_no_one_held_out_for_ever() -> None:
    _, entries = read_registry()
    for entry in entries.values():
        people = People.from_json_dict(entry.people)
        assert people.trained_on
        assert people.role_of(["sub-verse014"]) is Role.TRAINED_ON
        for name in ("LIDC-IDRI-0001", "scouts_lumbar", "lumbar"):
            assert people.role_of([name]) is Role.HELD_OUT
    assert People.from_json_dict(entries["geolift-s"].people).role_of(["sub-verse005"]) is Role.CHOSEN_ON
