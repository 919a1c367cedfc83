"""The words of the registry that tell the person at the screen what a model is good for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.training.registering import kept_description, register_model
from TomoRayLib.weights import REGISTRY_NAME, find_model, read_registry


def test_words_are_read_and_kept(tmp_path: Path) -> None:
    register_model(tmp_path, replace(find_model("geolift-s"), described_as="sharper"))
    assert find_model("geolift-s", tmp_path).described_as == "sharper"
    assert kept_description(tmp_path, "geolift-s") == "sharper"
    assert kept_description(tmp_path, "another") is None


def test_a_model_without_words_has_none(tmp_path: Path) -> None:
    register_model(tmp_path, replace(find_model("geolift-s"), described_as=None))
    assert "described_as" not in json.loads((tmp_path / REGISTRY_NAME).read_text(encoding="utf-8"))["models"][0]
    assert find_model("geolift-s", tmp_path).described_as is None


@pytest.mark.parametrize("words", ["", " ", "x" * 61, "two\nlines", 5])
def test_words_that_do_not_fit_the_list_are_refused(tmp_path: Path, words: object) -> None:
    register_model(tmp_path, replace(find_model("geolift-s"), described_as=words))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Expected a model described in one line"):
        read_registry(tmp_path)
