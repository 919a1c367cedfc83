"""Memory: how much this process has used, and whether an error says that there was too little."""

from __future__ import annotations

import sys

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
