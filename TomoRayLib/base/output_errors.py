"""What the operating system says of a place to write to, as a sentence for the person who chose the place."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NoReturn

from TomoRayLib.base.errors import OutputError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)
_OF_WRITING = (*NO_SPACE, errno.EROFS, errno.EFBIG)  # which no reading gives
_OF_DISKS = ("EIO", "ENODEV", "ESTALE", "EREMOTEIO")
_OF_CONNECTIONS = ("ETIMEDOUT", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH")
# Windows' own numbers: not ready, path of the network not found, device gone, network busy or failed, name deleted,
# semaphore timeout, device error, device not connected, network unreachable. Not tried on Windows yet.
_OF_WINDOWS = (21, 53, 55, 54, 59, 64, 121, 1117, 1167, 1231)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def output_error(error: OSError, path: Path) -> OutputError:
    """Return an error as a sentence: what was expected of ``path``, what was got, what to do."""
    if error.errno in NO_SPACE:
        return OutputError(f"Expected free space for {path}, got a full disk; free some or choose another folder.")
    if error.errno in _FORBIDDEN:
        return OutputError(
            f"Expected to be allowed to write {path}, got {error.strerror!r}; choose a folder of your own."
        )
    reason = error.strerror or str(error)
    return OutputError(f"Expected to be able to write {path}, got {reason!r}; choose another output folder.")


def is_no_answer(error: OSError) -> bool:
    """Return whether a disk or network drive did not do what it was asked: damaged, pulled out, not connected."""
    if getattr(error, "winerror", None) in _OF_WINDOWS:
        return True
    names = _OF_DISKS if error.filename is None else (*_OF_DISKS, *_OF_CONNECTIONS)  # not those of sockets
    return error.errno in [getattr(errno, name) for name in names if hasattr(errno, name)]


def not_for_good(error: OSError, path: Path) -> OutputError:
    """Return the error that what was written is in its place, but a cut of power may take it."""
    reason = error.strerror or str(error)
    return OutputError(
        f"Expected {path} to be on the disk for good, got {reason!r}. It was written and is whole, "
        "but the disk or network drive may be failing: copy it to another one."
    )


def vanished(path: Path, final: Path) -> OutputError:
    """Return the error that what a run wrote for ``final`` was removed by somebody else before it was moved there."""
    return OutputError(
        f"Expected what was written for {final} in {path}, got nothing: a person or another program removed it "
        "meanwhile. Nothing was written; run again."
    )


def raise_about(error: OSError, partial: Path | None, final: Path) -> NoReturn:
    """Raise ``error`` as an OutputError if it is about the output; a missing input keeps its own message."""
    if isinstance(error, OutputError):
        raise error
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    places = tuple(str(place) for place in (partial, final) if place is not None)
    if any(name.startswith(places) for name in names) or error.errno in _OF_WRITING:
        raise output_error(error, final) from error
    raise error
