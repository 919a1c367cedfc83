"""The error that each measure of a model's synthetic CTs had on real CTs, and what it means for the next one."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER, LABEL_OF_NAME
from TomoRayLib.measures.agreement import LIMITS_SD, Pair, agreement_of
from TomoRayLib.measures.definitions import DEFINITIONS
from TomoRayLib.measures.usual import UsualMeasures, guessed

FEWEST = 5  # pairs, and people: fewer give no limits that mean anything
FEW_PEOPLE = 20
CLEARLY_LESS = 0.9  # of what a guess errs by


@dataclass(frozen=True)
class KnownError:
    """The error of one kind of measure, synthetic minus true, over ``n`` pairs of ``people``.

    Args:
        key: Kind of measure.
        n: Pairs.
        people: Whose they are.
        bias: Mean difference.
        low: Lower 95 % limit of agreement.
        high: Upper one.
        mean_absolute: Mean absolute difference.
        icc: Intraclass correlation; None if too few pairs tell.
        highest: Highest vertebra that was compared.
        lowest: Lowest one.
        guess: Mean absolute difference if the usual value of other people were taken in place of the synthetic one, on
            the same pairs; None if it is not known.
        chosen_on: How many of the people the weights were chosen on.
    """

    key: str
    n: int
    people: int
    bias: float
    low: float
    high: float
    mean_absolute: float
    icc: float | None
    highest: str
    lowest: str
    guess: float | None = None
    chosen_on: int = 0

    @property
    def usable(self) -> bool:
        """True if a value within the limits still tells what a reader wants to know, and more than a guess would.

        The limits count as wide as they may be: 1.96 standard errors of a limit beyond them, sqrt(3 / people) SD each
        (Bland and Altman 1986, https://doi.org/10.1016/S0140-6736(86)90837-8).
        """
        if min(self.n, self.people) < FEWEST or not self.beats_guess:
            return False
        sd = (self.high - self.low) / (2 * LIMITS_SD)
        farthest = max(abs(self.low), abs(self.high)) + LIMITS_SD * math.sqrt(3 / self.people) * sd
        return farthest <= DEFINITIONS[self.key].useful_within

    @property
    def beats_guess(self) -> bool | None:
        """True if it errs clearly less than the usual value of other people would; None if that is not known."""
        return None if self.guess is None else self.mean_absolute < CLEARLY_LESS * self.guess

    def covers(self, subject: str) -> bool:
        """Return whether a vertebra, a level or both ends of a stretch lie where pairs were compared."""
        order = {name: place for place, name in enumerate(_ordered_names())}
        places = [order[name] for name in re.split("[/-]", subject) if name in order]
        return bool(places) and all(order[self.highest] <= place <= order[self.lowest] for place in places)

    @property
    def sentence(self) -> str:
        """The error in words."""
        definition = DEFINITIONS[self.key]
        unit, digits = definition.unit, definition.decimals
        space = " " if unit == "mm" else ""
        people = "person" if self.people == 1 else "people"
        chosen = f", {self.chosen_on} of whom the weights were chosen on" if self.chosen_on else ""
        said = (
            f"On real CTs synthetic minus true was {self.bias:+.{digits}f}{space}{unit} on average, between "
            f"{self.low:+.{digits}f} and {self.high:+.{digits}f}{space}{unit} in 95 % (n = {self.n}, "
            f"{self.people} {people}{chosen}, {self.highest} to {self.lowest})."
        ).replace("-", "\N{MINUS SIGN}")
        return " ".join(part for part in (said, self._guess_in_words(), self._verdict()) if part)

    def _guess_in_words(self) -> str:
        if self.guess is None:
            return "What a guess would err by is not known."
        definition = DEFINITIONS[self.key]
        digits, unit = definition.decimals, f" {definition.unit}" if definition.unit == "mm" else definition.unit
        than = "less" if self.beats_guess else "not clearly less"
        return (
            f"It erred by {self.mean_absolute:.{digits}f}{unit}, {than} than the usual value of other people would "
            f"({self.guess:.{digits}f}{unit})."
        )

    def _verdict(self) -> str:
        definition = DEFINITIONS[self.key]
        if min(self.n, self.people) < FEWEST:
            return "That is too few to rely on."
        if self.usable and self.people < FEW_PEOPLE:
            return f"So it can tell {definition.useful_for}, as far as {self.people} people show."
        if self.usable:
            return f"So it can tell {definition.useful_for}."
        if self.beats_guess:
            return f"Its limits are too wide to tell {definition.useful_for}: do not use the value for that."
        return f"It does not tell {definition.useful_for}: do not use the value for that."

    def to_json_dict(self) -> dict[str, Any]:
        """All of it but the key, with whether it is usable and the sentence."""
        values = {name: value for name, value in asdict(self).items() if name != "key"}
        return {**values, "usable": self.usable, "sentence": self.sentence}


def known_error(
    key: str, pairs: Sequence[Pair], usual: UsualMeasures | None = None, chosen_on: Collection[str] = ()
) -> KnownError | None:
    """Compute the error of a kind of measure.

    Args:
        key: Kind of measure.
        pairs: True and synthetic values.
        usual: Usual measures of other people than these.
        chosen_on: People that the weights were chosen on.

    Returns:
        The error; None if there are too few pairs for limits.
    """
    values = agreement_of(pairs).to_json_dict()
    if values["low"] is None:
        return None
    names = {name for pair in pairs for name in re.split("[/-]", pair.subject)}
    inside = [name for name in _ordered_names() if name in names]
    guesses = guessed(key, pairs, usual or {})
    guess = agreement_of(guesses).mean_absolute if len(guesses) == len(pairs) else None
    kept = {name: values[name] for name in ("n", "people", "bias", "low", "high", "mean_absolute", "icc")}
    return KnownError(
        key,
        **kept,
        highest=inside[0],
        lowest=inside[-1],
        guess=None if guess is None else round(guess, 4),
        chosen_on=len({pair.person for pair in pairs} & set(chosen_on)),
    )


def read_known_errors(values: Mapping[str, Any]) -> dict[str, KnownError]:
    """Read the errors of one model, by key of measure, from ``{key: KnownError.to_json_dict()}``.

    Raises KeyError or TypeError for something else.
    """
    said = ("usable", "sentence")
    known = {key: one for key, one in values.items() if key in DEFINITIONS}
    return {
        key: KnownError(key, **{name: value for name, value in one.items() if name not in said})
        for key, one in known.items()
    }


def _ordered_names() -> tuple[str, ...]:
    names = {label: name for name, label in LABEL_OF_NAME.items()}
    return tuple(names[label] for label in CRANIOCAUDAL_ORDER)
