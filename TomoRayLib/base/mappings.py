"""Dataclasses from nested mappings, as TOML and JSON files hold them: complete and strictly typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from TomoRayLib.base.errors import InputError

T = TypeVar("T")

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", dict: "a table"}


def dataclass_from_mapping(kind: type[T], mapping: Mapping[str, Any], what: str) -> T:
    """A dataclass from a mapping of its fields' names; a field that is a dataclass is a mapping in turn.

    Fields may be of the types that TOML and JSON have, tuples of these (from a list), ``Literal``, or optional. A whole
    number is accepted where a float is expected.

    Raises InputError, beginning with ``what`` (a path, "the job"), for an unknown or missing key or a value of another
    type, naming it as ``stages[0].name``, and for what ``kind`` itself refuses with an InputError.
    """
    return _made(kind, mapping, what, "")


def _made(kind: type[T], mapping: Mapping[str, Any], what: str, where: str) -> T:
    known = {one.name: one for one in fields(kind) if one.init}  # type: ignore[arg-type]
    for key in mapping:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(known))}."
            raise InputError(f"{what} has the unknown key {_joined(where, key)!r}; {advice}")
    for name, one in known.items():
        if name not in mapping and one.default is MISSING and one.default_factory is MISSING:
            raise InputError(f"{what} lacks {_joined(where, name)}.")
    hints = get_type_hints(kind)
    values = {key: _converted(hints[key], value, what, _joined(where, key)) for key, value in mapping.items()}
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{what}: {where + ': ' if where else ''}{error}", error.field) from None


def _converted(hint: Any, value: Any, what: str, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (one for one in arguments if one is not type(None))
        return _converted(hint, value, what, where)
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise InputError(f"{what}: {where} must be a table; got {value!r}.")
        return _made(hint, value, what, where)
    if origin is tuple:
        return _converted_list(arguments, value, what, where)
    if origin is Literal:
        if value not in arguments:
            raise InputError(f"{what}: {where} must be one of {', '.join(map(str, arguments))}; got {value!r}.")
        return value
    expected = origin or hint
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return _float_of(value, what, where)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise InputError(f"{what}: {where} must be {_WORDS.get(expected, expected.__name__)}; got {value!r}.")
    return value


def _float_of(value: int, what: str, where: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{what}: {where} must be a number; got one of too many digits.") from None


def _converted_list(kinds: tuple[Any, ...], value: Any, what: str, where: str) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InputError(f"{what}: {where} must be a list; got {value!r}.")
    if kinds[-1] is not Ellipsis and len(kinds) != len(value):
        raise InputError(f"{what}: {where} must hold {len(kinds)} values; got {len(value)}.")
    each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
    pairs = zip(each, value, strict=True)
    return tuple(_converted(kind, one, what, f"{where}[{i}]") for i, (kind, one) in enumerate(pairs))


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
