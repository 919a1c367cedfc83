"""Stages of a job: their names, how long they took, and how long is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Emit = Callable[[dict[str, Any]], None]


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
        """One stage; emits ``{"event": "stage", "stage", "number", "of", "seconds_left"}`` as it begins."""
        names = list(self.expected)
        self.emit(
            {
                "event": "stage",
                "stage": name,
                "number": names.index(name) + 1,
                "of": len(names),
                "seconds_left": round(self.seconds_left(name), 1),
            }
        )
        begun = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begun, 3)

    def seconds_left(self, current: str) -> float:
        names = list(self.expected)
        done = [name for name in names if name in self.seconds]
        usual = sum(self.expected[name] for name in done)
        pace = sum(self.seconds[name] for name in done) / usual if usual > 0.5 else 1.0
        return pace * sum(self.expected[name] for name in names[names.index(current) :])

    @property
    def total_seconds(self) -> float:
        return round(time.monotonic() - self.started, 3)


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far in MB, None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
