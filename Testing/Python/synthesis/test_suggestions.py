"""What is suggested for the built-in phantom's radiographs, given with one mistake, by the weights that users have."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from support.phantom_pairs import rendered_phantom
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.model_run import ChosenModel, choose_model
from TomoRayLib.synthesis.settings import Arrangement
from TomoRayLib.synthesis.suggestions import COMMONEST, MISTAKES, suggest, what_was_meant


@pytest.fixture(scope="module")
def a_right_pair() -> Pair:
    return rendered_phantom()


@pytest.fixture(scope="module")
def model() -> ChosenModel:
    return choose_model(None, "cpu", "auto")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "settings"),
    [
        (Arrangement(flip_lateral=True), {"flip_lateral": True}),
        (Arrangement(turn_ap=90, turn_lateral=90), {"turn_ap": 270, "turn_lateral": 270}),
        (Arrangement(invert_ap=True, invert_lateral=True), {"invert": True}),
    ],
)
def test_what_undoes_the_mistake_is_suggested(
    a_right_pair: Pair, model: ChosenModel, mistake: Arrangement, settings: dict[str, bool | int]
) -> None:
    suggestion = suggest(a_right_pair.arranged(mistake), Arrangement(), model, everything=True)
    assert suggestion is not None
    assert suggestion.to_json_dict(Arrangement())["settings"] == settings


@pytest.mark.slow
def test_nothing_is_suggested_for_the_right_pair(a_right_pair: Pair, model: ChosenModel) -> None:
    assert suggest(a_right_pair, Arrangement(), model, everything=True) is None


def test_the_rest_is_tried_only_if_asked_for_or_if_a_common_mistake_was_made() -> None:
    tried: list[Arrangement] = []

    def certainties(arrangements: Sequence[Arrangement]) -> list[float]:
        tried.extend(arrangements)
        return [0.4 if how.turn_ap == 180 and not how.turn_lateral else 0.3 for how in arrangements]

    assert what_was_meant(certainties, Arrangement(), everything=False) is None
    assert len(tried) == 1 + len(COMMONEST)
    meant = what_was_meant(certainties, Arrangement(), everything=True)
    assert meant is not None
    assert meant.arrangement == Arrangement(turn_ap=180)
    tried.clear()

    def swapped_is_better(arrangements: Sequence[Arrangement]) -> list[float]:
        tried.extend(arrangements)
        return [0.35 if how.swapped else 0.3 for how in arrangements]

    meant = what_was_meant(swapped_is_better, Arrangement(), everything=False)
    assert meant is not None
    assert meant.arrangement == Arrangement(swapped=True)
    assert len(tried) == 1 + len(MISTAKES)
