"""Keep what libraries print away from the terminal: their findings become sentences of ours, or matter to nobody."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STDERR = 2  # the file descriptor that C and C++ libraries write to


class WhileAnyIsInside:
    """A block that changes a state of the whole process: the first thread to enter changes it, the last restores it.

    ``change`` makes the change and returns what undoes it. If each thread kept and restored the state by itself, one
    that began later would restore what another had changed.
    """

    def __init__(self, change: Callable[[], Callable[[], object]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._inside = 0
        self._undo: Callable[[], object] = lambda: None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._undo = self._change()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._undo()


def _ignore_warnings() -> Callable[[], object]:
    shown = warnings.catch_warnings()
    shown.__enter__()
    warnings.simplefilter("ignore")
    return lambda: shown.__exit__(None, None, None)


def _discard_stderr() -> Callable[[], object]:
    try:
        kept = os.dup(_STDERR)
    except OSError:  # a program without a terminal has none
        return lambda: None
    if sys.stderr is not None:
        sys.stderr.flush()
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, _STDERR)
    os.close(sink)

    def restore() -> None:
        os.dup2(kept, _STDERR)
        os.close(kept)

    return restore


no_warnings = WhileAnyIsInside(_ignore_warnings)  # of Python
no_stderr = WhileAnyIsInside(_discard_stderr)  # of C and C++ code
