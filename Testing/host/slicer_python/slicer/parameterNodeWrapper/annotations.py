"""The annotations in ``Annotated[type, ...]``: defaults, bounds, hints for widgets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any


class Validator(ABC):
    """Refuses values: ``validate`` raises ValueError."""

    @abstractmethod
    def validate(self, value) -> None:
        """Raise ValueError for a value that is refused."""


class Default:
    """The value at the start; ``generator`` makes it anew each time."""

    def __init__(self, value=None, *, generator=None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self):
        return self._generator() if self._generator else self._value


@dataclass
class Decimals:
    """Digits that a spin box shows."""

    value: int


@dataclass
class SingleStep:
    """Step of a spin box or slider."""

    value: float


@dataclass
class NotNone(Validator):
    """Any value but None."""

    def validate(self, value) -> None:
        if value is None:
            raise ValueError("Value must not be None")


@dataclass
class WithinRange(Validator):
    """Between two bounds, both allowed."""

    minimum: float
    maximum: float

    def validate(self, value) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must lie within [{self.minimum}, {self.maximum}], got {value}")


@dataclass
class Minimum(Validator):
    """At least this."""

    minimum: float

    def validate(self, value) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, got {value}")


@dataclass
class Maximum(Validator):
    """At most this."""

    maximum: float

    def validate(self, value) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, got {value}")


@dataclass
class Choice(Validator):
    """One of these."""

    choices: Any

    def validate(self, value) -> None:
        if value not in self.choices:
            raise ValueError(f"Value must be one of {self.choices}, got {value!r}")


@dataclass
class Exclude(Validator):
    """None of these."""

    excludedValues: Any

    def validate(self, value) -> None:
        if value in self.excludedValues:
            raise ValueError(f"Value must not be one of {self.excludedValues}, got {value!r}")
