"""The number of threads that the numerical code of this process may use, where a library does not know it itself."""

from __future__ import annotations

import os

_allowed: int | None = None


def allow_threads(count: int | None) -> None:
    """Set how many threads ``thread_count`` gives from now on; None: no limit. Raises ValueError below 1."""
    global _allowed
    if count is not None and count < 1:
        raise ValueError(f"Expected at least one thread, got {count}.")
    _allowed = count


def allowed_threads() -> int | None:
    """Return the limit that ``allow_threads`` set; None if there is none."""
    return _allowed


def thread_count(most: int) -> int:
    """Return how many threads to use, at most ``most``: those allowed, else one for each processor core."""
    return max(1, min(most, _allowed or os.cpu_count() or 1))
