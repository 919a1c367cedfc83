"""Ctrl-C and termination in a training: the step that is under way ends first, so that what is saved is of one step."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from TomoRayLib.base.endings import ASKING, code_of, raise_asked, stop_if_asked

Sample = TypeVar("Sample")

MESSENGER_S = 0.2  # that the news of an ended process may come before the signal that ended it


class Asked:
    """Whether this training was asked to end, and how; asked after every step."""

    def __init__(self) -> None:
        self.code: int | None = None

    def __call__(self) -> bool:
        return self.code is not None

    def hear(self, number: int, frame: Any) -> None:
        """Remember a request; a second one stops at once."""
        if self.code is not None:
            raise_asked(code_of(number))
        self.code = code_of(number)

    def caused(self) -> bool:
        """True if a request explains that a process of this training has ended: it goes to all of a terminal's."""
        deadline_s = time.monotonic() + MESSENGER_S
        while not self() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        return self()

    def end(self) -> None:
        """Raise the request, as KeyboardInterrupt or ``Terminated``; nothing without one."""
        if self.code is not None:
            raise_asked(self.code)


@contextmanager
def stop_asked(processes: int) -> Iterator[Asked]:
    """Yield what tells after every step whether Ctrl-C was pressed or the process is to end. A second request stops at
    once.

    Of several processes each would hear of it at another step, and of a thread Python does not tell: both are stopped
    at once, as ever. A request that a library swallowed before is raised.
    """
    stop_if_asked()
    asked = Asked()
    if processes > 1 or threading.current_thread() is not threading.main_thread():
        yield asked
        return
    heard = [number for number in ASKING if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, asked.hear) for number in heard}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def until(asked: Asked, loader: Iterable[Sample]) -> Iterator[Sample]:
    """Yield samples; no more of them if a process that makes them has ended because it was asked to."""
    samples = iter(loader)
    while True:
        try:
            sample = next(samples)
        except StopIteration:
            return
        except RuntimeError:
            if asked.caused():
                return
            raise
        yield sample
