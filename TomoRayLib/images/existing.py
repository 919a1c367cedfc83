"""Whether a file or folder that was named is there, before anything that could read it is loaded."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from TomoRayLib.base.errors import InputError


def existing_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a folder, or of a file that is not empty, if it can be opened. Raises InputError."""
    path = Path(path)
    if "\0" in str(path):
        raise InputError(f"Expected the name of a file or folder, got {str(path)!r}; no name holds a zero character.")
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(path):
                return path
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: expected a file or folder, got a device, pipe or socket; choose an image file.")
        with path.open("rb"):
            pass
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: expected an existing file or folder, got none there; check the spelling.") from None
    except OSError as error:
        raise unreadable(path, error) from error
    if status.st_size == 0:
        raise InputError(f"{path}: expected an image, got an empty file; export or copy it again.")
    return path


def unreadable(path: Path, error: OSError) -> InputError:
    """Turn the operating system's error on opening a file or folder into a sentence."""
    reason = (error.strerror or str(error)).lower()
    advice = "ask for the right to read it, or copy it to a folder of your own"
    if not isinstance(error, PermissionError):
        advice = "check the disk or the connection to it, or copy it again"
    return InputError(f"{path}: expected a file or folder that can be read, but it cannot be read: {reason}; {advice}.")
