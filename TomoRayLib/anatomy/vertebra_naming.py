"""One vertebra named by a person, and the numbers that all others of its spine get from it.

The network may be off by one in all numbers alike. Vertebrae are therefore counted from the one that is named, in the
usual order C1-C7, T1-T12, L1-L6; T13 is there only if it is the one that was named.

Only the standard library is imported: 3D Slicer renames in its own process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import dist, isfinite
from typing import Any

from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER, NAME_OF_LABEL, T13_LABEL, label_of_structure
from TomoRayLib.base.errors import InputError

FIELD = "anchor"  # the setting of the job that names a vertebra
FORM = "L1=X,Y,Z, a place in LPS mm, or L1=T12, the name that the vertebra has now"
FARTHEST_MM = 25.0  # of a named place from the nearest vertebra
NEAREST_TOLD = 3

SURE, UNSURE = "sure", "unsure"  # whether all numbers of a spine may be too high or too low alike

Place = tuple[float, float, float]

_USUAL_ORDER = tuple(number for number in CRANIOCAUDAL_ORDER if number != T13_LABEL)


@dataclass(frozen=True)
class Anchor:
    """What a person says of one vertebra: the one at a place, or the one with another name, is ``number``.

    Args:
        number: VerSe number, 1 (C1) to 25 (L6), or 28 (T13).
        place_mm: LPS mm (x, y, z), inside the vertebra or near to it; None if ``was`` tells it.
        was: The VerSe number that it has so far; None if ``place_mm`` tells it.
    """

    number: int
    place_mm: Place | None = None
    was: int | None = None

    @property
    def name(self) -> str:
        """``"L1"``."""
        return NAME_OF_LABEL[self.number]


@dataclass(frozen=True)
class Naming:
    """A numbering that follows from one vertebra named by a person.

    Args:
        number: Its VerSe number since.
        was: The VerSe number that it had before.
        certainty_before: Probability, 0 to 1, that the network's own numbers were right.
    """

    number: int
    was: int
    certainty_before: float

    def to_json_dict(self) -> dict[str, Any]:
        """``name``, ``instead_of`` and ``certainty_before``."""
        certainty = round(self.certainty_before, 3)
        return {
            "name": NAME_OF_LABEL[self.number],
            "instead_of": NAME_OF_LABEL[self.was],
            "certainty_before": certainty,
        }


def parsed_anchor(text: str) -> Anchor:
    """Read what names a vertebra.

    Args:
        text: ``"L1=12.5,-30,410"``, a place in LPS mm, or ``"L1=T12"``, the name so far.

    Raises:
        InputError: For anything else.

    >>> parsed_anchor("L1=T12")
    Anchor(number=20, place_mm=None, was=19)
    """
    name, equals, rest = text.partition("=")
    number = label_of_structure(name)
    if not equals or number is None:
        raise _no_anchor(text)
    was = label_of_structure(rest)
    if was is not None:
        return Anchor(number, was=was)
    try:
        values = [float(word) for word in re.split(r"[,;\s]+", rest.strip())]
    except ValueError:
        raise _no_anchor(text) from None
    if len(values) != 3 or not all(map(isfinite, values)):
        raise _no_anchor(text)
    return Anchor(number, place_mm=(values[0], values[1], values[2]))


def new_numbers(numbers: Iterable[int], was: int, becomes: int) -> dict[int, int]:
    """Count the vertebrae of a spine anew from one of them.

    Args:
        numbers: VerSe numbers of all its vertebrae, in any order; one that is left out between two stays left out.
        was: The number of one of them.
        becomes: The number that this one gets.

    Returns:
        The new VerSe number by the old one.

    Raises:
        InputError: If no vertebra has the number ``was``, or one would come before C1 or after L6.

    >>> new_numbers([18, 19, 20], was=19, becomes=20)
    {18: 19, 19: 20, 20: 21}
    """
    present = set(numbers)
    if was not in present:
        raise InputError(
            f"Expected the present name of a vertebra, got {NAME_OF_LABEL.get(was, was)}, which none has; name one of "
            f"{_names(present)}.",
            FIELD,
        )
    order = CRANIOCAUDAL_ORDER if T13_LABEL in present else _USUAL_ORDER
    new_order = CRANIOCAUDAL_ORDER if becomes == T13_LABEL else _USUAL_ORDER
    shift = new_order.index(becomes) - order.index(was)
    places = {number: order.index(number) + shift for number in order if number in present}
    first, last = min(places.values()), max(places.values())
    if first < 0 or last >= len(new_order):
        end, beyond = ("above", "C1") if first < 0 else ("below", "L6")
        count = -first if first < 0 else last - len(new_order) + 1
        raise InputError(
            f"Expected vertebrae within C1 to L6; with {NAME_OF_LABEL[was]} as {NAME_OF_LABEL[becomes]}, those from "
            f"{_ends(present)} would go {count} {end} {beyond}. Give that vertebra another name, or name another one.",
            FIELD,
        )
    return {number: new_order[place] for number, place in places.items()}


def renamed_vertebrae(values: Mapping[str, Any], was: int, becomes: int) -> dict[str, Any]:
    """Rename the vertebrae of a result's JSON, as ``DecodedSpine.to_json_dict`` wrote it.

    Args:
        values: ``vertebrae``, ``numbering``, ``numbering_certainty`` and ``named_by_you``.
        was: VerSe number of one of the vertebrae.
        becomes: The number that it gets.

    Returns:
        The same keys with other numbers, which are sure now.

    Raises:
        InputError: As ``new_numbers`` does.
    """
    numbers = new_numbers([one["number"] for one in values["vertebrae"]], was, becomes)
    vertebrae = [
        {**one, "number": numbers[one["number"]], "name": NAME_OF_LABEL[numbers[one["number"]]]}
        for one in values["vertebrae"]
    ]
    before = values.get("named_by_you") or {"certainty_before": values["numbering_certainty"]}
    naming = Naming(becomes, was, float(before["certainty_before"]))
    return {
        "vertebrae": vertebrae,
        "numbering": SURE,
        "numbering_certainty": 1.0,
        "named_by_you": naming.to_json_dict(),
    }


def numbering_text(numbering: str, certainty: float | None, named: bool) -> str:
    """Say how sure a numbering is: ``"sure, 97 %"``, ``"unsure, 41 %"`` or ``"named by you"``."""
    if named:
        return "named by you"
    return numbering if certainty is None else f"{numbering}, {certainty:.0%}".replace("%", " %")


def too_far(distances_mm: Mapping[int, float], place_mm: Sequence[float]) -> InputError:
    """Return the error for a place that is farther than ``FARTHEST_MM`` from each vertebra.

    Args:
        distances_mm: The distance of each vertebra by its VerSe number.
        place_mm: The place in LPS mm.
    """
    nearest = sorted(distances_mm.items(), key=lambda item: item[1])[:NEAREST_TOLD]
    listed = ", ".join(f"{NAME_OF_LABEL[number]} {distance:.0f} mm away" for number, distance in nearest)
    return InputError(
        f"Expected a place in LPS mm within {FARTHEST_MM:g} mm of a vertebra, got {shown_place(place_mm)}; the nearest "
        f"are {listed}. Give a place inside one of them, or its present name.",
        FIELD,
    )


def nearest_number(centers_mm: Mapping[int, Sequence[float]], place_mm: Sequence[float]) -> int | None:
    """Return the number of the vertebra whose centre lies nearest to a place, both in LPS mm; None without any."""
    return min(centers_mm, key=lambda number: dist(centers_mm[number], place_mm), default=None)


def shown_place(place_mm: Sequence[float]) -> str:
    """``"(12.0, -30.0, 410.0)"``."""
    return "(" + ", ".join(f"{value:.1f}" for value in place_mm) + ")"


def _no_anchor(text: str) -> InputError:
    return InputError(f"Expected one vertebra to be named as {FORM}; got {text!r}.", FIELD)


def _ends(numbers: Iterable[int]) -> str:
    """``"T5 to L1"``."""
    ordered = [number for number in CRANIOCAUDAL_ORDER if number in set(numbers)]
    return f"{NAME_OF_LABEL[ordered[0]]} to {NAME_OF_LABEL[ordered[-1]]}"


def _names(numbers: Iterable[int]) -> str:
    present = set(numbers)
    return ", ".join(NAME_OF_LABEL[number] for number in CRANIOCAUDAL_ORDER if number in present)
