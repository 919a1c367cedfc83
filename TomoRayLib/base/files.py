"""Atomic writing: one file with ``write_atomically``, a folder of files with ``staged_folder``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from TomoRayLib.base.durable import sync_file, sync_folder, sync_tree
from TomoRayLib.base.endings import deferred, stop_if_asked, termination_raised
from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.existence import is_there
from TomoRayLib.base.held_folders import HeldFolder, own_names, sweep_once
from TomoRayLib.base.left_behind import PROBE_PREFIX, beside_prefix, tidy
from TomoRayLib.base.output_errors import NO_SPACE, not_for_good, output_error, raise_about, vanished
from TomoRayLib.base.publishing import (
    INSIDE_PREFIX,
    MANIFEST_NAME,
    NEW,
    has_journal,
    merge,
    publishing,
    recover,
    recover_while_alone,
    write_manifest,
)

__all__ = [
    "MANIFEST_NAME",
    "OutputError",
    "check_writable",
    "kept_aside",
    "recovered",
    "staged_folder",
    "write_atomically",
    "write_bytes",
    "write_text",
    "written_folders",
]

_staged: dict[Path, set[Path]] = {}  # open staging folders, with the files that ``write_atomically`` put there
_written: list[Path] = []
_kept: list[Path] = []


def check_writable(folder: str | os.PathLike[str], need_bytes: int = 0) -> None:
    """Check that a folder can be written and has enough free space; complete or delete what killed runs left there.

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
        existing = next(candidate for candidate in (wanted, *wanted.parents) if candidate.exists())
        if not existing.is_dir():
            raise OutputError(f"Expected a folder to write to, got the file {existing}; choose another output folder.")
        if wanted.is_symlink() and existing != wanted:
            raise OutputError(f"Expected a folder to write to, got the broken link {wanted}; remove or repair it.")
        with deferred():
            _probe(existing)
        tidy(wanted)
        free_bytes = shutil.disk_usage(existing).free
    except OutputError:
        raise
    except OSError as error:
        raise output_error(error, wanted) from error
    if free_bytes < need_bytes:
        raise OutputError(
            f"Expected {_readable(need_bytes)} of free space for {wanted}, got {_readable(free_bytes)}; "
            "free some space or choose another output folder."
        )


