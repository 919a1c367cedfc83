"""A person's part in the making of a model, from the records that models carry."""

from __future__ import annotations

import pytest

from TomoRayLib.training.data.licences import BODIES, CASES, GREY, SHAPES, WATCHED, data_of_model, merged, uses_of
from TomoRayLib.training.data.roles import Role, role_of, uses_in_registry
from TomoRayLib.weights import find_model

USES = merged(
    (
        *uses_of(CASES, ["sub-verse006", "sub-verse014"]),
        *uses_of(WATCHED, ["sub-verse005", "s0308", "sub-verse014"]),
        *uses_of(SHAPES, ["verse041", "verse018"]),
        *uses_of(BODIES, ["totalsegmentator_example_abdomen_pelvis"]),
    )
)


@pytest.mark.parametrize(
    ("names", "role"),
    [
        (("sub-verse006",), Role.TRAINED_ON),
        (("sub-verse014",), Role.TRAINED_ON),  # watched as well
        (("sub-verse041",), Role.TRAINED_ON),  # by its label map
        (("sub-verse005",), Role.CHOSEN_ON),
        (("s0308",), Role.CHOSEN_ON),
        (("sub-verse007",), Role.HELD_OUT),
        (("LIDC-IDRI-0001",), Role.HELD_OUT),
        (("totalsegmentator_example",), Role.TRAINED_ON),  # the same person as a body
        (("case 7",), Role.HELD_OUT),
        (("case 7", "s0308"), Role.CHOSEN_ON),  # under another name
    ],
)
def test_the_role_follows_from_any_name_of_the_person(names: tuple[str, ...], role: Role) -> None:
    assert role_of(names, USES) is role
    assert role_of(names, uses_in_registry(data_of_model(USES))) is role


def test_a_count_in_the_registry_names_nobody() -> None:
    (use,) = uses_in_registry([{"name": "VerSe label maps (23)", "licence": "CC-BY-NC-SA-4.0", "use": SHAPES}])
    assert (use.name, use.items) == ("VerSe label maps", ())


def test_the_shipped_entry_says_on_whom_it_was_trained_and_chosen() -> None:
    uses = uses_in_registry(find_model("geolift-s-permissive").data)
    assert role_of(("sub-verse230",), uses) is Role.TRAINED_ON
    assert GREY in {use.use for use in uses}
    assert role_of(("LIDC-IDRI-0001",), uses) is Role.HELD_OUT
