"""What a person was to a model: trained on, chosen on (scored while it was trained), or held out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from TomoRayLib.evaluation.roles import People, Role
from TomoRayLib.images.subjects import is_of_subjects
from TomoRayLib.training.data.licences import WATCHED, SourceUse


def role_of(names: Iterable[str], uses: Iterable[SourceUse]) -> Role:
    """Say what a person was to a model.

    Args:
        names: All names that the person's files have as case, body or label map.
        uses: The model's sources, from its checkpoint, its weights, or ``uses_in_registry``.

    Returns:
        ``TRAINED_ON`` if any name occurs in any use but watching, ``CHOSEN_ON`` if it was watched alone, else
        ``HELD_OUT``. Sources without names of items cannot tell.
    """
    own = tuple(names)
    found = {use.use for use in uses for item in use.items if is_of_subjects(item, own)}
    if found - {WATCHED}:
        return Role.TRAINED_ON
    return Role.CHOSEN_ON if found else Role.HELD_OUT


def people_of(uses: Iterable[SourceUse]) -> People:
    """Return the people that a model knows, by the names of the files that it was made from."""
    named = [(use.use == WATCHED, item) for use in uses for item in use.items]
    trained_on = sorted({item for is_watched, item in named if not is_watched})
    return People(tuple(trained_on), tuple(sorted({item for is_watched, item in named if is_watched})))


def uses_in_registry(data: Iterable[Mapping[str, str]]) -> tuple[SourceUse, ...]:
    """Read the sources of a registry entry back, with the items that stand in brackets behind their names.

    Args:
        data: ``ModelEntry.data``: ``{"name": "VerSe (sub-verse014, sub-verse230)", "licence": ..., "use": ...}``.

    Returns:
        The sources; ``commercial_use`` is False throughout, because the registry does not say it. A count in place of
        the items, ``(23)``, gives none.
    """
    uses = []
    for one in data:
        found = re.fullmatch(r"(.*?) \(([^()]*)\)", one["name"])
        name, listed = (found[1], found[2]) if found else (one["name"], "")
        items = tuple(item for item in listed.split(", ") if item and not item.isdecimal())
        uses.append(SourceUse(name, one["licence"], False, one["use"], items))
    return tuple(uses)
