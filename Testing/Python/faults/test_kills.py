"""The short part of the campaign of kills loses nothing: Testing/Faults is no package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).resolve().parents[2] / "Faults"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills and signals as POSIX has them")
def test_the_short_campaign_of_kills_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAULTS))
    from kills import results

    rows = list(results(False, tmp_path))
    assert [row.lost for row in rows] == [[]] * len(rows)
    assert all(row.tried for row in rows)
