"""Cases on Dask: a pool of processes on this machine, or the workers of a cluster that is there already.

Both go one way: ``Client.submit`` for each case, as many in flight as there are workers: a case that waits on a worker
that dies counts as one that killed it. If a worker dies, Dask gives its case to another; a case that takes several
workers with it is lost, and said so.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.held_folders import PRIVATE_PREFIX, HeldFolder, sweep_private
from TomoRayLib.evaluation.code_version import package_version
from TomoRayLib.evaluation.pool import CASE_BYTES, Lost

CONNECT_S = 20.0
DEATHS = 3  # of workers after which a case is given up; one that waited beside it has at most two
ALONE_S, LOOK_S = 120.0, 2.0  # how long this machine's workers may all be gone; how often that is looked at
ALONE = (
    "Expected workers on this machine, but all have ended and none came back within {seconds:.0f} s, after {done} of "
    "{of} cases. What is scored is kept: free some memory, or ask for fewer workers, and resume."
)
GONE = (
    "Expected the Dask scheduler at {address} to answer, but it is gone after {done} of {of} cases. What is scored is "
    "kept: start a scheduler and its workers, and resume."
)


@dataclass
class DaskPool:
    """The workers that a Dask client knows.

    Args:
        client: The client.
        address: The scheduler's address.
        said: A sentence on the workers.
        cluster: The local cluster, which is closed with the pool; None for one that somebody else started.
    """

    client: Any
    address: str
    said: str
    cluster: Any = None
    folder: Any = None
    places: Sequence[Path] | None = None

    def run(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield (place, answer) as cases are done; ``Lost`` for one without an answer. Raises OutputError if the
        scheduler is gone, and for a worker that joins and cannot do the work."""
        from distributed import as_completed
        from distributed.comm import CommClosedError

        run_id, waiting, done = uuid.uuid4().hex[:8], iter(enumerate(tasks)), 0
        places: dict[Any, int] = {}
        ready = as_completed(loop=self.client.loop)
        known = self._workers()
        try:
            while done < len(tasks):
                for item in islice(waiting, max(0, max(1, len(known)) - len(places))):
                    ready.add(self._submitted(work, item, run_id, places))
                future = self._next(ready, done, len(tasks))
                if future is None:
                    break
                place = places.pop(future.key)
                answer = _answer_of(future)
                future.release()
                done += 1
                yield place, answer
                known = self._with_new(known)
        except (CommClosedError, CancelledError, TimeoutError, ConnectionError):
            raise OutputError(GONE.format(address=self.address, done=done, of=len(tasks))) from None
        if done < len(tasks):
            raise OutputError(GONE.format(address=self.address, done=done, of=len(tasks)))

    def _next(self, ready: Any, done: int, of: int) -> Any:
        """The next finished future, None if none is left. Raises OutputError if our own workers ended for good."""
        looked = seen = time.monotonic()
        while self.cluster is not None and not (ready.has_ready() or ready.is_empty()):
            time.sleep(0.02)
            now = time.monotonic()
            if now - looked < LOOK_S:
                continue
            looked = now
            if self._workers():
                seen = now
            elif now - seen > ALONE_S:
                raise OutputError(ALONE.format(seconds=ALONE_S, done=done, of=of))
        return next(ready, None)

    def _workers(self) -> set[str]:
        return set(self.client.scheduler_info(n_workers=-1)["workers"])

    def _with_new(self, known: set[str]) -> set[str]:
        """The workers that there are now; new ones of a cluster are checked as the first were."""
        now = self._workers()
        if self.places is not None and now - known:
            try:
                _check_workers(self.client, self.places, sorted(now - known))
            except InputError as error:
                raise OutputError(f"A worker that joined cannot be used. {error}") from None
        return now

    def _submitted(self, work: Callable[[Any], Any], item: tuple[int, Any], run_id: str, places: dict[Any, int]) -> Any:
        place, task = item
        key = f"tomoray-{run_id}-{place}"
        places[key] = place
        return self.client.submit(work, task, key=key, pure=False)

    def close(self) -> None:
        """Leave the cluster; end it if it is ours."""
        for one in (self.client, self.cluster):
            if one is not None:
                with suppress(Exception):
                    one.close(timeout=5)
        if self.folder is not None:
            self.folder.remove()


def _answer_of(future: Any) -> Any:
    """The answer of a finished future, or ``Lost``. Raises CancelledError and the like if its scheduler is gone."""
    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    try:
        return future.result()
    except KilledWorker:
        return Lost(
            "Several workers died while they worked on it, probably for want of memory; give each worker more, or "
            "score it by itself."
        )
    except (CommClosedError, CancelledError, TimeoutError, ConnectionError):
        raise
    except Exception as error:  # what a worker without the right packages says, for example
        return Lost(f"A worker could not do it ({type(error).__name__}: {error}).")


def is_dask_there() -> bool:
    """Return whether Dask distributed is installed."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        return False
    return True


def free_memory_bytes() -> int | None:
    """Return the memory that is free on this machine, a container's limit counted; None if nothing tells."""
    try:
        import psutil
        from distributed.system import MEMORY_LIMIT
    except ImportError:
        return None
    return int(min(psutil.virtual_memory().available, MEMORY_LIMIT))


