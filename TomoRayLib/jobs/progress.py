"""Stages of a job: their names, how long they took, and how long is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from TomoRayLib.base.endings import stop_if_asked
from TomoRayLib.jobs.events import Emit, StageBegun


class Stages:
    """Runs a job's stages one after another and tells ``emit`` of each.

    ``expected_seconds`` maps stage names, in order, to their usual time on two cores; the estimate of what is left is
    scaled by how this machine did so far.
    """

    def __init__(self, expected_seconds: dict[str, float], emit: Emit) -> None:
        self.expected, self.emit = expected_seconds, emit
        self.seconds: dict[str, float] = {}
        self.started = time.monotonic()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage; emits ``StageBegun`` as it begins."""
        stop_if_asked()
        names = list(self.expected)
        self.emit(StageBegun(name, names.index(name) + 1, len(names), round(self.seconds_left(name), 1)))
        begun = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begun, 3)

    def seconds_left(self, current: str) -> float:
        """Seconds for ``current`` and the stages after it, estimated from the stages that are done."""
        names = list(self.expected)
        done = [name for name in names if name in self.seconds]
        usual = sum(self.expected[name] for name in done)
        pace = sum(self.seconds[name] for name in done) / usual if usual > 0.5 else 1.0
        return pace * sum(self.expected[name] for name in names[names.index(current) :])

    @property
    def total_seconds(self) -> float:
        """Seconds since this object was made."""
        return round(time.monotonic() - self.started, 3)
