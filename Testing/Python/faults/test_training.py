"""The campaign of disturbed trainings, its short part: real processes, real signals, real checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("lightning")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Faults"))
import training


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc whether a command hears signals")
def test_no_disturbed_training_is_lost(tmp_path: Path) -> None:
    for row in training.results(False, tmp_path):
        assert row.tried > 0
        assert row.lost == []
