"""The error that each measure of a model's synthetic CTs had on real CTs, and what it means for the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from TomoRayLib.measures.agreement import Agreement
from TomoRayLib.measures.definitions import DEFINITIONS, MeasureDefinition

FEWEST = 5  # pairs: fewer give no limits that mean anything
UNKNOWN = "Its error is not known: on people that the model was not trained on it could hardly be compared."


@dataclass(frozen=True)
class KnownError:
    """Bias and limits of agreement of one kind of measure, synthetic minus true, over ``n`` pairs of ``people``."""

    key: str
    n: int
    people: int
    bias: float
    low: float
    high: float
    icc: float | None

    @property
    def usable(self) -> bool:
        """True if a value within the limits still tells what a reader of it wants to know (``useful_within``)."""
        limit = DEFINITIONS[self.key].useful_within
        return self.n >= FEWEST and max(abs(self.low), abs(self.high)) <= limit

    @property
    def sentence(self) -> str:
        """The error in words."""
        definition = DEFINITIONS[self.key]
        unit, digits = definition.unit, definition.decimals
        space = " " if unit == "mm" else ""
        said = (
            f"On real CTs synthetic minus true was {self.bias:+.{digits}f}{space}{unit} on average, between "
            f"{self.low:+.{digits}f} and {self.high:+.{digits}f}{space}{unit} in 95 % (n = {self.n}, "
            f"{self.people} {'person' if self.people == 1 else 'people'})."
        ).replace("-", "\N{MINUS SIGN}")
        return f"{said} {_verdict(definition, self)}"

    def to_json_dict(self) -> dict[str, Any]:
        """All of it, with whether it is usable and the sentence."""
        return {
            "n": self.n,
            "people": self.people,
            "bias": self.bias,
            "low": self.low,
            "high": self.high,
            "icc": self.icc,
            "usable": self.usable,
            "sentence": self.sentence,
        }


def known_error(key: str, agreement: Agreement) -> KnownError | None:
    """Return an agreement as the known error of a kind of measure; None if it has no limits."""
    values = agreement.to_json_dict()
    if values["low"] is None:
        return None
    kept = {name: values[name] for name in ("n", "people", "bias", "low", "high", "icc")}
    return KnownError(key, **kept)


def read_known_errors(values: Mapping[str, Any]) -> dict[str, KnownError]:
    """Read the errors of one model, by key of measure, from ``{key: {"n": ..., "bias": ...}}``."""
    names = ("n", "people", "bias", "low", "high", "icc")
    return {
        key: KnownError(key, **{name: one.get(name) for name in names})
        for key, one in values.items()
        if key in DEFINITIONS
    }


def _verdict(definition: MeasureDefinition, error: KnownError) -> str:
    if error.n < FEWEST:
        return "That is too few to rely on."
    if error.usable:
        return f"So it can tell {definition.useful_for}."
    return f"So it cannot tell {definition.useful_for}: do not use the value for that."
