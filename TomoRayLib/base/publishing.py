"""The move of a finished run into a folder that exists: all of it or nothing, also if the process is killed meanwhile.

A run's hidden folder in the output folder holds ``new`` (what it wrote), ``old`` (what that replaces) and, while files
are moved, ``JOURNAL``. Before the journal is on the disk nothing has been moved; from then on whoever comes next ends
the move. Without that journal the hidden folder is rubbish.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from TomoRayLib.base.durable import sync_file, sync_folder
from TomoRayLib.base.endings import deferred
from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.existence import is_there, missing_folders
from TomoRayLib.base.folder_locks import FolderBusyError, FolderLock
from TomoRayLib.base.held_folders import HeldFolder, is_own_folder, own_names
from TomoRayLib.base.output_errors import is_no_answer
from TomoRayLib.base.text_files import read_json

MANIFEST_NAME = ".tomoray-files.json"  # what a run wrote, so that the next run replaces that and nothing else
INSIDE_PREFIX = ".partial-"  # of a run's folder in its output folder
NEW, OLD, JOURNAL = "new", "old", "journal.json"
WAIT_S = 60.0  # for another run to publish into the same folder, which takes it milliseconds
_RUNS = own_names(INSIDE_PREFIX)
_KEPT = re.compile(r"\.kept-[0-9]+")
_Stamp = tuple[int, int]  # size in bytes, modification time in ns


@dataclass(frozen=True)
class _Plan:
    """What is moved: ``ours`` are files of the earlier run with their stamps (None: whatever it is), ``new`` those of
    this one; all relative to the output folder."""

    ours: Mapping[str, Any]
    new: tuple[str, ...]

    def to_json(self) -> str:
        return json.dumps({"ours": dict(self.ours), "new": list(self.new)})


@dataclass
class _Moves:
    """Moves that can be undone, folders made for them (None and the folder) in their order among them, and the new
    names of what was in the way."""

    done: list[tuple[Path | None, Path]] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)

    def move(self, source: Path, target: Path) -> None:
        for folder in missing_folders(target.parent):
            folder.mkdir(exist_ok=True)
            self.done.append((None, folder))
        self.done.append((source, target))  # before, as network drives may do it and tell of an error all the same
        os.replace(source, target)

    def undo(self) -> bool:
        """Move back what was moved; False if something could not be."""
        whole, last = True, self.done[-1] if self.done else None
        for move in reversed(self.done):
            source, target = move
            if source is None:
                with suppress(OSError):  # if somebody else put something there
                    target.rmdir()
                continue
            try:
                if is_there(source) or not is_there(target):  # the last one may not have been made
                    whole = whole and move is last
                else:
                    os.replace(target, source)
            except OSError:  # one file that cannot go back must not keep the others
                whole = False
        return whole

    def keep(self, path: Path) -> None:
        """Give a free name to what is in the way."""
        free = _free_name(path)
        self.move(path, free)
        self.kept.append(free)


def write_manifest(folder: Path) -> None:
    """Write the names, sizes and times of the files in a folder into it. Raises OSError if that is not possible."""
    stamps = {name: _stamp(folder / name) for name in _files_in(folder)}
    (folder / MANIFEST_NAME).write_text(json.dumps({"files": stamps}, indent=1), encoding="utf-8")


@contextmanager
def publishing(final: Path) -> Iterator[None]:
    """Let no other run publish into ``final`` during the block.

    Raises:
        OutputError: If another one has been at it for ``WAIT_S``.
    """
    try:
        lock = FolderLock(final, WAIT_S)
    except FolderBusyError:
        raise OutputError(
            f"Expected to write into {final}, but another run has been moving its results there for {WAIT_S:.0f} s; "
            "wait for it or end it, or choose another output folder."
        ) from None
    with lock:
        yield


def merge(run: HeldFolder, final: Path) -> tuple[Path, ...]:
    """Move what a run wrote (``NEW`` in its folder, which lies in ``final``) into ``final``, and delete the folder.

    Files that an earlier run wrote, unchanged since, are replaced or go. Any other file, link or folder in the way of
    a new file is renamed to ``<name>.kept-<n>``, unless it has the new file's content, or that of one kept before.
    Nothing is written through a link in ``final``. To be called inside ``publishing``, with signals put off.

    Returns:
        The new names of what was in the way.

    Raises:
        OSError: If a move failed; then all were undone.
    """
    plan = _Plan(_files_of_earlier_run(final), tuple(_files_in(run.path / NEW)))
    moves = _Moves()
    try:
        _write_journal(run.path, plan)
        _move_all(run.path, final, plan, moves)
        sync_touched(final, plan)
    except BaseException:
        if moves.undo():
            _give_up(run)
        else:
            run.leave()  # the journal tells the next run
        raise
    with suppress(OSError):  # all is in its place, and the next run finds no move to make
        _remove_journal(run.path)
    _remove_empty(run.path, final, plan.ours)
    run.remove()
    return tuple(moves.kept)


def recover(final: Path) -> None:
    """End the moves into a folder that killed runs began.

    Raises:
        OutputError: If that is not possible: the folder holds parts of two results then.
    """
    if _journals(final):
        with publishing(final), deferred():
            recover_while_alone(final)


def recover_while_alone(final: Path) -> None:
    """``recover`` inside ``publishing``, with signals put off."""
    try:
        for run in _journals(final):
            _recover_run(run, final)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise _unfinished(final, error.strerror or str(error)) from error


def has_journal(run: Path) -> bool:
    """Return whether a run's folder says that files were being moved out of it, or does not answer."""
    try:
        return is_there(run / JOURNAL)
    except OSError:
        return True


