"""The campaign of many runs in one process, its short part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FAULTS = ROOT / "Testing" / "Faults"
sys.path.insert(0, str(FAULTS))
import repeats  # noqa: E402


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
    """In a process of its own: what other tests left in this one would be taken for growth."""
    command = [sys.executable, str(FAULTS / "run.py"), "--short", "--only", "repeats", "--out", str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    rows = json.loads((tmp_path / "faults.json").read_text(encoding="utf-8"))["repeats"]
    assert [row["lost"] for row in rows] == [[]] * 2
    assert min(row["tried"] for row in rows) > 0
    assert done.returncode == 0
