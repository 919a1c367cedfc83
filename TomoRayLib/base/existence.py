"""Whether names are there, on disks that may not answer."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def is_there(path: Path) -> bool:
    """Return whether a name is there, a broken link too, as ``os.path.lexists`` does.

    Raises OSError if the disk does not answer, which must not be taken for an empty place.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return True


def missing_folders(folder: Path) -> list[Path]:
    """Return the folders to make for one to be there, the highest first.

    Raises FileNotFoundError if not even its drive is there.
    """
    missing: list[Path] = []
    while not folder.is_dir():
        missing.insert(0, folder)
        if folder.parent == folder:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        folder = folder.parent
    return missing
