"""The worker in a process of its own: started, listened to, and ended with all its children. It never blocks."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Any

from TomoRayLib.base.child_python import child_environment, child_python
from TomoRayLib.jobs.events import DELETE_WITH_PARENT, STOP_WITH_PARENT, Event, from_json

JOB_NAME = "job.json"
LOG_LINES = 2000
TERMINATE_S = 1.0  # time to clean up after the request to stop; then it is killed

worker_python = child_python


def worker_environment() -> dict[str, str]:
    """This process's environment for a worker that prints at once and ends with this process."""
    return {**child_environment(), "PYTHONUNBUFFERED": "1", STOP_WITH_PARENT: "1"}


def windows_tool(name: str) -> str:
    """The path of a tool of Windows, which would otherwise look for it in the working folder first."""
    return str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / f"{name}.exe")


class WorkerProcess:
    """One job in its own process. ``job`` is one of ``TomoRayLib.jobs.job``; ``folder`` receives ``job.json``; if it is
    ``temporary``, the worker deletes it once this process is gone.

    Events arrive through ``poll()``, at most a tenth of a second after the worker printed them. Everything else that
    the worker prints is in ``log``. On Linux and macOS the worker leads a process group, which is ended as a whole; on
    Windows ``taskkill /T`` ends the tree (that part has not been run on Windows yet).
    """

    def __init__(self, job: Any, folder: Path, python: str | None = None, temporary: bool = False) -> None:
        path = folder / JOB_NAME
        path.write_text(job.to_json(), encoding="utf-8")
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        windows = sys.platform == "win32"
        self._process = subprocess.Popen(
            [python or worker_python(), "-m", "TomoRayLib.worker", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**worker_environment(), **({DELETE_WITH_PARENT: str(folder)} if temporary else {})},
            cwd=str(folder),
            start_new_session=not windows,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0) if windows else 0,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, has_events), daemon=True)
            for stream, has_events in ((self._process.stdout, True), (self._process.stderr, False))
        ]
        for reader in self._readers:
            reader.start()

    def poll(self) -> list[Event]:
        """The events since the last call, oldest first. Never waits."""
        events = []
        with contextlib.suppress(queue.Empty):
            while True:
                events.append(self._events.get_nowait())
        return events

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        """False once the process has ended and all it printed has been read."""
        if self._process.poll() is None:
            return True
        return any(reader.is_alive() for reader in self._readers)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the number of the signal that killed it (Linux, macOS)."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """The last lines that it printed apart from events."""
        return "\n".join(self._lines)

    def cancel(self) -> None:
        """End the process and all its children within two seconds; it deletes the files that it was writing."""
        if self._process.poll() is None:
            self._signal(hard=False)
            self._wait(TERMINATE_S)
        self._signal(hard=True)  # children that ignored the request, or outlived their parent
        self._wait(TERMINATE_S)
        self.close()

    def close(self) -> None:
        """Close the pipes of an ended process."""
        for reader in self._readers:
            reader.join(timeout=TERMINATE_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _signal(self, *, hard: bool) -> None:
        if sys.platform == "win32":
            if self._process.poll() is None:
                command = [windows_tool("taskkill"), "/T", "/F", "/PID", str(self._process.pid)]
                flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
                with contextlib.suppress(subprocess.SubprocessError, OSError):
                    subprocess.run(command, capture_output=True, check=False, timeout=TERMINATE_S, creationflags=flags)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL if hard else signal.SIGTERM)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def _read(self, stream: IO[bytes], has_events: bool) -> None:
        for raw in iter(stream.readline, b""):
            line = raw.decode("utf-8", errors="replace").rstrip()
            event = from_json(line) if has_events else None
            if event is not None:
                self._events.put(event)
            elif line:
                self._lines.append(line)
