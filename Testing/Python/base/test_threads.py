"""Tasks in threads: in order, within the limit, and with their errors."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from TomoRayLib.base.threads import allow_threads, allowed_threads, in_threads


def thread_names(allowed: int) -> list[str]:
    before = allowed_threads()
    allow_threads(allowed)
    try:
        return in_threads([lambda: threading.current_thread().name] * 8)
    finally:
        allow_threads(before)


def test_results_come_in_the_order_of_the_tasks() -> None:
    assert in_threads([partial(pow, 2, power) for power in range(20)]) == [2**power for power in range(20)]
    assert in_threads([]) == []


def test_one_allowed_thread_is_the_one_that_asks() -> None:
    assert set(thread_names(1)) == {threading.current_thread().name}
    assert threading.current_thread().name not in thread_names(2)


def test_the_error_of_a_task_is_raised() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        in_threads([partial(int, "7"), partial(int, "seven")])
