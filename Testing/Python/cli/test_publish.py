"""``tomoray publish`` as typed: the words for who chooses a model, and what a segmenter does not have."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.command_line import Answer, tomoray
from support.publishing_places import a_publishing_place
from TomoRayLib import weights
from TomoRayLib.weights import REGISTRY_NAME, find_model


@pytest.fixture
def a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> SimpleNamespace:
    place = a_publishing_place(tmp_path, monkeypatch)
    monkeypatch.setattr(weights, "models_folder", lambda: place.models)
    return place


def published(place: SimpleNamespace, *options: str, model: str = "tiny") -> Answer:
    words = ("--data", str(place.data), "--model", model, "--command", "tomoray train run.toml")
    return tomoray("publish", str(place.checkpoint), *words, *options)


def words_in_the_registry(place: SimpleNamespace) -> dict[str, str | None]:
    content = json.loads((place.models / REGISTRY_NAME).read_text(encoding="utf-8"))
    return {entry["id"]: entry.get("described_as") for entry in content["models"]}


def test_a_model_is_published_with_its_words_which_stay_until_there_are_others(
    a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = published(a_place, "--described-as", "sharper, but slower")
    assert first.returncode == 0, first.stderr
    assert words_in_the_registry(a_place) == {"tiny": "sharper, but slower"}
    assert find_model("tiny", a_place.models).training_command == "tomoray train run.toml"
    assert published(a_place, model="plain").returncode == 0
    assert published(a_place).returncode == 0  # again, without the option
    assert words_in_the_registry(a_place) == {"tiny": "sharper, but slower", "plain": None}
    monkeypatch.setenv("COLUMNS", "200")
    assert "sharper, but slower" in " ".join(tomoray("models").stdout.split())
    assert published(a_place, "--described-as", "smoother").returncode == 0
    assert words_in_the_registry(a_place) == {"tiny": "smoother", "plain": None}


@pytest.mark.parametrize("words", [" ", "x" * 61, "two\nlines"])
def test_words_that_do_not_fit_the_list_are_refused_before_anything_is_written(
    a_place: SimpleNamespace, words: str
) -> None:
    result = published(a_place, "--described-as", words)
    assert result.returncode == 2
    assert "in one line of 1 to 60 characters" in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not list(a_place.models.iterdir())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--described-as", "sharper"), "--described-as; leave it out"),
        (("--based-on", "geolift-s"), "--based-on; leave it out"),
        (("--keep-atlas",), "--keep-atlas; leave it out"),
        (("--people", "held_out.json"), "--people; leave it out"),
        (("--data", "."), "--data; leave it out"),
        (("--described-as", "sharper", "--keep-atlas"), "--keep-atlas, --described-as; leave them out"),
    ],
)
def test_a_segmenter_takes_no_option_for_a_model_alone(
    a_place: SimpleNamespace, options: tuple[str, ...], named: str
) -> None:
    result = tomoray("publish", str(a_place.checkpoint), "--segmenter", "--command", "x", *options)
    assert result.returncode == 2
    expected = f"Expected --segmenter without options for a model alone, got it with {named}, or --segmenter."
    assert expected in " ".join(result.stderr.split())
    assert not list(a_place.models.iterdir())
