"""The Python that child processes run in, and the environment in which they find this library."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from TomoRayLib.base.search_path import environment_without_working_folder

PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def child_python() -> str:
    """The Python to run a child process with: Slicer's own launcher (PythonSlicer), outside Slicer this interpreter."""
    return shutil.which("PythonSlicer") or sys.executable


def child_environment() -> dict[str, str]:
    """This process's environment, with TomoRayLib importable and nothing of the child's working folder."""
    environment = environment_without_working_folder(os.environ)
    here = str(PACKAGE_PARENT)
    others = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path and path != here]
    environment["PYTHONPATH"] = os.pathsep.join([here, *others])
    environment["PYTHONIOENCODING"] = "utf-8"
    return environment
