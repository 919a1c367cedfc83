"""Shared by tests: command line."""

from __future__ import annotations

import subprocess
import sys


def tomoray(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "TomoRayLib.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
