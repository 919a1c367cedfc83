"""Requests to end a training: heard after the step, at once if there are two, and never lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from TomoRayLib.base.endings import Terminated
from TomoRayLib.training.engine.interruption import stop_asked, until


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_the_first_request_waits_for_the_step_and_the_second_does_not(number: int, raised: type[BaseException]) -> None:
    before = signal.getsignal(number)
    with stop_asked(1) as asked:
        assert not asked()
        signal.raise_signal(number)
        assert asked()
        with pytest.raises(raised):
            asked.end()
        with pytest.raises(raised):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_without_a_request_nothing_ends() -> None:
    with stop_asked(1) as asked:
        asked.end()
        assert list(until(asked, [1, 2, 3])) == [1, 2, 3]


def broken(after: int, request: bool) -> Iterator[int]:
    yield from range(after)
    if request:
        os.kill(os.getpid(), signal.SIGTERM)
    raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated.")


def test_a_process_that_makes_samples_may_end_with_the_training_and_not_without() -> None:
    with stop_asked(1) as asked:
        assert list(until(asked, broken(2, True))) == [0, 1]
    with stop_asked(1) as asked, pytest.raises(RuntimeError, match="killed by signal"):
        list(until(asked, broken(2, False)))
