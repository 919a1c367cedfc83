"""Folders that are slow to make, made once for all processes of pytest-xdist."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that ``make`` writes; the first process makes it, the others wait for it. Do not write into it."""
    place = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent  # each process has its own folder in one that belongs to the run
    folder = place / name
    with FileLock(place / f"{name}.lock"):
        if not folder.exists():
            partial = place / f"{name}.partial"
            make(partial)
            partial.rename(folder)
    return folder
