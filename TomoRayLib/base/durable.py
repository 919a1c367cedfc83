"""Files and folders brought onto the disk itself, so that a cut of power takes nothing that was told to be written."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

_AT_ONCE = 8  # files; a journalling file system commits those that wait together as one
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)  # by some network and user-space file systems


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk. Raises OSError if it does not get there."""
    descriptor = os.open(path, (os.O_RDWR if sys.platform == "win32" else os.O_RDONLY) | getattr(os, "O_BINARY", 0))
    try:
        _sync(descriptor, path)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk; nothing on Windows, which has no such call.

    A folder that may not be read is left as it is. Raises OSError if the names do not get to the disk.
    """
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        _sync(descriptor, path)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Wait until all files below a folder, and all names, are on the disk. Raises OSError if they do not get there."""
    files: list[Path] = []
    folders: list[Path] = []
    for place, _, names in os.walk(folder):
        folders.append(Path(place))
        files += [Path(place) / name for name in names]
    if len(files) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(sync_file, files))
    else:
        for file in files:
            sync_file(file)
    for one in reversed(folders):
        sync_folder(one)


def _sync(descriptor: int, path: Path) -> None:
    try:
        if sys.platform == "darwin":
            import fcntl

            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync alone leaves the content in the drive's own memory there
        else:
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise OSError(error.errno, error.strerror, str(path)) from error
