"""The command ``tomoray`` as typed: in a process of its own, or quicker in this one."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import traceback
from dataclasses import dataclass
from unittest import mock


@dataclass(frozen=True)
class Answer:
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


def tomoray_process(*arguments: str) -> Answer:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "TomoRayLib.cli", *arguments]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=300)
    return Answer(result.returncode, result.stdout, result.stderr)


def tomoray(*arguments: str) -> Answer:
    """The command in this process, which has imported what it needs already."""
    from TomoRayLib.cli import main

    out, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        mock.patch.object(sys, "argv", ["tomoray", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        code = _exit_code(main)
    texts = (stream.buffer.getvalue().decode("utf-8") for stream in (out, errors))  # type: ignore[attr-defined]
    return Answer(code, *texts)


def _exit_code(main) -> int:
    """The exit code that the process would have."""
    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0
