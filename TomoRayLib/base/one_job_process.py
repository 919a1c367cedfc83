"""The process of one job: begun and ended without work that only longer ones gain from."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable

M_ARENA_MAX = -8  # glibc's malloc.h
NEW_OBJECTS = 50_000  # after which circular garbage is looked for; Python's 700 cost a tenth of the time of imports


def run_one_job(main: Callable[[], object]) -> None:
    """Call a program's main function, and end the process with the exit code that it returns or leaves with.

    Files are closed and what was to be done at the end is done, but the interpreter is not taken apart module by module
    (0.4 s with PyTorch, VTK and SimpleITK). An exception other than SystemExit ends the process as ever.
    """
    gc.set_threshold(NEW_OBJECTS, 20, 20)
    _limit_heaps()
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    if code is not None and not isinstance(code, int):  # a text, which Python prints
        sys.exit(code)  # type: ignore[arg-type]
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or nobody reads it any more
            stream.flush()
    os._exit(code or 0)


def _limit_heaps() -> None:
    """Let all threads share two heaps, if the C library is glibc: each keeps freed memory of its own."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)
