"""The short parts of the campaigns of kills, failing disks and bombs lose nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills and signals as POSIX has them")
def test_kills_lose_nothing(tried: Callable[[str], list[int]]) -> None:
    assert min(tried("kills")) > 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="disks are mounted as Linux does")
def test_failing_disks_lose_nothing(tried: Callable[[str], list[int]]) -> None:
    if not all(tried("disks")):
        pytest.skip(
            "Full and read-only ones were not tried, as no disk may be mounted here; failing ones lost nothing."
        )


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes, and the memory of a process, as POSIX has them")
def test_bombs_lose_nothing(tried: Callable[[str], list[int]]) -> None:
    assert min(tried("bombs")) > 0
