"""The C library's allocator, set up for work that asks for large pieces of memory of the same sizes again and again."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
KEPT_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, up to 2 GiB at its end, for its next use of it.

    By default glibc gives each piece above some megabytes back to the system at once, which then clears it page by page
    for the next: a fifth of a training step on a CPU. Other C libraries stay as they are.

    Returns:
        Whether the allocator took the setting.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl has none
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))