@contextmanager
def write_atomically(path: str | os.PathLike[str], durable: bool = True) -> Iterator[Path]:
    """Yield a path of the same name in a hidden folder; the file written there becomes ``path`` when the block ends.

    The file at ``path`` is either the old one or the complete new one, never half of it. After an exception (also
    KeyboardInterrupt) the old one is untouched and the partial file is gone; what a killed process left is deleted by
    the next that writes into the folder. Missing parent folders are made. A link stays a link: the file that it points
    to is replaced.

    Args:
        path: The file to write.
        durable: Wait until the file is on the disk, so that a cut of power cannot take it. False for what can be made
            again, and where damage is noticed.

    Raises:
        OutputError: If the place cannot be written or the disk is full.
    """
    final = Path(path).absolute()
    try:
        final = _place_of_file(final)
    except OSError as error:
        raise_about(error, None, final)
    written = next((_staged[parent] for parent in final.parents if parent in _staged), None)
    _make_folder(final.parent)
    if written is None:
        sweep_once(final.parent, own_names(INSIDE_PREFIX), spare=has_journal)
    held: HeldFolder | None = None
    try:
        with deferred():
            try:
                held = HeldFolder(final.parent, INSIDE_PREFIX)
            except OSError as error:
                raise output_error(error, final) from error
        partial = held.path / final.name
        yield partial
        if durable and written is None:
            sync_file(partial)
        with deferred():
            os.replace(partial, final)
            if written is not None:
                written.add(final)
        if durable and written is None:
            try:
                sync_folder(final.parent)
            except OSError as error:
                raise not_for_good(error, final) from error
    except OSError as error:
        if written is not None and error.errno in NO_SPACE:
            raise  # ``staged_folder`` names the folder that was asked for
        raise_about(error, held.path if held is not None else None, final)
    finally:
        with deferred():
            if held is not None:
                held.remove()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically. Raises OutputError if the place cannot be written or the disk is full."""
    with write_atomically(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 atomically. Raises OutputError if the place cannot be written or the disk is full."""
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def staged_folder(out: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder; its content moves into ``out`` when the block ends without an exception.

    The folder is hidden. It lies inside ``out`` if that exists, so that both are on one file system and a parent that
    cannot be written does not matter; else next to the place of ``out``.

    Files that an earlier run wrote into ``out`` (listed in ``MANIFEST_NAME``, unchanged since) are replaced or, when
    the new run does not write them, removed. Every other file stays: one in the way of a new file is renamed to
    ``<name>.kept-<n>``. After an exception, KeyboardInterrupt or SIGTERM (raised as SystemExit here) nothing of the
    run is left and ``out`` is as before. A process that is killed leaves the earlier result or the new one, whole, or
    what the next run, ``check_writable`` and ``recovered`` make so.

    Args:
        out: The folder to fill; missing parents are made.

    Raises:
        OutputError: If ``out`` cannot be written, the disk is full, or the staged files were removed meanwhile.
    """
    final = Path(out).absolute()
    check_writable(final)
    missing_parents = [parent for parent in final.parents if not parent.exists()]
    run: HeldFolder | None = None
    done = False
    try:
        with termination_raised():
            with deferred():
                run = _folder_of_run(final)
                staging = run.path / NEW
                staging.mkdir()
                _staged[staging] = set()
            yield staging
            stop_if_asked()
            _check_whole(staging, final)
            write_manifest(staging)
            sync_tree(staging)
            _publish(run, final)
            done = True
    except OSError as error:
        raise_about(error, run.path if run is not None else None, final)
    finally:
        with deferred():
            if run is not None:
                _staged.pop(staging, None)
                if not done and not has_journal(run.path):
                    run.remove()
            if not done:
                for parent in missing_parents:
                    with suppress(OSError):
                        parent.rmdir()


def recovered(folder: str | os.PathLike[str]) -> Path:
    """Return a folder of results after completing what a killed run was moving into it; for whoever reads there.

    Raises:
        OutputError: If that is not possible.
    """
    final = Path(folder)
    recover(final)
    return final


def written_folders() -> tuple[Path, ...]:
    """Return the folders that this process has published results in, in their order."""
    return tuple(_written)


def kept_aside() -> tuple[Path, ...]:
    """Return the new names of what was in the way of results of this process and is not TomoRay's, in their order."""
    return tuple(_kept)


def _publish(run: HeldFolder, final: Path) -> None:
    """Move what a run wrote to the place of ``final`` or, if that exists, into it; any failure undoes all of it."""
    with deferred():
        if not is_there(final) and _moved(run.path / NEW, final):
            _written.append(final)
            run.remove()
            try:
                sync_folder(final.parent)
            except OSError as error:
                raise not_for_good(error, final) from error
            return
    with publishing(final), deferred():
        recover_while_alone(final)
        if run.path.parent != final:  # another run has made it meanwhile
            run.move(final / f"{INSIDE_PREFIX}{os.getpid()}-{os.urandom(4).hex()}")
        _kept.extend(merge(run, final))
        _written.append(final)


def _moved(staging: Path, final: Path) -> bool:
    """Rename a folder; False if another run has made one at that place meanwhile."""
    try:
        os.replace(staging, final)
    except OSError:
        if not final.is_dir():
            raise
        return not is_there(staging)  # network drives may do it and tell of an error all the same
    return True


def _folder_of_run(final: Path) -> HeldFolder:
    parent, prefix = (final, INSIDE_PREFIX) if final.is_dir() else (final.parent, beside_prefix(final))
    _make_folder(parent)
    try:
        return HeldFolder(parent, prefix)
    except OSError as error:
        raise output_error(error, final) from error


def _check_whole(staging: Path, final: Path) -> None:
    """Raise OutputError if the staged folder, or a file in it, is not there any more."""
    if not staging.is_dir():
        raise vanished(staging, final)
    for path in sorted(_staged[staging]):
        if not is_there(path):
            raise vanished(path, final)


def _place_of_file(path: Path) -> Path:
    """Where the file is that ``path`` names, behind links. Raises OutputError for what is no file and cannot be one."""
    if path.is_symlink():
        try:
            path = path.resolve(strict=True)
        except (OSError, RuntimeError):
            raise OutputError(
                f"Expected a file name to write, got the broken link {path}; remove or repair it."
            ) from None
    if path.is_dir():
        raise OutputError(f"Expected a file name to write, got the folder {path}; add a file name.")
    if path.exists() and not path.is_file():
        raise OutputError(f"Expected a file name to write, got the device or pipe {path}; choose a file name.")
    return path


def _probe(existing: Path) -> None:
    place = existing / f"{PROBE_PREFIX}{os.urandom(4).hex()}"
    place.mkdir()
    with suppress(FileNotFoundError):  # another run has swept it
        place.rmdir()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, folder) from error


def _readable(count_bytes: int) -> str:
    return f"{count_bytes / 2**30:.2f} GiB" if count_bytes >= 2**29 else f"{count_bytes / 2**20:.1f} MiB"
