"""The errors and usual measures that come with the weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.measures.definitions import DEFINITIONS
from TomoRayLib.training.data.held_out import VALIDATION_PEOPLE
from TomoRayLib.weights import MEASURE_ERRORS_NAME, USUAL_MEASURES_NAME, find_model, load_known_measures, models_folder

pytestmark = pytest.mark.usefixtures("shipped_models")


@pytest.fixture
def shipped_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOMORAY_MODELS", raising=False)


def test_the_default_model_has_the_error_of_each_measure_that_could_be_compared() -> None:
    known = load_known_measures(find_model())
    assert {"height_anterior_mm", "disc_height_mm", "cobb_deg"} <= set(known.errors) <= set(DEFINITIONS)
    for error in known.errors.values():
        assert error.low < error.bias < error.high
        assert error.n >= error.people >= 1
        assert error.sentence.startswith("On real CTs synthetic minus true was")


def test_errors_belong_to_exactly_the_weights_that_they_were_measured_with() -> None:
    other = replace(find_model(), sha256="0" * 64)
    assert load_known_measures(other).errors == {}
    assert load_known_measures(other).usual


def test_usual_measures_are_those_of_many_people_and_anatomically_sound() -> None:
    usual = load_known_measures(find_model()).usual
    heights = [usual["height_middle_mm", name] for name in ("T6", "T9", "T12", "L3")]
    assert [one.mean for one in heights] == sorted(one.mean for one in heights), "bodies grow downwards"
    assert all(one.n >= 10 and 10 < one.mean < 35 and one.sd < 6 for one in heights)
    assert 20 < usual["lumbar_lordosis_deg", "L1-L5"].mean < 60
    assert usual["segmental_angle_deg", "L4/L5"].mean > usual["segmental_angle_deg", "T8/T9"].mean


def test_the_files_name_people_that_nothing_was_trained_on_and_nobody_else() -> None:
    content = json.loads((models_folder() / MEASURE_ERRORS_NAME).read_text(encoding="utf-8"))
    people = content["models"][find_model().id]["people"]
    assert len(people) == 6
    assert sum(name.removeprefix("sub-") in VALIDATION_PEOPLE for name in people) == 3
    usual = json.loads((models_folder() / USUAL_MEASURES_NAME).read_text(encoding="utf-8"))
    assert isinstance(usual["people"], int)
    assert "verse" not in json.dumps(usual)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / USUAL_MEASURES_NAME).write_text(
        '{"measures": {"cobb_deg": {"spine": {"mean": "x"}}}}', encoding="utf-8"
    )
    with pytest.raises(InputError, match="reinstall TomoRay"):
        load_known_measures(replace(find_model(), folder=tmp_path))
