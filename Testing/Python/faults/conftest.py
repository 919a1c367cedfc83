"""The short part of a campaign, run in this process: Testing/Faults is no package."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FAULTS = Path(__file__).resolve().parents[2] / "Faults"


@pytest.fixture
def faults_path(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the campaigns, whose modules can be imported while a test runs."""
    monkeypatch.syspath_prepend(str(FAULTS))
    return FAULTS


@pytest.fixture
def tried(faults_path: Path, tmp_path: Path) -> Callable[[str], list[int]]:
    """Run the short part of a campaign, which must lose nothing; return how many trials its rows had."""

    def run(name: str) -> list[int]:
        rows: list[Any] = list(importlib.import_module(name).results(False, tmp_path))
        assert [sentence for row in rows for sentence in row.lost] == []
        assert rows
        return [row.tried for row in rows]

    return run
