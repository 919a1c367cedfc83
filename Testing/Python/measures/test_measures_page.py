"""docs/measures.md has the definitions and errors of the code and of the shipped file, word by word."""

from __future__ import annotations

from pathlib import Path

import pytest

from TomoRayLib.measures.definitions import DEFINITIONS
from TomoRayLib.weights import find_model, load_known_measures

PAGE = Path(__file__).parents[3] / "docs" / "measures.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("key", DEFINITIONS)
def test_every_measure_is_defined_as_the_code_does(page: str, key: str) -> None:
    definition = DEFINITIONS[key]
    assert f"| {definition.definition} | {definition.source} | {definition.useful_within:g}" in page


def test_every_shipped_error_is_on_the_page(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOMORAY_MODELS", raising=False)
    for key, error in load_known_measures(find_model()).errors.items():
        digits = DEFINITIONS[key].decimals
        numbers = f"| {error.people} | {error.bias:+.{digits}f} | {error.low:+.{digits}f} to {error.high:+.{digits}f} |"
        assert numbers in page, f"{key}: run Testing/Benchmarks/measures.py and copy its table"
