"""What is slow to load, loaded in a thread of its own while this one reads files.

Python lets one thread at a time run, but others go on while they wait for a disk, unpack a file, work on an array or
open a library: that is what the loading goes on beside. Threads take turns of 5 ms, which each of many short steps of
the reading would wait for; during the loading turns are shorter.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from pathlib import Path

TURN_S = 0.00005


def beside(*steps: str | Callable[[], object]) -> None:
    """Begin to import modules and call functions, one after another, and return at once.

    Whoever imports one of the modules next waits until it is there. numpy is imported first, in this thread, as two
    threads that meet in one package may block each other. A step that fails ends the loading; who needs what it should
    have loaded tries again, and is told why.
    """
    importlib.import_module("numpy")
    threading.Thread(target=_load_quietly, args=(steps,), name="loading beside", daemon=True).start()


def open_library(package: str, pattern: str) -> None:
    """Open a package's library without importing the package, which is then imported the sooner; nothing elsewhere than
    on Linux."""
    spec = importlib.util.find_spec(package) if sys.platform.startswith("linux") else None
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        for library in Path(folder).glob(pattern):
            ctypes.CDLL(str(library))  # others may run meanwhile


def _load_quietly(steps: tuple[str | Callable[[], object], ...]) -> None:
    with _SHORT_TURNS:
        try:
            for step in steps:
                importlib.import_module(step) if isinstance(step, str) else step()
        except Exception as error:  # broken installations raise anything; the next to need it raises it again
            _FAILED.append(error)


def failed_beside() -> tuple[Exception, ...]:
    """Return what ended loading in other threads. The second import of a broken package may fail in another way, which
    does not tell why any more."""
    return tuple(_FAILED)


def is_loading_beside() -> bool:
    """Return whether another thread is still loading something: what it has begun is half made."""
    return _SHORT_TURNS.is_entered


_FAILED: list[Exception] = []


class _ShortTurns:
    """Short turns of all threads while at least one block is entered; after the last one they are as before."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before_s = threading.Lock(), 0, sys.getswitchinterval()

    @property
    def is_entered(self) -> bool:
        return self._inside > 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before_s = sys.getswitchinterval()
                sys.setswitchinterval(TURN_S)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.setswitchinterval(self._before_s)


_SHORT_TURNS = _ShortTurns()
