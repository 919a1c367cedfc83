"""The short part of the campaign of failing disks loses nothing: Testing/Faults is no package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).resolve().parents[2] / "Faults"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="disks are mounted as Linux does")
def test_the_short_campaign_of_failing_disks_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAULTS))
    from disks import results

    rows = list(results(False, tmp_path))
    assert [row.lost for row in rows] == [[]] * len(rows)
    assert all(row.tried for row in rows) or len(rows) == 1  # where nothing may be mounted
