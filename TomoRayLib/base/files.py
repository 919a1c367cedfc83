"""Atomic writing: one file with ``write_atomically``, a folder of files with ``staged_folder``."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from TomoRayLib.base.errors import OutputError

__all__ = ["MANIFEST_NAME", "OutputError", "check_writable", "staged_folder", "write_atomically"]

MANIFEST_NAME = ".tomoray-files.json"  # what a run wrote, so that the next run replaces that and nothing else
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)
_Stamp = tuple[int, int]  # size in bytes, modification time in ns


def check_writable(folder: str | os.PathLike[str], need_bytes: int = 0) -> None:
    """Check that a folder can be written and has enough free space.

    A folder is made, and removed again, at the place where ``staged_folder`` will make one: in ``folder``, or in the
    nearest parent that exists.

    Args:
        folder: The folder; it need not exist yet.
        need_bytes: Free space needed.

    Raises:
        OutputError: If the folder cannot be written or has less space.
    """
    wanted = Path(folder).absolute()
    try:
        existing = _nearest_existing(wanted)
        if not existing.is_dir():
            raise OutputError(f"Expected a folder to write to, got the file {existing}; choose another output folder.")
        if wanted.is_symlink() and existing != wanted:
            raise OutputError(f"Expected a folder to write to, got the broken link {wanted}; remove or repair it.")
        with tempfile.TemporaryDirectory(prefix=".tomoray-", dir=existing):
            pass
        free_bytes = shutil.disk_usage(existing).free
    except OutputError:
        raise
    except OSError as error:
        raise _sentence(error, wanted) from error
    if free_bytes < need_bytes:
        raise OutputError(
            f"Expected {_readable(need_bytes)} of free space for {wanted}, got {_readable(free_bytes)}; "
            "free some space or choose another output folder."
        )


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path next to ``path`` with the same ending; the file written there becomes ``path`` when the block ends.

    The file at ``path`` is either the old one or the complete new one, never half of it. After an exception (also
    KeyboardInterrupt) the old one is untouched and the partial file is gone. Missing parent folders are made.

    Args:
        path: The file to write.

    Raises:
        OutputError: If the place cannot be written or the disk is full.
    """
    final = Path(path).absolute()
    if final.is_dir():
        raise OutputError(f"Expected a file name to write, got the folder {final}; add a file name.")
    partial = final.with_name(f".partial-{os.getpid()}-{threading.get_ident()}-{final.name}")
    _make_folder(final.parent)
    try:
        yield partial
        os.replace(partial, final)
    except OSError as error:
        _raise_about(error, partial, final)
    finally:
        _remove(partial)


