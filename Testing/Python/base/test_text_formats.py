"""Tables that no spreadsheet takes for a program, and that are read as they were written."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from TomoRayLib.base.text_formats import csv_records, csv_rows, csv_text

FORMULAS = (
    '=HYPERLINK("http://nowhere.invalid","open")', "=1+1", "+1+1", "-1+1", "@SUM(1)", "\n=1", "-case",
    "+", "=", "\uff1d1", "'=1", "''-x", "-1.2 ± 0.3+1", "-1 (2", "--1", "-.", "-e5", "-0x1f",
)  # fmt: skip
TEXTS = ("case 7", "a,b", 'a "b"', "two\nlines", "'", "it's", "'quoted'", "µ", "", "x=1", "a-b", "-")
NUMBERS = (-3.2, "-3.2", "-3.2e-05", "+7", 4, "-1.20 ± 0.04", "-1.2 (-2.0–0.1)", "-inf", float("-inf"), float("nan"))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_begins_as_a_formula_has_an_apostrophe_in_front(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(csv_text((text,), [(text, 1.0)]), encoding="utf-8")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.reader(file))
    assert read == [["'" + text], ["'" + text, "1.0"]]
    assert csv_rows(tmp_path / "t.csv") == [[text], [text, "1.0"]]


def test_control_characters_are_written_out(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(csv_text(("name",), [("\t=1",), ("\r=1",), ("a\x1b[2J\udcff",)]), encoding="utf-8")
    assert csv_rows(tmp_path / "t.csv") == [["name"], ["\\t=1"], ["\\r=1"], ["a\\x1b[2J\\udcff"]]


@pytest.mark.parametrize("value", [*TEXTS, *NUMBERS])
def test_numbers_and_other_texts_stay_as_they_are(value: object, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(csv_text(("name", "n"), [(value, -1)]), encoding="utf-8")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1] == [str(value), "-1"]
    assert csv_records(tmp_path / "t.csv") == [{"name": str(value), "n": "-1"}]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").touch()
    assert csv_rows(tmp_path / "t.csv") == []
    assert csv_records(tmp_path / "t.csv") == []
