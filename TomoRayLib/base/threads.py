"""The number of threads that the numerical code of this process may use, where a library does not know it itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

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


def in_threads(tasks: Sequence[Callable[[], Result]], most: int = 2) -> list[Result]:
    """Run tasks that do not depend on each other, in as many threads as ``thread_count(most)`` gives.

    Args:
        tasks: What to call; long numerical work that releases the interpreter's lock gains from it.
        most: The most threads.

    Returns:
        The results in the tasks' order. The first task that fails ends it with its exception.
    """
    count = min(thread_count(most), len(tasks))
    if count < 2:
        return [task() for task in tasks]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda task: task(), tasks))
