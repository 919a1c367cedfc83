"""A lock on a folder, which the operating system releases if the process that holds it is killed."""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_PAUSE_S = 0.02
_NAME_ON_WINDOWS = ".tomoray-lock"  # which cannot lock a folder, so a file in it


class FolderBusyError(Exception):
    """Another process, or another thread, holds the lock."""


class FolderLock:
    """The lock of one folder, held from the beginning until ``release``, or as a context.

    Args:
        folder: The folder, which must exist.
        wait_s: How long to wait for it, in seconds.

    Attributes:
        sure: False on a file system that knows no locks, as some network drives: then nothing is held.

    Raises:
        FolderBusyError: If somebody else holds it for longer than that.
        OSError: If the folder cannot be opened.
    """

    def __init__(self, folder: Path, wait_s: float = 0.0) -> None:
        self.folder = folder
        self._descriptor: int | None = _opened(folder)
        deadline = time.monotonic() + wait_s
        try:
            while not (locked := _try(self._descriptor)) and locked is not None:
                if time.monotonic() >= deadline:
                    raise FolderBusyError(str(folder))
                time.sleep(_PAUSE_S)
        except BaseException:
            self._close()
            raise
        self.sure = bool(locked)

    def is_of(self, folder: Path) -> bool:
        """Return whether the locked folder is still the one at ``folder``, not one made anew after it was removed."""
        if self._descriptor is None:
            return False
        try:
            if sys.platform == "win32":
                return folder.is_dir()
            return os.path.samestat(os.fstat(self._descriptor), folder.lstat())
        except OSError:
            return False

    def release(self) -> None:
        """Let others have it."""
        self._close()
        if sys.platform == "win32":
            with suppress(OSError):
                (self.folder / _NAME_ON_WINDOWS).unlink()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _unlock(descriptor)
            os.close(descriptor)


if sys.platform == "win32":  # not run on Windows yet
    import msvcrt

    def _opened(folder: Path) -> int:
        return os.open(folder / _NAME_ON_WINDOWS, os.O_RDWR | os.O_CREAT)

    def _try(descriptor: int) -> bool | None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            return False if error.errno in (errno.EACCES, errno.EDEADLK) else None
        return True

    def _unlock(descriptor: int) -> None:
        """Closing it does so."""
else:
    import fcntl

    def _opened(folder: Path) -> int:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def _try(descriptor: int) -> bool | None:
        """True if locked, False if somebody else has it, None if there are no locks here."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return False if error.errno == errno.EAGAIN else None
        return True

    def _unlock(descriptor: int) -> None:
        """Closing it would not do if a process that was forked meanwhile has it open too."""
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
