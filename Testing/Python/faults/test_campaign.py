"""The table of the campaign of faults, in its page: Testing/Faults is no package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).resolve().parents[2] / "Faults"
sys.path.insert(0, str(FAULTS))
from campaign import Result, table, write_table  # noqa: E402
from run import CAMPAIGNS, PAGE  # noqa: E402

ROWS = [Result("SIGKILL", "the earlier result", 12, ["trial 3 lost ct.nrrd"], "slowest 1.2 s"), Result("full", "it", 3)]


def test_what_was_lost_counts_against_what_was_tried() -> None:
    assert table(ROWS).splitlines()[2:] == [
        "| SIGKILL | the earlier result | 12 | 11 | 1 | slowest 1.2 s |",
        "| full | it | 3 | 3 | 0 |  |",
    ]


def test_a_table_replaces_that_of_its_campaign_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- kills -->\nold\n<!-- end of kills -->\n<!-- fuzz -->\nkept\n<!-- end of fuzz -->\n", "utf-8")
    write_table(page, {"kills": ROWS}, ["kills", "fuzz"])
    text = page.read_text("utf-8")
    assert "old" not in text
    assert text.count("| SIGKILL |") == 1
    assert "<!-- fuzz -->\nkept\n<!-- end of fuzz -->" in text
    again = text
    write_table(page, {"kills": ROWS}, ["kills", "fuzz"])
    assert page.read_text("utf-8") == again


def test_a_page_without_the_campaigns_place_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here\n", "utf-8")
    with pytest.raises(ValueError, match=r"comments of kills once in page\.md, got them 0 times"):
        write_table(page, {"kills": ROWS}, ["kills"])


def test_the_page_tells_of_every_campaign() -> None:
    text = PAGE.read_text("utf-8")
    for name in CAMPAIGNS:
        start, end = text.index(f"<!-- {name} -->"), text.index(f"<!-- end of {name} -->")
        rows = [row.split(" | ") for row in text[start:end].splitlines() if row.startswith("| ")][1:]
        assert rows, f"no rows of {name}: run Testing/Faults/run.py --only {name} --write"
        for row in rows:
            tried, survived, lost = (int(cell.replace(",", "")) for cell in row[2:5])
            assert tried > 0
            assert tried - survived == lost, row
