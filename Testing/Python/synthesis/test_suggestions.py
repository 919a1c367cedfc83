"""What is suggested for the built-in phantom's radiographs, given with one mistake, by the weights that users have."""

from __future__ import annotations

import pytest

from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.model_run import ChosenModel, choose_model
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.settings import Arrangement
from TomoRayLib.synthesis.suggestions import suggest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def a_right_pair() -> Pair:
    ct, labels = phantom_volumes()
    views = c_arm(vertebrae_center_mm(labels))
    images = render(ct, {"ap": views.ap, "lat": views.lateral})
    return Pair(images["ap"], images["lat"], views)


@pytest.fixture(scope="module")
def model() -> ChosenModel:
    return choose_model(None, "cpu", "auto")


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
    suggestion = suggest(a_right_pair.arranged(mistake), Arrangement(), model)
    assert suggestion is not None
    assert suggestion.to_json_dict(Arrangement())["settings"] == settings


def test_nothing_is_suggested_for_the_right_pair(a_right_pair: Pair, model: ChosenModel) -> None:
    assert suggest(a_right_pair, Arrangement(), model) is None
