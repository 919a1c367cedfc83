"""The number of threads that the numerical code of this process may use, where a library does not know it itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

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


def side_by_side(*tasks: Callable[[], object]) -> None:
    """Do tasks that do not need each other's results in as many threads as allowed, begun in their order.

    If one fails, the others are finished before its exception is raised.
    """
    threads = thread_count(len(tasks) or 1)
    if threads == 1:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(threads) as pool:
        begun = [pool.submit(task) for task in tasks]
    for one in begun:
        one.result()
