"""Dataclasses from nested mappings: what is converted, and what a wrong key or value is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.mappings import dataclass_from_mapping


@dataclass(frozen=True)
class Beam:
    sad_mm: float = 1000.0
    kind: Literal["cone", "parallel"] = "cone"

    def __post_init__(self) -> None:
        if self.sad_mm <= 0:
            raise InputError(f"sad_mm must be above 0; got {self.sad_mm}.", "sad_mm")


@dataclass(frozen=True)
class Scan:
    name: str
    size: tuple[int, int] | None = None
    beams: tuple[Beam, ...] = ()
    beam: Beam = field(default_factory=Beam)
    inverted: bool = False


def test_nested_mappings_and_lists_become_dataclasses_and_tuples() -> None:
    content = {"name": "a", "size": [3, 5], "beam": {"sad_mm": 850}, "beams": [{"kind": "parallel"}], "inverted": True}
    scan = dataclass_from_mapping(Scan, content, "the scan")
    assert scan == Scan("a", (3, 5), (Beam(kind="parallel"),), Beam(850.0), True)
    assert isinstance(scan.beam.sad_mm, float)
    assert dataclass_from_mapping(Scan, {"name": "a", "size": None}, "the scan") == Scan("a")
    assert dataclass_from_mapping(Scan, {"name": "a", "size": (3, 5)}, "the scan").size == (3, 5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nam": "b"}, "the scan has the unknown key 'nam'; did you mean 'name'?"),
        ({"beam": {"xyz": 1}}, "the scan has the unknown key 'beam.xyz'; expected one of kind, sad_mm."),
        ({"beams": [{}, {"sad_mm": "far"}]}, "the scan: beams[1].sad_mm must be a number; got 'far'."),
        ({"size": [1, 2, 3]}, "the scan: size must hold 2 values; got 3."),
        ({"size": "12"}, "the scan: size must be a list; got '12'."),
        ({"size": [1, 2.5]}, "the scan: size[1] must be a whole number; got 2.5."),
        ({"inverted": 1}, "the scan: inverted must be true or false; got 1."),
        ({"name": None}, "the scan: name must be a text; got None."),
        ({"beam": 3}, "the scan: beam must be a table; got 3."),
        ({"beam": {"kind": "fan"}}, "the scan: beam.kind must be one of cone, parallel; got 'fan'."),
        ({"beam": {"sad_mm": 0}}, "the scan: beam: sad_mm must be above 0; got 0.0."),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        dataclass_from_mapping(Scan, {"name": "a", **changes}, "the scan")
    assert str(caught.value) == told


def test_a_missing_key_is_named_and_a_refusal_keeps_its_field() -> None:
    with pytest.raises(InputError, match=r"^the scan lacks name\.$"):
        dataclass_from_mapping(Scan, {}, "the scan")
    with pytest.raises(InputError) as caught:
        dataclass_from_mapping(Scan, {"name": "a", "beam": {"sad_mm": -1.0}}, "the scan")
    assert caught.value.field == "sad_mm"