def sync_touched(final: Path, plan: _Plan) -> None:
    """Bring the names in all folders that a plan changes onto the disk."""
    folders = {final, *((final / name).parent for name in (*plan.ours, *plan.new))}
    for folder in sorted(folders):
        if folder.is_dir():
            sync_folder(folder)


def _recover_run(run: Path, final: Path) -> None:
    try:
        lock = FolderLock(run)
    except FolderBusyError:
        return  # it lives, on a file system where ``publishing`` could not keep us apart
    with lock:
        plan = _read_journal(run)
        if plan is None:
            return
        if is_there(run / NEW) or is_there(run / OLD):  # else all but a journal that stayed was deleted at its end
            try:
                _move_all(run, final, plan, _Moves(), again=True)
            except OSError:
                _move_back(run, final, plan)
        sync_touched(final, plan)
        _remove_journal(run)
        _remove_empty(run, final, (*plan.ours, *plan.new))
    shutil.rmtree(run, ignore_errors=True)


def _move_all(run: Path, final: Path, plan: _Plan, moves: _Moves, again: bool = False) -> None:
    """Make all moves of a plan that have not been made; ``again`` if a killed run may have made some.

    A file of the earlier run is still to be moved if it is not among the old ones and the new one is still to come.
    """
    for name, stamp in plan.ours.items():
        waits = name not in plan.new or is_there(run / NEW / name)
        if waits and not is_there(run / OLD / name) and _is_ours(final, name, stamp):
            moves.move(final / name, run / OLD / name)
    for name in plan.new:
        source, target = run / NEW / name, final / name
        if again and not is_there(source):
            if not is_there(target):
                raise FileNotFoundError(f"{name} is gone")
            continue
        _clear_way(final, name, source, run, moves)
        moves.move(source, target)


