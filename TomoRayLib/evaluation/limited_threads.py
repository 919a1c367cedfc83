"""A fixed number of threads for every library that a case goes through.

The network's last digits depend on how many threads share its sums. Scores that must not depend on how many workers
there are therefore come from cases that each run on as many threads as any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk
import torch

from TomoRayLib.base import threads


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Let torch, numba, SimpleITK and the nearest-neighbour searches use ``count`` threads within the block."""
    before_torch, before_sitk = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    before_own = threads.allowed_threads()
    numba = _numba()
    before_numba = numba.get_num_threads() if numba is not None else 1
    try:
        torch.set_num_threads(count)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
        threads.allow_threads(count)
        if numba is not None:
            numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
        yield
    finally:
        torch.set_num_threads(before_torch)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before_sitk)
        threads.allow_threads(before_own)
        if numba is not None:
            numba.set_num_threads(before_numba)


def _numba():  # type: ignore[no-untyped-def]
    try:
        import numba
    except ImportError:  # optional: the projector's compiled kernel
        return None
    return numba
