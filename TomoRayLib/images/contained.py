"""Reading by libraries that a damaged file can crash, in a process of their own: a crash is a sentence here.

ITK's readers, GDCM, OpenJPEG and VTK's readers of surfaces run in ``reading_process``. It is started with the first
file that needs it, serves all further ones, and ends with this process. NRRD, MetaImage, NIfTI and DICOM without
compression do not need it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.child_python import PACKAGE_PARENT, child_environment, child_python
from TomoRayLib.base.errors import InputError

LONGEST_S = 300.0  # for one file; the largest takes a tenth of it
_KILLED = -9
LIBRARIES = {
    "image": "ITK",
    "information": "ITK",
    "gdcm": "GDCM",
    "openjpeg": "OpenJPEG",
    "points": "VTK",
    "hdf5 names": "HDF5",
    "hdf5": "HDF5",
}


@dataclass(frozen=True, eq=False)
class Read:
    """What a reader found: an array, if it is one that gives arrays, and its statements by name."""

    values: NDArray[Any] | None
    said: dict[str, Any] = field(default_factory=dict)


class _Process:
    """The reading process, started when it is first asked and again after a crash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, reader: str, file: Path, path: Path, option: str | None) -> Read:
        _check_name(file, reader)
        wanted = {"reader": reader, "path": str(file.absolute())}
        request = json.dumps(wanted if option is None else {**wanted, "option": option}).encode() + b"\n"
        with self._lock:
            process = self._running()
            late = threading.Event()

            def end() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(LONGEST_S, end)
            timer.daemon = True
            timer.start()
            try:
                assert process.stdin is not None
                process.stdin.write(request)
                process.stdin.flush()
                return _received(process, path)
            except (RuntimeError, InputError):  # what it answered
                raise
            except (OSError, EOFError, ValueError):
                _raise_crash(process, reader, path, is_late=late.is_set())
            except BaseException:  # such as Ctrl-C: what it still says belongs to no further request
                process.kill()
                raise
            finally:
                timer.cancel()
                if process.returncode is not None or process.poll() is not None:
                    self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._process = subprocess.Popen(
            [child_python(), "-m", "TomoRayLib.images.reading_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            cwd=PACKAGE_PARENT,  # Python imports from here first, and not from a folder of a user's files
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0) if sys.platform == "win32" else 0,
        )
        return self._process

    def close(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)
        if process.poll() is None:
            process.kill()
            process.wait()

    def leave_to_parent(self) -> None:
        """Forget it in a process that was forked: it is its parent's, of which another thread may be asking it."""
        process, self._process, self._lock = self._process, None, threading.Lock()
        if process is not None:
            process.returncode = 0  # nothing to wait for here
            for stream in (process.stdin, process.stdout):
                stream.raw.close()  # type: ignore[union-attr]  # what is to be flushed, its parent does


_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.leave_to_parent)
atexit.register(_process.close)


def read_contained(reader: str, file: Path, path: Path | None = None, option: str | None = None) -> Read:
    """Let a library read a file in a process of its own.

    Args:
        reader: One of ``reading_process.READERS``.
        file: The file to read.
        path: The file to name in messages, if another one.
        option: What the reader takes beside the file.

    Raises:
        RuntimeError: What the library says of a file that it cannot read.
        MemoryError: If the system killed it, as it does if memory runs out.
        InputError: If it crashed, or did not end, or does not fit into memory.
    """
    return _process.ask(reader, file, path or file, option)


def close_reading_process() -> None:
    """End the reading process, if there is one; the next file that needs it starts another."""
    _process.close()


def _check_name(file: Path, reader: str) -> None:
    """Raise InputError for a name that libraries in C++ are not given: bytes that are no text."""
    try:
        str(file.absolute()).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            f"{file}: expected a name in UTF-8 for {LIBRARIES[reader]}, got bytes that are no text; rename the file or "
            "its folder."
        ) from None


def _received(process: subprocess.Popen[bytes], path: Path) -> Read:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    said = json.loads(line)
    if "memory" in said:
        raise InputError(
            f"{path}: expected a file that fits into memory, got one that does not ({said['memory']}); close other "
            "programs, or export it again if it is small."
        ) from MemoryError(said["memory"])
    if "error" in said:
        raise RuntimeError(said["error"])
    if "dtype" not in said:
        return Read(None, said)
    values: NDArray[Any] = np.empty(said["shape"], said["dtype"])
    room = values.reshape(-1).view(np.uint8).data
    place = 0
    while place < len(room):
        count = process.stdout.readinto(room[place:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        place += count
    return Read(values, said)


def _raise_crash(process: subprocess.Popen[bytes], reader: str, path: Path, *, is_late: bool) -> NoReturn:
    """Say what became of a process that ended before its answer."""
    process.kill()
    code = process.wait()
    library = LIBRARIES[reader]
    advice = "copy it again, or export it in another format (CT and masks: NRRD or NIfTI; DICOM: uncompressed)"
    if is_late:
        raise InputError(
            f"{path}: expected a file that {library} reads within {LONGEST_S:.0f} s, but it did not end; it may be "
            f"damaged: {advice}."
        ) from None
    if code == _KILLED:  # by the system, which does so if memory runs out
        raise MemoryError(f"{path}: the process that read it by {library} was killed")
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    raise InputError(
        f"{path}: expected a file that can be read, but the reader of {library} crashed on it ({how}), in a process of "
        f"its own. It may be damaged: {advice}."
    ) from None
