"""Checks of the numbers that geometry is made of."""

from __future__ import annotations

import math
from typing import Any

from TomoRayLib.base.errors import InputError


def numbers_of(values: Any, count: int, name: str, *, field: str | None = None) -> tuple[float, ...]:
    """``count`` finite floats from any sequence. Raises InputError about ``name`` if they are not."""
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be {_counted('finite number', count)}; got {values!r}.", field) from None
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{name} must be {_counted('finite number', count)}; got {_shown(values)}.", field)
    return numbers


def positive_numbers(values: Any, count: int, name: str, hint: str, *, field: str | None = None) -> tuple[float, ...]:
    """``count`` finite floats above 0; ``hint`` says what to do and ends the message."""
    numbers = numbers_of(values, count, name, field=field)
    if min(numbers) <= 0:
        raise InputError(f"{name} must be {_counted('number', count)} above 0; got {_shown(numbers)}; {hint}", field)
    return numbers


def whole_numbers(values: Any, count: int, name: str, *, field: str | None = None) -> tuple[int, ...]:
    """``count`` whole numbers of at least 1."""
    numbers = numbers_of(values, count, name, field=field)
    if any(number < 1 or number != int(number) for number in numbers):
        raise InputError(
            f"{name} must be {_counted('whole number', count)} of at least 1; got {_shown(tuple(values))}.", field
        )
    return tuple(int(number) for number in numbers)


def _counted(what: str, count: int) -> str:
    return f"a {what}" if count == 1 else f"{count} {what}s"


def _shown(values: Any) -> str:
    return repr(values[0]) if len(values) == 1 else repr(values)
