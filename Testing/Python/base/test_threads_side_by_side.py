"""Tasks side by side: all are done, in one thread or more, and a failure is not lost."""

from __future__ import annotations

import threading

import pytest

from TomoRayLib.base.threads import allow_threads, allowed_threads, side_by_side


@pytest.fixture(params=[None, 1, 2])
def limit(request):
    before = allowed_threads()
    allow_threads(request.param)
    yield request.param
    allow_threads(before)


def test_all_tasks_are_done(limit) -> None:
    done = []
    side_by_side(*(lambda number=number: done.append(number) for number in range(5)))
    assert sorted(done) == [0, 1, 2, 3, 4]
    side_by_side()


def test_one_thread_keeps_the_order_and_the_caller(limit) -> None:
    seen = []
    side_by_side(*(lambda number=number: seen.append((number, threading.current_thread())) for number in range(3)))
    if limit == 1:
        assert seen == [(number, threading.current_thread()) for number in range(3)]


def test_a_failure_is_raised(limit) -> None:
    def fail() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        side_by_side(fail, lambda: None)