def _move_back(run: Path, final: Path, plan: _Plan) -> None:
    """Put the earlier result back; what can be put back of it is."""
    for name in plan.new:
        is_earlier = name in plan.ours and not is_there(run / OLD / name)
        if is_there(final / name) and not is_earlier and not is_behind_link(final, name):
            if is_there(run / NEW / name):
                continue
            with suppress(OSError):
                (run / NEW / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(final / name, run / NEW / name)
    for name in plan.ours:
        if is_there(run / OLD / name) and not is_behind_link(final, name):
            (final / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(run / OLD / name, final / name)


def _clear_way(final: Path, name: str, source: Path, run: Path, moves: _Moves) -> None:
    """Rename what is in the way of a new file: the place itself, and a link or a file in place of a folder above it."""
    for above in reversed(PurePosixPath(name).parents[:-1]):
        place = final / above
        if is_there(place) and (place.is_symlink() or not place.is_dir()):
            moves.keep(place)
    target = final / name
    if is_there(target):
        known = any(_same_content(target, other) for other in (source, *_kept_before(target)))
        if known:
            moves.move(target, run / OLD / f".known-{len(moves.done)}")
        else:
            moves.keep(target)


def _same_content(path: Path, other: Path) -> bool:
    """True for two plain files of the same bytes."""
    plain = all(one.is_file() and not one.is_symlink() for one in (path, other))
    try:
        return plain and filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False


def _kept_before(path: Path) -> list[Path]:
    names = (name for name in os.listdir(path.parent) if name.startswith(path.name))
    return [path.with_name(name) for name in names if _KEPT.fullmatch(name, len(path.name))]


def _free_name(path: Path) -> Path:
    number = 1
    while is_there(free := path.with_name(f"{path.name}.kept-{number}")):
        number += 1
    return free


def _write_journal(run: Path, plan: _Plan) -> None:
    """From here on the move is to be ended."""
    draft = run / f"{JOURNAL}.draft"
    draft.write_text(plan.to_json(), encoding="utf-8")
    sync_file(draft)
    os.replace(draft, run / JOURNAL)
    sync_folder(run)
    sync_folder(run.parent)


def _read_journal(run: Path) -> _Plan | None:
    """The plan of a run; None if there is none. Raises OutputError if its names lead elsewhere."""
    try:
        content = read_json(run / JOURNAL)
        plan = _Plan(dict(content["ours"]), tuple(map(str, content["new"])))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise _unfinished(run.parent, f"a damaged journal, {run / JOURNAL}") from error
    parts = {run / NEW: plan.new, run / OLD: tuple(plan.ours)}
    inside = all(_is_inside(name) for names in parts.values() for name in names)
    linked = any(part.is_symlink() or is_behind_link(part, name) for part, names in parts.items() for name in names)
    if not inside or linked:
        raise _unfinished(run.parent, f"a journal with names that lead elsewhere, {run / JOURNAL}")
    return plan


def _remove_journal(run: Path) -> None:
    """Say that nothing is to be moved any more."""
    with suppress(FileNotFoundError):
        (run / JOURNAL).unlink()


def _give_up(run: HeldFolder) -> None:
    """Delete a run's folder whose moves were undone; a journal that stays has nothing to move."""
    with suppress(OSError):
        _remove_journal(run.path)
    run.remove()


def _remove_empty(run: Path, final: Path, names: Iterable[str]) -> None:
    """Remove the folders of some files that got empty."""
    folders = {(final / name).parent for name in names}
    remove_empty_folders(final, {folder for folder in folders if run not in (folder, *folder.parents)})


def _journals(final: Path) -> list[Path]:
    """The folders of runs in ``final`` that left a journal. Raises OutputError for those of another user."""
    try:
        with os.scandir(final) as entries:
            found = sorted(Path(entry.path) for entry in entries if _RUNS.fullmatch(entry.name))
    except OSError:
        return []
    runs = [run for run in found if has_journal(run)]
    for run in runs:
        if not is_own_folder(run):
            raise _unfinished(final, f"one of another user, {run}")
    return runs


def _unfinished(final: Path, why: str) -> OutputError:
    return OutputError(
        f"Expected whole results in {final}, got those of a run that was killed while it moved them there, and they "
        f"cannot be completed: {why}. Let whoever ran it run again, or choose another output folder."
    )


def _files_in(folder: Path) -> list[str]:
    """The files below a folder, relative to it; the manifest last."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()]
    return sorted(names, key=lambda name: (name == MANIFEST_NAME, name))


def _files_of_earlier_run(folder: Path) -> dict[str, Any]:
    """What the manifest names that is still as the run wrote it, with size and time; and the manifest itself."""
    try:
        stamps = dict(read_json(folder / MANIFEST_NAME)["files"])
    except OSError as error:
        if is_no_answer(error):  # it is there, and all that it names would be taken for a user's
            raise
        return {}
    except (ValueError, KeyError, TypeError):
        return {}
    ours = {name: stamp for name, stamp in stamps.items() if _is_inside(name) and _is_ours(folder, name, stamp)}
    return {**ours, MANIFEST_NAME: None}


def _is_inside(name: str) -> bool:
    path = Path(name)
    return bool(name) and not path.is_absolute() and not path.drive and ".." not in path.parts


def _is_ours(folder: Path, name: str, stamp: object) -> bool:
    """True for a plain file, not behind a link, that has not been changed; with None as ``stamp`` also if it has."""
    path = folder / name
    if path.is_symlink() or is_behind_link(folder, name) or not path.is_file():
        return False
    return stamp is None or list(_stamp(path)) == stamp


def is_behind_link(folder: Path, name: str) -> bool:
    """Return whether a folder between ``folder`` and what ``name`` names in it is a link, which may lead elsewhere."""
    return any((folder / above).is_symlink() for above in list(Path(name).parents)[:-1])


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns)


def remove_empty_folders(top: Path, folders: set[Path]) -> None:
    """Remove those of ``folders`` strictly inside ``top`` that are empty, and then their empty parents."""
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        while top in folder.parents:
            with suppress(OSError):
                folder.rmdir()
            folder = folder.parent
