"""How a process is asked to end: Ctrl-C and termination, put off while files are moved, and heard once.

A process of one command calls ``take_over`` before anything else. Until ``begin_work`` a request to end is told and
ends the process at once, as nothing has been written; then it is raised, as KeyboardInterrupt or ``Terminated``, so
that what was begun is cleaned away; while a module is imported, once it is. One that follows within ``GRACE_S`` does
not disturb the cleaning.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType
from typing import Any

GRACE_S = 2.0
AGAIN_S = 0.02
_IMPORTING = "<frozen importlib._bootstrap>"  # as frames of Python's import name their file
CODE_TERMINATED = 128 + int(signal.SIGTERM)  # on each system: 143
CODE_INTERRUPTED = 128 + int(signal.SIGINT)
_TERMINATING = (signal.SIGTERM,) if sys.platform == "win32" else (signal.SIGTERM, signal.SIGHUP)
ASKING = (signal.SIGINT, *_TERMINATING)


class Terminated(SystemExit):
    """The operating system or another program asked this process to end."""

    def __init__(self) -> None:
        super().__init__(CODE_TERMINATED)


class _Phase(Enum):
    STARTING = "starting"
    WORKING = "working"
    ENDING = "ending"


class _Process:
    """What this process knows of requests to end."""

    def __init__(self) -> None:
        self.phase, self.since_s = _Phase.STARTING, 0.0
        self.asked: int | None = None
        self.tell: Callable[[int], None] | None = None

    def hear(self, number: int, frame: FrameType | None) -> None:
        code = code_of(number)
        now_s = time.monotonic()
        if self.phase is _Phase.STARTING:
            if self.tell is not None:
                self.tell(code)
            os._exit(code)
        heard_lately = now_s - self.since_s < GRACE_S
        if self.phase is _Phase.ENDING:
            if not heard_lately:
                os._exit(code)
            return
        if self.asked is None or not heard_lately:
            if _is_importing(frame):
                _hear_again(number)
                return
            self.asked, self.since_s = code, now_s
            raise_asked(code)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: libraries in C may crash if an exception is raised as they begin."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


def _hear_again(number: int) -> None:
    """Let the main thread hear a signal a little later, even if it waits for something by then."""

    def send() -> None:
        time.sleep(AGAIN_S)
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident, number)  # type: ignore[arg-type]
        else:
            signal.raise_signal(number)

    _thread.start_new_thread(send, ())  # not Thread, whose locks the interrupted code may hold


_process = _Process()


def take_over(tell: Callable[[int], None] | None = None) -> None:
    """Hear requests to end from now on, in a process that does one job; signals that it ignores stay ignored.

    Args:
        tell: Receives the exit code if the process ends before its work has begun.
    """
    if _process.tell is None and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_let_go)
    _process.tell = tell
    for number in ASKING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _process.hear)


def _let_go() -> None:
    """A process that is forked from this one, to make samples for example, ends as any does."""
    _process.asked = None
    for number in ASKING:
        if signal.getsignal(number) == _process.hear:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def begin_work() -> None:
    """Say that requests to end are raised from now on."""
    if _process.phase is _Phase.STARTING:
        _process.phase = _Phase.WORKING


def end_work() -> None:
    """Say that the work is over: the process is about to end by itself."""
    if signal.getsignal(signal.SIGTERM) == _process.hear:
        _process.phase, _process.since_s = _Phase.ENDING, time.monotonic()


def code_of(number: int) -> int:
    """Return the exit code of a process that ends because of a signal."""
    return CODE_INTERRUPTED if number == signal.SIGINT else CODE_TERMINATED


def asked_code() -> int | None:
    """Return the exit code of the request to end that this process has had; None if there was none."""
    return _process.asked


def stop_if_asked() -> None:
    """Raise a request to end once more, if a library swallowed the exception."""
    if _process.asked is not None and _process.phase is _Phase.WORKING:
        raise_asked(_process.asked)


def raise_asked(code: int) -> None:
    """Raise KeyboardInterrupt or ``Terminated``."""
    if code == CODE_INTERRUPTED:
        raise KeyboardInterrupt
    raise Terminated


@contextmanager
def deferred() -> Iterator[None]:
    """Put off Ctrl-C and termination until the block has ended: for a few steps that are all done, or all undone."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    waiting: list[int] = []
    before: dict[int, Any] = {}
    is_over = False

    def hear(number: int, frame: FrameType | None) -> None:
        if not is_over:
            waiting.append(number)
        elif callable(before[number]):  # raised by one request while the handlers were put back: it hears the next
            before[number](number, frame)
        else:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    try:
        for number in ASKING:
            if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None):
                before[number] = handler
                signal.signal(number, hear)
        yield
    finally:
        is_over = True
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(waiting):
            hear(number, None)


@contextmanager
def termination_raised() -> Iterator[None]:
    """Let a termination raise ``Terminated``, so that ``finally`` runs, unless somebody else hears it."""
    on_main_thread = threading.current_thread() is threading.main_thread()
    if not on_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
