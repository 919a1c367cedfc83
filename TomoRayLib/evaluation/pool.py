"""Where cases are worked on: in this process, one after another, or on the workers of Dask (``dask_pool``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from TomoRayLib.base.errors import InputError

Task = TypeVar("Task")
Answer = TypeVar("Answer")

CASE_BYTES = 2 * 2**30  # what a worker needs; a case of 192^3 was measured at 1.2 GB


@dataclass(frozen=True)
class Lost:
    """A task without an answer: the sentence says what became of its workers."""

    sentence: str


class Pool(Protocol):
    """Runs tasks; answers come as they are ready."""

    @property
    def said(self) -> str:
        """A sentence on what the tasks run on."""
        ...

    def run(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield (place of the task, its answer or ``Lost``) in any order. Raises OutputError if the pool is gone."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


@dataclass(frozen=True)
class OneProcess:
    """Works in this process, one task after another."""

    said: str = "In this process, one case after another."

    def run(self, work: Callable[[Task], Answer], tasks: Sequence[Task]) -> Iterator[tuple[int, Answer]]:
        """Yield the answers in the order of the tasks."""
        for place, task in enumerate(tasks):
            yield place, work(task)

    def close(self) -> None:
        """Nothing is held."""


def worker_count(
    wanted: int | None, cases: int, free_bytes: int | None, on_gpu: bool, memory_gb: float | None = None
) -> int:
    """Return how many workers a pool on this machine has.

    Args:
        wanted: What the user asks for; None: as many as there are cores, and as memory allows.
        cases: How many cases there are.
        free_bytes: Memory that is free; None if that is not known.
        on_gpu: One worker uses the GPU alone.
        memory_gb: What the user gives each worker; None: what a case needs.

    Raises:
        InputError: If so many workers do not fit into memory.
    """
    need_bytes = CASE_BYTES if memory_gb is None else int(memory_gb * 1e9)
    fitting = None if free_bytes is None else int(free_bytes // need_bytes)
    if wanted is not None:
        count = max(1, min(wanted, cases))
        if count > 1 and fitting is not None and count > fitting:
            raise InputError(
                f"Expected {need_bytes / 1e9:.1f} GB of memory for each of {count} workers, got "
                f"{(free_bytes or 0) / 1e9:.1f} GB in all; take {max(1, fitting)}, or free memory.",
                "workers",
            )
        return count
    if on_gpu:
        return 1
    return max(1, min(os.cpu_count() or 1, fitting if fitting is not None else 1, cases))
