"""Keep what libraries print away from the terminal: their findings become sentences of ours, or matter to nobody."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2  # the file descriptor that C and C++ libraries write to


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignore Python's warnings within the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def no_stderr() -> Iterator[None]:
    """Discard what C and C++ code writes to the standard error within the block."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # a program without a terminal has none
        yield
        return
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), _STDERR)
            yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
