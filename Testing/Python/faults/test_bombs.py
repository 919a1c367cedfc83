"""The short part of the campaign of bombs loses nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FAULTS = Path(__file__).resolve().parents[2] / "Faults"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes, and the memory of a process, as POSIX has them")
def test_the_short_campaign_of_bombs_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAULTS))
    from bombs import results

    rows = list(results(False, tmp_path))
    assert [row.lost for row in rows] == [[]] * len(rows)
    assert all(row.tried for row in rows)