@contextmanager
def staged_folder(out: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder; its content moves into ``out`` when the block ends without an exception.

    The folder is hidden. It lies inside ``out`` if that exists, so that both are on one file system and a parent that
    cannot be written does not matter; else next to the place of ``out``.

    Files that an earlier run wrote into ``out`` (listed in ``MANIFEST_NAME``, unchanged since) are replaced or, when
    the new run does not write them, removed. Every other file stays: one in the way of a new file is renamed to
    ``<name>.kept-<n>``. After an exception, KeyboardInterrupt or SIGTERM (raised as SystemExit here) nothing of the
    run is left and ``out`` is as before.

    Args:
        out: The folder to fill; missing parents are made.

    Raises:
        OutputError: If ``out`` cannot be written or the disk is full.
    """
    final = Path(out).absolute()
    check_writable(final)
    missing_parents = [parent for parent in final.parents if not parent.exists()]
    staging = _free_folder(final, "partial") if final.is_dir() else _free_sibling(final, "partial")
    done = False
    try:
        with _sigterm_as_exception():
            _make_folder(staging)
            yield staging
            _write_manifest(staging)
            _publish(staging, final)
            done = True
    except OSError as error:
        _raise_about(error, staging, final)
    finally:
        _remove(staging)
        if not done:
            for parent in missing_parents:
                _remove_if_empty(parent)


def _publish(staging: Path, final: Path) -> None:
    """Move ``staging`` to ``final`` or, if ``final`` exists, its files into it; any failure undoes all of it.

    What is replaced waits inside ``final`` meanwhile, on the same file system.
    """
    if not final.exists():
        os.replace(staging, final)
        return
    previous = _free_folder(final, "previous")
    previous.mkdir()
    moves: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        moves.append((source, target))
        os.replace(source, target)

    try:
        ours = _unchanged_files_of_earlier_run(final)
        for relative in ours:
            move(final / relative, previous / relative)
        for source in [path for path in sorted(staging.rglob("*")) if path.is_file()]:
            target = final / source.relative_to(staging)
            if target.exists():
                move(target, _free_name(target))
            move(source, target)
    except BaseException:
        for source, target in reversed(moves):
            with suppress(OSError):  # one file that cannot go back must not keep the others
                if target.exists():
                    os.replace(target, source)
        _remove_empty_folders(final, {target.parent for _, target in moves})
        aside = {target.parent for _, target in moves if previous in target.parents}
        _remove_empty_folders(previous.parent, {previous, *aside})
        raise
    _remove(previous)
    _remove_empty_folders(final, {(final / relative).parent for relative in ours})


def _write_manifest(folder: Path) -> None:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    stamps = {path.relative_to(folder).as_posix(): _stamp(path) for path in files}
    (folder / MANIFEST_NAME).write_text(json.dumps({"files": stamps}, indent=1), encoding="utf-8")


def _unchanged_files_of_earlier_run(folder: Path) -> list[str]:
    """Relative names from the manifest whose size and time are still those of the run that wrote them."""
    manifest = folder / MANIFEST_NAME
    try:
        stamps = dict(json.loads(manifest.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    inside = {name: stamp for name, stamp in stamps.items() if ".." not in Path(name).parts}
    ours = [name for name, stamp in inside.items() if _is_file_with_stamp(folder / name, stamp)]
    return [*ours, MANIFEST_NAME]


def _is_file_with_stamp(path: Path, stamp: object) -> bool:
    return path.is_file() and not path.is_symlink() and list(_stamp(path)) == stamp


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns)


def _free_name(path: Path) -> Path:
    number = 1
    while (free := path.with_name(f"{path.name}.kept-{number}")).exists():
        number += 1
    return free


def _free_sibling(path: Path, kind: str) -> Path:
    """A hidden name next to ``path`` that does not exist: another thread may be writing the same folder."""
    first = path.with_name(f".{path.name}.{kind}-{os.getpid()}")
    return first if not first.exists() else _free_name(first)


def _free_folder(parent: Path, kind: str) -> Path:
    """A hidden name inside ``parent`` that does not exist."""
    first = parent / f".{kind}-{os.getpid()}"
    return first if not first.exists() else _free_name(first)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _sentence(error, folder) from error


@contextmanager
def _sigterm_as_exception() -> Iterator[None]:
    """Let SIGTERM raise SystemExit(143), so that ``finally`` runs, unless somebody else handles it."""
    on_main_thread = threading.current_thread() is threading.main_thread()
    if not on_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())


def _raise_about(error: OSError, partial: Path, final: Path) -> NoReturn:
    """Raise ``error`` as an OutputError if it is about the output; a missing input keeps its own message."""
    if isinstance(error, OutputError):
        raise error
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    about_output = any(name.startswith((str(partial), str(final))) for name in names)
    if about_output or error.errno in (*_NO_SPACE, errno.EROFS):
        raise _sentence(error, final) from error
    raise error


def _sentence(error: OSError, path: Path) -> OutputError:
    """The operating system's error as a sentence: what was expected, what was got, what to do."""
    if error.errno in _NO_SPACE:
        return OutputError(f"Expected free space for {path}, got a full disk; free some or choose another folder.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            f"Expected to be allowed to write {path}, got {error.strerror!r}; choose a folder of your own."
        )
    reason = error.strerror or str(error)
    return OutputError(f"Expected to be able to write {path}, got {reason!r}; choose another output folder.")


def _readable(count_bytes: int) -> str:
    return f"{count_bytes / 2**30:.2f} GiB" if count_bytes >= 2**29 else f"{count_bytes / 2**20:.1f} MiB"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _remove_empty_folders(top: Path, folders: set[Path]) -> None:
    """Remove those of ``folders`` strictly inside ``top`` that are empty, and then their empty parents."""
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        while top in folder.parents:
            _remove_if_empty(folder)
            folder = folder.parent
