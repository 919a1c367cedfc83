"""A Dask cluster of separate processes on loopback, started by the commands that a user has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STARTED_S = 60.0
TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Cluster:
    """A running scheduler with its workers."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def a_cluster(
    folder: Path,
    workers: int,
    threads: int = 1,
    python_path: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[Cluster]:
    """Start ``dask scheduler`` and ``dask worker`` processes without nannies; they are killed at the end."""
    file = folder / f"scheduler-{time.monotonic_ns()}.json"
    paths = [str(python_path)] if python_path is not None else []
    values = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, str(TESTS)]), **(environment or {})}
    python = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": values, "cwd": folder}
    address = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard", "--port", "0"]
    scheduler = subprocess.Popen([*python, "scheduler", *address], **quiet)
    started: list[subprocess.Popen[bytes]] = []
    try:
        end = time.monotonic() + STARTED_S
        while not (file.exists() and file.stat().st_size):
            assert time.monotonic() < end, "the scheduler does not start"
            time.sleep(0.1)
        time.sleep(0.1)
        where = json.loads(file.read_text(encoding="utf-8"))["address"]
        for number in range(workers):
            options = ["--nthreads", str(threads), "--no-nanny", "--no-dashboard", "--name", f"w{number}"]
            place = ["--local-directory", str(folder / f"local-{number}"), "--host", "127.0.0.1"]
            started.append(subprocess.Popen([*python, "worker", where, *options, *place], **quiet))
        _wait_for(where, workers, end)
        yield Cluster(where, scheduler, tuple(started))
    finally:
        for process in (*started, scheduler):
            process.kill()
            process.wait()


@contextmanager
def started_worker(address: str, folder: Path, name: str, threads: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    """Start one more worker of a running cluster, and wait until it has joined; it is killed at the end."""
    from distributed import Client

    values = {**os.environ, "PYTHONPATH": str(TESTS)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": values, "cwd": folder}
    options = ["--nthreads", str(threads), "--no-nanny", "--no-dashboard", "--name", name, "--host", "127.0.0.1"]
    place = ["--local-directory", str(folder / name)]
    process = subprocess.Popen([sys.executable, "-m", "dask", "worker", address, *options, *place], **quiet)
    try:
        with Client(address, timeout=STARTED_S) as client:
            client.wait_for_workers(len(client.scheduler_info(n_workers=-1)["workers"]) + 1, timeout=STARTED_S)
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(address: str, workers: int, end: float) -> None:
    from distributed import Client

    if workers:
        with Client(address, timeout=STARTED_S) as client:
            client.wait_for_workers(workers, timeout=max(1.0, end - time.monotonic()))
