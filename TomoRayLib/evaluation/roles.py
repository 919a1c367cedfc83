"""What a person was to a method: trained on, chosen on (tuned or selected by), or held out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from TomoRayLib.evaluation.spine_shape import COPY, Picture, alike
from TomoRayLib.images.subjects import is_of_subjects


class Role(str, Enum):
    """A person's part in the making of a method."""

    TRAINED_ON = "trained on"
    CHOSEN_ON = "chosen on"
    HELD_OUT = "held out"


@dataclass(frozen=True)
class People:
    """The people that a method knows: names of those it was trained on, and of those it was tuned or chosen on."""

    trained_on: tuple[str, ...] = ()
    chosen_on: tuple[str, ...] = ()

    @classmethod
    def from_json_dict(cls, values: Mapping[str, Sequence[str]]) -> People:
        """From ``ModelEntry.people``."""
        return cls(tuple(values.get("trained_on", ())), tuple(values.get("chosen_on", ())))

    def to_json_dict(self) -> dict[str, list[str]]:
        """As ``ModelEntry.people`` has them."""
        return {"trained_on": list(self.trained_on), "chosen_on": list(self.chosen_on)}

    def role_of(self, names: Iterable[str]) -> Role:
        """Return what a person was to the method; ``names`` are all that the person's files have."""
        own = tuple(names)
        if any(is_of_subjects(name, self.trained_on) for name in own):
            return Role.TRAINED_ON
        return Role.CHOSEN_ON if any(is_of_subjects(name, self.chosen_on) for name in own) else Role.HELD_OUT


@dataclass(frozen=True)
class Known:
    """A case that a method knows: what it was to it, and, if another name told, whose copy it is."""

    method: str
    role: Role
    copy_of: str | None = None

    @property
    def sentence(self) -> str:
        """The reason why the case is not scored, or is marked."""
        as_copy = f" (by its shape a copy of {self.copy_of})" if self.copy_of else ""
        return f"{self.method} was {self.role.value} this person{as_copy}"


@dataclass(frozen=True, eq=False)
class LeakGuard:
    """Knows which cases the compared methods have seen.

    Args:
        people: The people that each method knows, by the method's name.
        pictures: Spines of known people by name (``spine_shape``), to find copies under other names.
    """

    people: Mapping[str, People]
    pictures: Mapping[str, Sequence[Picture]] = field(default_factory=dict)

    def by_name(self, names: Iterable[str]) -> tuple[Known, ...]:
        """Return which methods know a case by its names."""
        own = tuple(names)
        roles = {method: people.role_of(own) for method, people in self.people.items()}
        return tuple(Known(method, role) for method, role in roles.items() if role is not Role.HELD_OUT)

    def by_shape(self, picture: Picture, least: float = COPY) -> tuple[Known, ...]:
        """Return which methods know a case by the shape of its spine, under whatever name, from a likeness on."""
        owners = [name for name, pictures in self.pictures.items() for _ in pictures]
        drawn = [one for pictures in self.pictures.values() for one in pictures]
        copies = list(dict.fromkeys(owners[place] for place in alike([picture], drawn, least)[0]))
        found = []
        for method, people in self.people.items():
            for name in copies:
                role = people.role_of([name])
                if role is not Role.HELD_OUT:
                    found.append(Known(method, role, name))
                    break
        return tuple(found)
