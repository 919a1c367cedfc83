"""Where Python looks for modules: never in the working folder, which may hold a ``json.py`` or ``pip.py`` of anyone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from TomoRayLib.base.errors import InputError

SAFE_PATH = "PYTHONSAFEPATH"  # from Python 3.11 on: neither `-m` nor `-c` puts the working folder first


def leave_out_working_folder() -> None:
    """Take the working folder, which ``python -m`` puts first, from this process's path, unless TomoRay itself lies in
    it, and let the Pythons that this process starts do the same (from 3.11 on)."""
    os.environ[SAFE_PATH] = "1"
    if not sys.path or getattr(sys.flags, "safe_path", False) or sys.flags.isolated:
        return  # the first entry is then one of PYTHONPATH
    try:
        first, working_folder = Path(sys.path[0]).resolve(), Path.cwd()
    except OSError:  # the working folder was deleted, and holds nothing
        return
    if first == working_folder and first != Path(__file__).resolve().parents[2]:
        del sys.path[0]


def check_working_folder() -> None:
    """Raise InputError if the working folder was deleted: relative paths mean nothing then, and PyTorch's libraries end
    a process that has none."""
    try:
        os.getcwd()
    except OSError:
        raise InputError(
            "Expected to be run in a folder that exists, got one that was deleted; change to another folder (cd) and "
            "run again."
        ) from None


def environment_without_working_folder(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for another Python that does not look for modules in its working folder: entries of
    PYTHONPATH that are relative or empty, which would be that folder, are left out."""
    changed = {**environment, SAFE_PATH: "1"}
    if "PYTHONPATH" in changed:
        entries = changed["PYTHONPATH"].split(os.pathsep)
        changed["PYTHONPATH"] = os.pathsep.join(entry for entry in entries if Path(entry).is_absolute())
    return changed
