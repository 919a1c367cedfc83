"""Parts of a network's run beside each other, each on one thread.

Some of PyTorch's operators use one thread for one volume however many there are (grid_sample and upsample_trilinear3d,
torch 2.13), and small networks gain little from a second one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from TomoRayLib.base.threads import thread_count

Result = TypeVar("Result")
_one_at_a_time = threading.Lock()  # the number of PyTorch's threads is one of the process


def side_by_side(tasks: Sequence[Callable[[], Result]], most: int = 8) -> list[Result]:
    """Run tasks without gradients, as many at once as PyTorch has threads here, each on one of them.

    Args:
        tasks: What to call; they must not write to the same place, and set their own autocast, which each thread has
            of its own.
        most: The most tasks at once.

    Returns:
        The results in the tasks' order. The first task that fails ends it with its exception.
    """
    before = torch.get_num_threads()
    at_once = min(thread_count(min(most, before)), len(tasks))
    if at_once < 2:
        return [_without_gradients(task) for task in tasks]
    try:
        with _one_at_a_time, ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(_without_gradients, tasks))
    finally:
        torch.set_num_threads(before)  # what threads that come later begin with


def _without_gradients(task: Callable[[], Result]) -> Result:
    with torch.inference_mode():  # a setting of each thread
        return task()
