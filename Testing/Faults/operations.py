"""Something done at the n-th operation on a file of this process: a kill, a disk that gets full, read-only or fails."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEVER = 10**9
OPERATIONS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink", "fcntl.flock"}
)
FILLER = "filler"


def at_operation(
    number: int,
    root: Path,
    do: Callable[[tuple[object, ...]], object],
    only: Callable[[str], bool] = lambda event: True,
) -> list[int]:
    """Do something just before the ``number``-th operation on a file below a folder.

    Args:
        number: Which one, from 1 on.
        root: The folder.
        do: What to do; it receives the operation's arguments.
        only: Returns whether an operation counts, by the name of Python's audit event.

    Returns:
        What is left of the number, in a list, which goes down.
    """
    left, below = [number], str(root)

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event not in OPERATIONS:
            return
        relative = event in ("os.remove", "os.rmdir") and arguments[-1] != -1  # in a folder that is open
        on_ours = relative or event == "fcntl.flock" or any(str(one).startswith(below) for one in arguments[:2])
        if on_ours and only(event):
            left[0] -= 1
            if left[0] == 0:
                do(arguments)

    sys.addaudithook(hear)
    return left


def kill_self(*_: object) -> None:
    """Kill this process, as the operating system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk(place: Path) -> None:
    """Write into the file ``FILLER`` of a folder until its disk is full."""
    with suppress(OSError), (place / FILLER).open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def make_read_only(place: Path) -> None:
    """Make a mounted disk read-only; not possible while a file is open for writing, then nothing happens."""
    subprocess.run(["mount", "-o", "remount,ro", str(place)], capture_output=True, check=False)


def make_writable(place: Path) -> None:
    """Undo ``make_read_only``."""
    subprocess.run(["mount", "-o", "remount,rw", str(place)], capture_output=True, check=True)


def fail(arguments: tuple[object, ...]) -> None:
    """Let the operation fail, as a disk does that cannot read or write one place."""
    named = arguments[0] if isinstance(arguments[0], str | os.PathLike) else None
    raise OSError(errno.EIO, os.strerror(errno.EIO), named)


FAULTS: dict[str, Callable[[Path, tuple[object, ...]], None]] = {
    "kill": kill_self,
    "fill": lambda place, arguments: fill_disk(place),
    "read-only": lambda place, arguments: make_read_only(place),
    "fail": lambda place, arguments: fail(arguments),
}


def fail_call(name: str, number: int, root: Path, *, is_done: bool) -> list[int]:
    """Let the ``number``-th call of a function of ``os`` on a path below a folder fail, as network drives do.

    Args:
        name: The function: ``lstat``, which gives no audit event, or ``replace``.
        number: Which one, from 1 on.
        root: The folder.
        is_done: Whether it does all the same what it is asked.

    Returns:
        What is left of the number, in a list, which goes down.
    """
    left, real = [number], getattr(os, name)

    def call(path: object, *rest: object, **named: object) -> object:
        if not str(path).startswith(str(root)):
            return real(path, *rest, **named)
        left[0] -= 1
        if left[0]:
            return real(path, *rest, **named)
        if is_done:
            real(path, *rest, **named)
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    setattr(os, name, call)
    return left


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[bool]:
    """Mount a disk of so many megabytes at a new folder; yields False where that is not allowed."""
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
