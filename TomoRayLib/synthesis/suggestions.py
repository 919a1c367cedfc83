"""The likely mistakes with two radiographs, tried by the network: which arrangement gives a clearly better spine?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.networks.side_by_side import side_by_side
from TomoRayLib.synthesis.alignment import aligned
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.model_run import ChosenModel, coarse_probability
from TomoRayLib.synthesis.result_checks import ResultMeasures, doubts, measured
from TomoRayLib.synthesis.settings import Arrangement

CERTAINTY_TO_TRY = 0.42  # below it the commonest mistakes are tried; one in ten right pairs lies above
CERTAINTY_TO_TRY_ALL = 0.28  # below it all of them; two in three right pairs lie above
LEAST_GAIN = 0.03  # of certainty, by which another arrangement must be better
LEAST_CERTAINTY_OF_SUGGESTION = 0.22
EQUALLY_GOOD = 0.03  # difference in certainty that tells nothing
MOST_AT_ONCE = 2  # passes; each takes 120 MB

Change = Callable[[Arrangement], Arrangement]


@dataclass(frozen=True)
class Suggestion:
    """Another arrangement of the same two radiographs that gives a better spine.

    Args:
        question: "Did you mean ...?"
        arrangement: What is to be done to the images as they are in their files.
        certainty: Of the spine that it gives, ``result_checks.ResultMeasures.certainty``.
        certainty_as_given: Of the spine as the radiographs were given.
    """

    question: str
    arrangement: Arrangement
    certainty: float
    certainty_as_given: float

    def to_json_dict(self, given: Arrangement) -> dict[str, Any]:
        """Return question, certainties, whether to exchange the files, and the settings to change, by name."""
        before = given.settings()
        changed = {name: value for name, value in self.arrangement.settings().items() if value != before[name]}
        return {
            "question": self.question,
            "swap": self.arrangement.swapped != given.swapped,
            "settings": changed,
            "certainty": round(self.certainty, 3),
            "certainty_as_given": round(self.certainty_as_given, 3),
        }


def _inverted(how: Arrangement, ap: bool, lateral: bool) -> Arrangement:
    return replace(how, invert_ap=how.invert_ap != ap, invert_lateral=how.invert_lateral != lateral)


def _mirrored(how: Arrangement, ap: bool, lateral: bool) -> Arrangement:
    return replace(how, flip_ap=how.flip_ap != ap, flip_lateral=how.flip_lateral != lateral)


def _turned(how: Arrangement, ap_deg: int, lateral_deg: int) -> Arrangement:
    """Turn the images clockwise as they are now: a mirrored one is turned the other way before it is mirrored."""
    return replace(
        how,
        turn_ap=(how.turn_ap + (-ap_deg if how.flip_ap else ap_deg)) % 360,
        turn_lateral=(how.turn_lateral + (-lateral_deg if how.flip_lateral else lateral_deg)) % 360,
    )


# The likeliest first. A mirrored AP is left out: the spine stays nearly as it is, so that no result tells it.
MISTAKES: dict[str, Change] = {
    "the two radiographs the other way round": lambda how: replace(how, swapped=not how.swapped),
    "the lateral radiograph mirrored": lambda how: _mirrored(how, False, True),
    "both radiographs with dark and bright exchanged": lambda how: _inverted(how, True, True),
    "the AP radiograph with dark and bright exchanged": lambda how: _inverted(how, True, False),
    "the lateral radiograph with dark and bright exchanged": lambda how: _inverted(how, False, True),
    "both radiographs turned upside down": lambda how: _turned(how, 180, 180),
    "the AP radiograph turned upside down": lambda how: _turned(how, 180, 0),
    "the lateral radiograph turned upside down": lambda how: _turned(how, 0, 180),
    "both radiographs upside down as in a mirror": lambda how: _mirrored(_turned(how, 180, 180), True, True),
    "the AP radiograph turned by 90 degrees clockwise": lambda how: _turned(how, 90, 0),
    "the AP radiograph turned by 90 degrees anticlockwise": lambda how: _turned(how, 270, 0),
    "the lateral radiograph turned by 90 degrees clockwise": lambda how: _turned(how, 0, 90),
    "the lateral radiograph turned by 90 degrees anticlockwise": lambda how: _turned(how, 0, 270),
    "both radiographs turned by 90 degrees clockwise": lambda how: _turned(how, 90, 90),
    "both radiographs turned by 90 degrees anticlockwise": lambda how: _turned(how, 270, 270),
}
COMMONEST = tuple(MISTAKES)[:3]


def suggest(
    pair: Pair, given: Arrangement, model: ChosenModel, *, everything: bool, as_seen: Pair | None = None
) -> Suggestion | None:
    """Try the likely mistakes: the commonest ones, and all others if one of these is better or if asked to.

    Args:
        pair: The radiographs as they are in their files.
        given: How they were taken.
        model: The network.
        everything: Whether all mistakes are tried in any case, ``all_are_tried``.
        as_seen: What of the radiographs shows the patient, if their heights are compared in each arrangement, as in the
            given one.

    Returns:
        The arrangement with the best spine if that is clearly better than the given one, else None.
    """
    network = model.network  # before the threads begin

    def certainty(how: Arrangement) -> float:
        arranged = pair.arranged(how)
        if as_seen is not None:
            arranged = aligned(arranged, as_seen.arranged(how)).pair
        return certainty_of(arranged, network, model)

    def certainties(arrangements: Sequence[Arrangement]) -> list[float]:
        if model.device != "cpu":
            return [certainty(how) for how in arrangements]
        return side_by_side([partial(certainty, how) for how in arrangements], MOST_AT_ONCE)

    return what_was_meant(certainties, given, everything=everything)


def what_was_meant(
    certainties_of: Callable[[Sequence[Arrangement]], Sequence[float]],
    given: Arrangement,
    mistakes: Sequence[str] = tuple(MISTAKES),
    *,
    everything: bool,
) -> Suggestion | None:
    """Try mistakes, the commonest ones first, see ``suggest``; each arrangement that is asked for costs a pass."""
    first = [words for words in mistakes if everything or words in COMMONEST]
    as_given, *found = certainties_of([given, *(MISTAKES[words](given) for words in first)])
    certainties = dict(zip(first, found, strict=True))
    if not everything and chosen(as_given, certainties, given) is not None:
        others = [words for words in mistakes if words not in certainties]
        found = list(certainties_of([MISTAKES[words](given) for words in others]))
        certainties |= dict(zip(others, found, strict=True))
    return chosen(as_given, certainties, given)


def all_are_tried(measures: ResultMeasures) -> bool:
    """True if a result is so uncertain or odd that all mistakes are worth trying."""
    return measures.certainty < CERTAINTY_TO_TRY_ALL or bool(doubts(measures))


def certainty_of(pair: Pair, network: GeoLiftUNet, model: ChosenModel) -> float:
    """Return the certainty (``ResultMeasures``) of the spine that an arranged pair gives at the coarsest output."""
    probability = coarse_probability(pair.ap, pair.lateral, pair.views, network, model.entry, model.precision)
    return measured(probability, model.entry.fov_mm).certainty


def chosen(as_given: float, certainties: dict[str, float], given: Arrangement) -> Suggestion | None:
    """Return the best of the mistakes tried, by their certainties; None if it is not clearly better.

    Of several that are equally good the likeliest is taken, and the question names the next one too: a mirrored lateral
    turned upside down together with its AP is a patient on his head, whose spine looks much the same.
    """
    least = max(
        as_given + LEAST_GAIN, LEAST_CERTAINTY_OF_SUGGESTION, max(certainties.values(), default=0.0) - EQUALLY_GOOD
    )
    found = [words for words in MISTAKES if certainties.get(words, 0.0) >= least]
    if not found:
        return None
    question = f"Did you mean {', or '.join(found[:2])}?"
    return Suggestion(question, MISTAKES[found[0]](given), certainties[found[0]], as_given)
