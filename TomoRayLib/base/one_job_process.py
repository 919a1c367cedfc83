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

from TomoRayLib.base.early_import import is_loading_beside
from TomoRayLib.base.endings import asked_code
from TomoRayLib.base.streams import lost_output

M_ARENA_MAX = -8  # glibc's malloc.h
UNWRITTEN = 120  # exit code of a process that did its work, but could not print what it had to say
NEW_OBJECTS = 50_000  # after which circular garbage is looked for; Python's 700 cost a tenth of the time of imports


def run_one_job(main: Callable[[], object], short: bool = True) -> None:
    """Call a program's main function, and end the process with the exit code that it returns or leaves with.

    Threads are waited for, what was to be done at the end is done and what was printed is written, but the interpreter
    is not taken apart module by module (0.4 s with PyTorch, VTK and SimpleITK; after an interrupted import of these it
    ends in a crash of theirs): ``main`` closes its own files. An exception other than SystemExit ends the process as
    ever, and so does a text as its exit code.

    Args:
        main: The program.
        short: Whether it takes seconds, and gains from looking for garbage more rarely and from fewer heaps.
    """
    if short:
        gc.set_threshold(NEW_OBJECTS, 20, 20)
        _limit_heaps()
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    if code is not None and not isinstance(code, int):
        sys.exit(code)  # type: ignore[arg-type]
    if asked_code() is not None or is_loading_beside():
        sys.unraisablehook = lambda *_: None  # half imported libraries cannot do what they do at the end
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # as Python's own end begins: pools are closed, threads joined
        atexit._run_exitfuncs()
    except Exception:
        if asked_code() is None:
            raise
    os._exit(_written(code or 0))


def _written(code: int) -> int:
    """The exit code once standard output and error are written; 120 in place of 0 if that fails, as Python has it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BrokenPipeError:  # nobody reads it any more
            continue
        except OSError as error:
            code = _unwritten(code, error)
    lost = lost_output()
    return code if lost is None else _unwritten(code, lost)


def _unwritten(code: int, error: OSError) -> int:
    why = error.strerror or str(error)
    rest = " What was written to files is whole." if code in (0, UNWRITTEN) else ""
    with contextlib.suppress(OSError):
        os.write(2, f"Standard output could not be written: {why}.{rest}\n".encode())
    return code or UNWRITTEN


def _limit_heaps() -> None:
    """Let all threads share two heaps, if the C library is glibc: each keeps freed memory of its own."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)
