"""Memory: how much this process has used, and whether an error says that there was too little."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

# What numpy, torch, CUDA and the operating system say in an error that is not a MemoryError.
EXHAUSTED = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "unable to allocate",
    "bad_alloc",
    "alloc_failed",  # CUDNN_STATUS_ALLOC_FAILED, CUBLAS_STATUS_ALLOC_FAILED
    "memoryerror",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True for a MemoryError, and for an error of another class whose text says that memory is exhausted."""
    text = f"{type(error).__name__}: {error}".lower()
    return isinstance(error, MemoryError) or any(words in text for words in EXHAUSTED)


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far in MB, None if the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def give_back_freed_memory() -> None:
    """Give memory that was freed back to the system, if the C library is glibc, which keeps much of it for later.

    Worth a millisecond before work that needs much memory of another kind.
    """
    trim = _glibc_trim()
    if trim is not None:
        trim(0)


@cache
def _glibc_trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
