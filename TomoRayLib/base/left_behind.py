"""What killed runs leave in and beside an output folder: their moves are ended, their rubbish is deleted."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from TomoRayLib.base.endings import deferred
from TomoRayLib.base.held_folders import own_names, sweep, sweep_private
from TomoRayLib.base.publishing import INSIDE_PREFIX, has_journal, is_behind_link, publishing, recover

PROBE_PREFIX = ".tomoray-"  # of an empty folder, made to see whether that is possible
_PROBE = re.compile(re.escape(PROBE_PREFIX) + r"\w{8}")
# Before runs had a lock and a journal, their number told them apart.
_OLD_PARTIAL = re.compile(r"\.partial-(\d+)(\.kept-\d+)?")
_OLD_PREVIOUS = re.compile(r"\.previous-(\d+)(\.kept-\d+)?")
_OLD_RESERVE = re.compile(r"\.reserve-(\d+)")
_OLD_S = 3600.0  # age after which such a name is not that of a run elsewhere on a shared disk


def beside_prefix(final: Path) -> str:
    """Return how the name of a run's folder begins that lies next to the place of its output folder."""
    return f".{final.name.encode(errors='surrogateescape')[:100].decode(errors='ignore')}.partial-"


def tidy(final: Path) -> None:
    """Complete what killed runs were moving into an output folder, and delete what they left in and beside it, and
    in temporary folders.

    Runs that live, and those of other users, are left alone.

    Raises:
        OutputError: If a move cannot be completed.
    """
    sweep_private()
    if final.is_dir():
        recover(final)
        sweep(final, own_names(INSIDE_PREFIX), spare=has_journal)
        _tidy_of_old_versions(final)
        _remove_probes(final)
    if final.name and final.parent.is_dir():
        sweep(final.parent, own_names(beside_prefix(final)))
        _remove_probes(final.parent)


def tidy_below(*tops: Path) -> None:
    """Delete what killed processes left of single files anywhere below some folders, those of live ones excepted."""
    for place, folders, _ in (found for top in tops for found in os.walk(top)):
        sweep(Path(place), own_names(INSIDE_PREFIX), spare=has_journal)
        folders[:] = [name for name in folders if not name.startswith(".")]


def _remove_probes(folder: Path) -> None:
    for path in _named(folder, _PROBE):
        with suppress(OSError):
            path.rmdir()  # only if it is empty


def _tidy_of_old_versions(final: Path) -> None:
    """Put back what a killed run of an earlier version had put aside, and delete its files."""
    aside = [path for path in _named(final, _OLD_PREVIOUS) if _is_dead(path)]
    if aside:
        with publishing(final), deferred():
            for folder in aside:
                _put_back(folder, final)
    for path in _named(final, _OLD_PARTIAL):
        if _is_dead(path) and path.is_dir():
            for place, folders, files in os.walk(path, topdown=False):
                _delete(Path(place), folders, files)
            with suppress(OSError):
                path.rmdir()
    for path in _named(final, _OLD_RESERVE):
        if _is_dead(path):
            with suppress(OSError):
                path.unlink()


def _put_back(aside: Path, final: Path) -> None:
    """Move the files of an earlier result back; what came into their place since is renamed."""
    for path in sorted(aside.rglob("*")):
        name = path.relative_to(aside)
        target = final / name
        if (path.is_dir() and not path.is_symlink()) or is_behind_link(final, str(name)):
            continue
        with suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            number = 1
            while os.path.lexists(target) and os.path.lexists(kept := Path(f"{target}.kept-{number}")):
                number += 1
            if os.path.lexists(target):
                os.replace(target, kept)
            os.replace(path, target)
    for folder in sorted((path for path in aside.rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):
            folder.rmdir()
    with suppress(OSError):
        aside.rmdir()


def _delete(place: Path, folders: list[str], files: list[str]) -> None:
    for name in files:
        with suppress(OSError):
            (place / name).unlink()
    for name in folders:
        with suppress(OSError):
            (place / name).rmdir()


def _named(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        return sorted(folder / name for name in os.listdir(folder) if pattern.fullmatch(name))
    except OSError:
        return []


def _is_dead(path: Path) -> bool:
    """True if the run that a name tells the number of is over, and the path is this user's."""
    found = next(
        match for pattern in (_OLD_PARTIAL, _OLD_PREVIOUS, _OLD_RESERVE) if (match := pattern.match(path.name))
    )
    try:
        status = path.lstat()
        if path.is_symlink() or (hasattr(os, "geteuid") and status.st_uid != os.geteuid()):
            return False
    except OSError:
        return False
    return time.time() - status.st_mtime > _OLD_S and not _runs(int(found.group(1)))


def _runs(pid: int) -> bool:
    if os.name != "posix":
        return False  # there, to ask may end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
