"""Settings: fields of a dataclass that carry the help and the option they have on the command line.

The command line, the job's file and the panel thus read one dataclass.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

_OPTION, _OFFERED = "option", "offered"


@dataclass(frozen=True)
class Option:
    """How the command line offers a field.

    Args:
        help: One sentence.
        name: ``"--fov"``; None: the field's name.
        metavar: Placeholder for the value in the help; None: the type.
        is_path: The field holds text, which is a path.
        is_argument: The value is given by its position, without a name.
    """

    help: str
    name: str | None = None
    metavar: str | None = None
    is_path: bool = False
    is_argument: bool = False


def setting(default: Any = MISSING, **option: Any) -> Any:
    """Return a dataclass field with an ``Option`` of these values. Without ``default`` the field is required."""
    return field(default=default, metadata={_OPTION: Option(**option)})


def setting_of_numbers(option: str, names: str, meaning: str) -> Any:
    """Return a field for several numbers, None by default; ``names`` are those of the numbers, in their order."""
    return setting(None, help=f"{meaning}: {names}.", name=option, metavar=names)


def same_setting(kind: type, name: str) -> Any:
    """Return a field with the default and the ``Option`` of the field ``name`` of another dataclass."""
    other = next(item for item in fields(kind) if item.name == name)
    return field(default=other.default, metadata=other.metadata)


def settings(kind: type, *offered: str) -> Any:
    """Return a field that holds the settings ``kind()``; only those ``offered`` are options, without names all."""
    return field(default_factory=kind, metadata={_OFFERED: offered})


def option_of(item: Field[Any]) -> Option | None:
    """Return how the command line offers a field, None if it does not."""
    option: Option | None = item.metadata.get(_OPTION)
    return option


def offered_of(item: Field[Any]) -> tuple[str, ...]:
    """Return the names of the settings in a field of ``settings`` that are options; none: all of them."""
    names: tuple[str, ...] = item.metadata.get(_OFFERED, ())
    return names
