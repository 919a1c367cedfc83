"""The campaign of many runs in one process, its short part."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Faults"))
import repeats


def test_what_grows_is_told() -> None:
    still = [repeats.State(500.0, 6, 4, 0)] * 10
    assert [row.lost for row in repeats._growth(still, 0.5)] == [[]]
    grown = [repeats.State(500.0 + number, 6 + number, 4, number) for number in range(10)]
    (row,) = repeats._growth(grown, 0.5)
    assert row.lost == [
        "memory grows by 1.00 MB a run",
        "files: 9 after 3 runs, 15 at the end",
        "temporary: 3 after 3 runs, 9 at the end",
    ]


@pytest.mark.slow
def test_many_runs_in_one_process_lose_nothing(tmp_path: Path) -> None:
    for row in repeats.results(False, tmp_path):
        assert row.tried > 0
        assert row.lost == []
