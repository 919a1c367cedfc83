"""The files of voxels that a header names: regular files in the header's own folder, and no others.

A header from elsewhere must not make a reader open what its sender chose: a device that never ends, or another file of
the user's. Links are followed to where the header itself really lies, and to the content store of a data set that
git-annex (DataLad) keeps.
"""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from TomoRayLib.base.errors import InputError


def voxel_file_named(path: Path, name: str, key: str) -> Path:
    """Return the file of voxels that a header names.

    Args:
        path: The header's file.
        name: The name in it.
        key: The field that holds it, for messages.

    Raises:
        InputError: For a name that leads out of the header's folder, and for what is no file.
    """
    plain = name.strip()
    parts = (*PurePosixPath(plain).parts, *PureWindowsPath(plain).parts)
    is_absolute = PurePosixPath(plain).is_absolute() or bool(PureWindowsPath(plain).anchor)
    if not plain or "\0" in plain or is_absolute or ".." in parts:
        raise InputError(
            f"{path}: expected its voxels in a file of its own folder ({key}), got {name!r}; copy both into one folder "
            "and correct the name in the header."
        )
    found = path.parent / plain
    try:
        mode = found.stat().st_mode
    except (OSError, ValueError):
        mode = 0
    if mode and not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise InputError(f"{path}: expected its voxels in {name} ({key}), got {kind}; name the file of voxels.")
    if not mode:
        raise InputError(
            f"{path}: expected its voxels in {name} ({key}), got no such file in its folder; copy both into one folder."
        )
    if not _belongs_to(found, path):
        raise InputError(
            f"{path}: expected its voxels in a file of its own folder ({key}), got the link {name}, which leads out of "
            "it; copy the file itself there."
        )
    return found


def _belongs_to(found: Path, header: Path) -> bool:
    """True if a file really lies in the folder of a header, or of what that links to, or in the same annex."""
    target = found.resolve()
    if any(target.is_relative_to(folder) for folder in (header.parent.resolve(), header.resolve().parent)):
        return True
    stores = (folder / ".git" for folder in header.absolute().parents)
    return "annex" in target.parts and any(
        store.exists() and target.is_relative_to(store.resolve()) for store in stores
    )
