"""A training run as a TOML file: what is read, what is trained, in which stages. docs/training.md explains every key.

The file follows the dataclasses below: a key is a field's name, a table a dataclass. A key that does not exist is an
error that names it, so that a misspelt one never trains with a silent default.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.engine.trainer import TrainingConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


@dataclass(frozen=True)
class DataConfig:
    """Where samples come from; paths are relative to the folder given as --data, else to the configuration's own.

    ``phantoms`` holds labelmaps/ and bodies/; ``cohorts`` are folders of labelled CTs. ``held_out`` names cases of the
    cohorts that are scored at every validation and never trained on. ``myo_sim`` adds that package's spine to the
    phantoms', or is the only one; ``procedural_bodies`` bodies made of formulas join those in bodies/, or stand in for
    them where there are none. ``permissive`` leaves out every source not known to allow commercial use.
    """

    phantoms: str | None = None
    cohorts: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    phantom_cases: int = 4
    myo_sim: bool = False
    permissive: bool = False
    procedural_bodies: int = 0

    def __post_init__(self) -> None:
        if self.procedural_bodies < 0:
            raise ValueError(f"data.procedural_bodies must be 0 or more; got {self.procedural_bodies}.")
        if self.phantoms is None and not self.cohorts:
            raise ValueError("data must name phantoms (a folder), cohorts (a list of folders), or both; got neither.")
        if self.myo_sim and self.phantoms is None:
            raise ValueError("myo_sim needs phantoms, the folder with the bodies/ that its spine is set into.")


@dataclass(frozen=True)
class StageConfig:
    """One stage: its name (also its folder), its training and its samples.

    ``epochs`` sets the budget in passes over the cohort's training cases, in place of training.minutes or steps.
    """

    name: str
    epochs: int | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)


@dataclass(frozen=True)
class RunConfig:
    """A run: stages one after the other, each starting from the one before, each in a folder of its own."""

    data: DataConfig
    stages: tuple[StageConfig, ...]

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"stages must be at least one, each with a name of its own; got the names {names}.")


def read_config(path: Path) -> RunConfig:
    """The run in a TOML file. Raises ValueError that names the key or the line that is wrong."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"Expected a configuration in TOML, got {path}, which does not exist.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}.") from None
    try:
        return from_mapping(RunConfig, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def from_mapping(kind: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """A dataclass from nested mappings, whole and strictly typed.

    Raises ValueError for an unknown key, a missing one, or a value of another type, naming it as ``stages[0].name``.
    """
    hints = get_type_hints(kind)
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(known))}."
            raise ValueError(f"unknown key {_joined(where, key)!r}; {advice}")
    converted = {key: _converted(hints[key], value, _joined(where, key)) for key, value in values.items()}
    try:
        return kind(**converted)
    except TypeError as error:
        missing = str(error).partition("missing ")[2]
        raise ValueError(f"{where or 'the configuration'} lacks {missing or error}.") from None
    except ValueError as error:
        raise ValueError(f"{where + ': ' if where else ''}{error}") from None


def _converted(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (hint,) = (one for one in arguments if one is not type(None))
        return _converted(hint, value, where)
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} must be a table; got {value!r}.")
        return from_mapping(hint, value, where)
    if origin is tuple:
        return _converted_list(arguments, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f"{where} must be {_spoken(hint)}; got {value!r}.")
    return value


def _converted_list(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where} must be a list; got {value!r}.")
    if kinds[-1] is not Ellipsis and len(kinds) != len(value):
        raise ValueError(f"{where} must hold {len(kinds)} values; got {len(value)}.")
    each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
    return tuple(_converted(kind, one, f"{where}[{i}]") for i, (kind, one) in enumerate(zip(each, value, strict=True)))


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _spoken(hint: type) -> str:
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return words.get(hint, hint.__name__)