def local_pool(workers: int, threads: int, memory_gb: float | None) -> DaskPool:
    """Start workers on this machine, each a process of its own.

    Args:
        workers: How many.
        threads: How many threads a case may use in each.
        memory_gb: How much memory a worker may use before it is ended; None: an equal share of what is free.

    Raises:
        OutputError: If they do not start, for want of room in the temporary folder for example.
    """
    import dask
    from distributed import Client, LocalCluster

    share = (free_memory_bytes() or CASE_BYTES * workers) / workers
    limit_bytes = int(memory_gb * 1e9 if memory_gb is not None else share)
    _quiet()
    settings = {
        "distributed.scheduler.allowed-failures": DEATHS - 1,
        "distributed.worker.memory.target": False,  # nothing is spilled: a case does not fit on the disk's time
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": 0.98,
        "distributed.nanny.pre-spawn-environ": {},  # what is set there stays set in this process as well
        "distributed.nanny.environ": dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), threads
        ),
    }
    sweep_private()
    folder = HeldFolder(Path(tempfile.gettempdir()), PRIVATE_PREFIX)
    try:
        with dask.config.set(settings):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=limit_bytes,
                dashboard_address="127.0.0.1:0",  # any free port: the usual one may be another cluster's
                local_directory=str(folder.path),
                silence_logs=logging.CRITICAL,
            )
            client = Client(cluster)
    except (OSError, RuntimeError, TimeoutError) as error:
        folder.remove()
        raise OutputError(
            f"Expected {workers} worker processes to start, got {str(error).strip() or type(error).__name__}; free "
            f"room in {tempfile.gettempdir()}, or score with one worker."
        ) from None
    said = f"{workers} workers on this machine, {threads} thread and at most {limit_bytes / 1e9:.1f} GB of memory each."
    return DaskPool(client, client.scheduler.address, said, cluster, folder)


def cluster_pool(address: str, places: Sequence[Path]) -> DaskPool:
    """Join a Dask cluster that is running.

    Args:
        address: Its scheduler's address, ``tcp://host:8786``.
        places: Folders that every worker must see under the same path.

    Raises:
        InputError: If nobody answers, versions differ, or a worker does not see a folder.
    """
    from distributed import Client

    _quiet()
    try:
        client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError, TimeoutError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"Expected a Dask scheduler at {address}, but none answers ({reason}). Start one (dask scheduler) with "
            "workers (dask worker), or leave it out to use this machine.",
            "scheduler",
        ) from None
    try:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise InputError(
                f"Expected workers at the Dask scheduler {address}, found none; start some (dask worker {address}).",
                "scheduler",
            )
        _check_versions(client, address)
        _check_workers(client, places, sorted(workers))
    except BaseException:
        client.close()
        raise
    memory = [one.get("memory_limit") or 0 for one in workers.values()]
    bound = f"at most {min(memory) / 1e9:.1f} GB of memory each" if min(memory) else "memory not bounded"
    said = f"{len(workers)} workers of the Dask scheduler {address}, {bound}."
    return DaskPool(client, address, said, places=tuple(places))


def _check_versions(client: Any, address: str) -> None:
    try:
        client.get_versions(check=True)
    except ValueError as error:
        lines = [line.strip() for line in str(error).splitlines() if "|" in line and "---" not in line]
        raise InputError(
            f"Expected the same packages here and on the workers of {address}, got others: {'; '.join(lines)}. Install "
            "the same versions in both places.",
            "scheduler",
        ) from None


def _check_workers(client: Any, places: Sequence[Path], workers: Sequence[str]) -> None:
    """Raise InputError for a worker of several threads, with other code, or that does not see a folder."""
    told = client.scheduler_info(n_workers=-1)["workers"]
    for worker in workers:
        threads = told.get(worker, {}).get("nthreads", 1)
        if threads > 1:
            raise InputError(
                f"Expected workers of one thread each, because a case is one process's work, got {worker} with "
                f"{threads}; start them with dask worker ADDRESS --nthreads 1 --nworkers N.",
                "scheduler",
            )
    here = package_version()
    seen = client.run(_state_of_worker, [str(place) for place in places], workers=list(workers), on_error="return")
    for worker, state in seen.items():
        if isinstance(state, BaseException):
            raise InputError(
                f"Expected TomoRay on the worker {worker}, got {type(state).__name__}: {state}. Install the same "
                "version there.",
                "scheduler",
            )
        version, missing = state
        if version != here:
            raise InputError(
                f"Expected TomoRay's code to be the same here and on the worker {worker}, got other code; install the "
                "same version in both places.",
                "scheduler",
            )
        if missing:
            raise InputError(
                f"Expected the worker {worker} to see {', '.join(missing)} under the same path as this machine, which "
                "it does not; use a folder that all of them share.",
                "scheduler",
            )


def _state_of_worker(places: Sequence[str]) -> tuple[str, list[str]]:
    """The version of a worker's code, and the places that it does not see or, of the last two, cannot write to."""
    missing = [place for place in places if not Path(place).exists()]
    if not missing:
        missing = [place for place in places[-2:] if not os.access(place, os.W_OK)]
    return package_version(), missing


def _quiet() -> None:
    """Keep Dask's own log lines, tracebacks among them, off the terminal: what matters is said in sentences."""
    for name in ("distributed", "distributed.worker", "distributed.nanny", "distributed.scheduler", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
