"""The folder of a job in Slicer's temporary folder: its place, the space it needs, what a crash left there."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.folder_locks import FolderBusyError, FolderLock
from TomoRayLib.base.held_folders import is_own_folder, own_names
from TomoRayLib.base.held_folders import sweep as sweep_held

if TYPE_CHECKING:
    from TomoRayLib.jobs.job_files import Job

FOLDER_PREFIX = "tomoray-"  # of the name of a job's folder
STALE_S = 24 * 3600.0  # age of folders left behind by a crash of Slicer, with the CT in them
NEED_MB = 300  # for the results


@dataclass(frozen=True)
class PreparedJob:
    """A job whose input files are written, with notes and warnings on its inputs."""

    job: Job
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def temporary_folder() -> str | None:
    """Slicer's temporary folder, created if it is missing; None outside Slicer."""
    path = getattr(getattr(slicer, "app", None), "temporaryPath", None)
    if path:
        Path(path).mkdir(parents=True, exist_ok=True)
    return path or None


def sweep(folder: str | None) -> None:
    """Delete job folders that a crash of Slicer left behind, there is a patient's CT in them: at once those whose lock
    is free, others after a day."""
    if folder is None:
        return
    sweep_held(Path(folder), own_names(FOLDER_PREFIX))
    for path in Path(folder).glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError, FolderBusyError):
            if is_own_folder(path) and time.time() - path.stat().st_mtime > STALE_S:
                FolderLock(path).release()
                shutil.rmtree(path, ignore_errors=True)


def check_space(folder: Path, need_mb: int = NEED_MB) -> None:
    """Raise OutputError if the disk of a folder has less free space than this."""
    free_mb = shutil.disk_usage(folder).free // 2**20
    if free_mb < need_mb:
        raise OutputError(
            _(
                "The disk of {folder} has {free} MB free, but this needs {need} MB. Free some space, or choose another "
                "temporary folder in Slicer's settings (Modules, Temporary directory)."
            ).format(folder=folder.parent, free=free_mb, need=need_mb)
        )
