"""A process that is killed at any file operation leaves the earlier result or the new, or what the next makes so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).resolve().parents[3] / "Testing" / "Faults" / "light_kills.py"


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_a_kill_at_a_file_operation_loses_nothing(tmp_path: Path) -> None:
    """Every seventh operation here; ``make faults`` tries them all."""
    command = [sys.executable, str(KILLS), str(tmp_path), "7"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, check=True)
    results = json.loads(done.stdout)
    assert [row["lost"] for row in results] == [[]] * 4
    assert all(row["tried"] for row in results)
