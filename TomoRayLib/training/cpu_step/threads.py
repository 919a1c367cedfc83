"""Compiled kernels on several threads: as many as torch itself takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import torch


def parts_of(count: int) -> list[tuple[int, int]]:
    """(first, last) of the parts that ``count`` rows are split into, one a thread; at least one part."""
    parts = max(1, min(torch.get_num_threads(), count))
    edges = [count * part // parts for part in range(parts + 1)]
    return list(pairwise(edges))


def make_calls(calls: Sequence[Callable[[], object]]) -> None:
    """Make all calls, at the same time if torch has several threads; they must not write to the same place."""
    if len(calls) == 1 or torch.get_num_threads() == 1:
        for call in calls:
            call()
        return
    for future in [_pool(torch.get_num_threads()).submit(call) for call in calls]:
        future.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "kernel")
