"""Ctrl-C in a training: the step that is under way ends first, so that what is saved is of one step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stop_asked(processes: int) -> Iterator[Callable[[], bool]]:
    """A question to ask after every step: has the user pressed Ctrl-C? A second Ctrl-C stops at once.

    Of several processes each would hear of it at another step, and of a thread Python does not tell: both are stopped
    at once, as ever.
    """
    if processes > 1 or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
