"""Hidden and temporary folders of a run: locked while it lives, and swept by a later run after it was killed."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from TomoRayLib.base.endings import deferred
from TomoRayLib.base.folder_locks import FolderBusyError, FolderLock
from TomoRayLib.base.output_errors import output_error

PRIVATE_PREFIX = "tomoray-private-"
_OWN_NAME = r"\d+-[0-9a-f]{8}"  # what ``HeldFolder`` appends to a prefix: number of the process, and chance
_STALE_S = 7 * 24 * 3600.0  # age after which a folder is left behind where nobody can lock one
_TRIES = 100
_WAIT_S = 5.0


class HeldFolder:
    """A new folder for this user alone, whose lock says that its run is alive. Removed by ``remove``.

    Args:
        parent: Where it is made.
        prefix: How its name begins.

    Raises:
        OSError: If it cannot be made.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        for _ in range(_TRIES):
            path = parent / f"{prefix}{os.getpid()}-{os.urandom(4).hex()}"
            try:
                path.mkdir(0o777 if sys.platform == "win32" else 0o700)
                lock = FolderLock(path, _WAIT_S)
            except (FileExistsError, FileNotFoundError, FolderBusyError):  # one who sweeps came between
                if not parent.is_dir():
                    raise
                continue
            if lock.is_of(path):
                self.path, self._lock = path, lock
                return
            lock.release()
        raise FileExistsError(f"no free name for a folder in {parent}")

    def move(self, path: Path) -> None:
        """Rename it; it stays locked. Raises OSError if that is not possible."""
        os.replace(self.path, path)
        self.path = path

    def remove(self) -> None:
        """Delete it with its content, and release it."""
        if sys.platform == "win32":
            self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()

    def leave(self) -> None:
        """Release it with its content, for a later run."""
        self._lock.release()


def own_names(prefix: str) -> re.Pattern[str]:
    """Return a pattern of the names of folders that were made with a prefix."""
    return re.compile(re.escape(prefix) + _OWN_NAME)


def sweep(parent: Path, names: re.Pattern[str], spare: Callable[[Path], bool] = lambda path: False) -> None:
    """Delete the folders of dead runs of this user in ``parent``; what cannot be deleted stays.

    Args:
        parent: Where they are.
        names: A pattern of their names.
        spare: Returns True for a folder that must stay though its run is dead.
    """
    try:
        with os.scandir(parent) as entries:
            found = [Path(entry.path) for entry in entries if names.fullmatch(entry.name)]
    except OSError:
        return
    for path in found:
        with suppress(OSError, FolderBusyError):
            if is_own_folder(path) and not spare(path):
                _remove_if_dead(path)


def is_own_folder(path: Path) -> bool:
    """Return whether a path is a folder of this user, and no link to one. Raises OSError if it is not there."""
    status = path.lstat()
    is_folder = path.is_dir() and not path.is_symlink()
    return is_folder and (sys.platform == "win32" or status.st_uid == os.geteuid())


def _remove_if_dead(path: Path) -> None:
    with FolderLock(path) as lock:
        if sys.platform == "win32":
            lock.release()
        if lock.sure or time.time() - path.stat().st_mtime > _STALE_S:
            shutil.rmtree(path, ignore_errors=True)


_swept: set[Path] = set()


def sweep_once(parent: Path, names: re.Pattern[str], spare: Callable[[Path], bool] = lambda path: False) -> None:
    """``sweep``, but a folder only once in a process."""
    if parent not in _swept:
        _swept.add(parent)
        sweep(parent, names, spare)


def sweep_private() -> None:
    """Delete what killed processes left in private temporary folders: it may show a patient."""
    sweep_once(Path(tempfile.gettempdir()), own_names(PRIVATE_PREFIX))


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield an empty temporary folder, which no other user can read and which is deleted when the block ends.

    What killed processes left in such folders is deleted first.

    Raises:
        OutputError: If it cannot be made.
    """
    sweep_private()
    parent, folder = Path(tempfile.gettempdir()), None
    try:
        with deferred():
            try:
                folder = HeldFolder(parent, PRIVATE_PREFIX)
            except OSError as error:
                raise output_error(error, parent) from error
        yield folder.path
    finally:
        with deferred():
            if folder is not None:
                folder.remove()
