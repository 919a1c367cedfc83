"""Memory: how much this process has used or may still take, and whether an error says that there was too little."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
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


def available_memory_bytes() -> int | None:
    """Memory that this process may still take: free memory and swap, a container's and the process's own limit counted.

    Returns None if the system does not tell. On macOS the whole memory stands for it.
    """
    if sys.platform == "win32":
        return _available_on_windows()
    found = [_available_on_linux(), _left_in_container(), _left_to_process()]
    known = [number for number in found if number is not None]
    if not known:
        with suppress(OSError, ValueError):
            known = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    return max(min(known), 0) if known else None


def _available_on_linux() -> int | None:
    with suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return 1024 * (kilobytes["MemAvailable"] + kilobytes.get("SwapFree", 0))
    return None


def _left_in_container(group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the limit of a container (cgroup, version 2 or 1) leaves; files kept in memory count as free."""
    for limit, used, before in (
        (group / "memory.max", group / "memory.current", ""),
        (group / "memory/memory.limit_in_bytes", group / "memory/memory.usage_in_bytes", "total_"),
    ):
        with suppress(OSError, ValueError):
            most, taken = int(limit.read_text(encoding="ascii")), int(used.read_text(encoding="ascii"))
            words = (used.parent / "memory.stat").read_text(encoding="ascii").split()
            counts = dict(zip(words[::2], words[1::2], strict=False))
            return most - taken + sum(int(counts.get(f"{before}{kind}_file", 0)) for kind in ("inactive", "active"))
    return None


def _left_to_process() -> int | None:
    """What the limit of the process's address space (``ulimit -v``) leaves."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            return most - pages * os.sysconf("SC_PAGE_SIZE")
    return None


def _available_on_windows() -> int | None:
    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("all", "free", "all_paged", "free_paged", "a", "b", "c")),
        )

    status = Status(length=ctypes.sizeof(Status))
    with suppress(OSError, AttributeError):
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined]
            return int(status.free_paged)
    return None


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
