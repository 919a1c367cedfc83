"""Real workers: a pool on this machine and a cluster of separate processes, with deaths among them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dask_clusters import Cluster, a_cluster, started_worker
from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.evaluation.dask_pool import cluster_pool, local_pool
from TomoRayLib.evaluation.pool import Lost, OneProcess, worker_count


def square(number: int) -> int:
    time.sleep(0.05)
    return number * number


def where(_: int) -> int:
    time.sleep(0.2)
    return os.getpid()


def dies_once(task: tuple[int, str]) -> int:
    number, marker = task
    time.sleep(0.1)
    if number == 3 and not os.path.exists(marker):
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def raises(number: int) -> int:
    if number == 1:
        raise ModuleNotFoundError("no such package here")
    return number


def dies_always(number: int) -> int:
    time.sleep(0.05)
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with a_cluster(tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


def test_one_process_answers_in_order() -> None:
    assert list(OneProcess().run(square, [3, 1, 2])) == [(0, 9), (1, 1), (2, 4)]


def threads_of(_: int) -> tuple[str | None, ...]:
    return tuple(os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "OPENBLAS", "NUMBA"))


def test_every_task_is_answered_once_however_many_there_are(tmp_path: Path) -> None:
    before = threads_of(0)
    pool = local_pool(2, 1, None)
    try:
        assert dict(pool.run(threads_of, [0])) == {0: ("1", "1", "1")}
        assert threads_of(0) == before
        assert "2 workers on this machine" in pool.said
        assert "GB of memory each" in pool.said
        for count in (1, 4, 5, 23):
            answers = list(pool.run(square, list(range(count))))
            assert sorted(answers) == [(number, number * number) for number in range(count)]
        marker = str(tmp_path / "died")
        answers = sorted(pool.run(dies_once, [(number, marker) for number in range(7)]))
        assert answers == [(number, number) for number in range(7)]
        answers = dict(pool.run(raises, [0, 1, 2]))
        assert "ModuleNotFoundError" in answers[1].sentence
        assert (answers[0], answers[2]) == (0, 2)
        answers = dict(pool.run(dies_always, list(range(6))))
        assert isinstance(answers.pop(2), Lost)
        assert answers == {number: number for number in (0, 1, 3, 4, 5)}
    finally:
        pool.close()


def test_workers_of_this_machine_that_all_end_for_good_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with no memory or no time left, Dask may give up starting them anew."""
    monkeypatch.setattr("TomoRayLib.evaluation.dask_pool.ALONE_S", 1.0)
    monkeypatch.setattr("TomoRayLib.evaluation.dask_pool.LOOK_S", 0.1)
    pool = local_pool(1, 1, None)
    try:
        answers = pool.run(square, [1, 2, 3])
        assert next(answers) == (0, 1)
        pool.cluster.scale(0)
        while pool.client.scheduler_info(n_workers=-1)["workers"]:
            time.sleep(0.05)
        with pytest.raises(OutputError, match=r"all have ended and none came back within 1 s, after \d of 3 cases"):
            list(pool.run(square, [1, 2, 3]))
    finally:
        pool.close()


def test_a_cluster_of_separate_processes_goes_on_without_a_dead_worker(cluster: Cluster, tmp_path: Path) -> None:
    pool = cluster_pool(cluster.address, [tmp_path])
    assert pool.said.startswith("2 workers of the Dask scheduler tcp://127.0.0.1")
    answers = pool.run(square, list(range(40)))
    first = [next(answers) for _ in range(5)]
    cluster.workers[0].kill()
    assert sorted([*first, *answers]) == [(number, number * number) for number in range(40)]
    pool.close()


def test_a_worker_that_joins_late_is_used(tmp_path: Path) -> None:
    with a_cluster(tmp_path, workers=1) as running:
        pool = cluster_pool(running.address, [tmp_path])
        answers = pool.run(where, list(range(60)))
        seen = {next(answers)[1] for _ in range(4)}
        assert len(seen) == 1
        with started_worker(running.address, tmp_path, "late"):
            seen |= {answer for _, answer in answers}
        assert len(seen) == 2
        pool.close()


def test_a_worker_that_joins_late_and_cannot_do_the_work_ends_it(tmp_path: Path) -> None:
    with a_cluster(tmp_path, workers=1) as running:
        pool = cluster_pool(running.address, [tmp_path])
        answers = pool.run(where, list(range(200)))
        next(answers)
        refused = pytest.raises(OutputError, match=r"worker that joined cannot be used.*one thread each")
        with started_worker(running.address, tmp_path, "late", threads=2), refused:
            list(answers)
        pool.close()


def test_a_scheduler_that_dies_is_told_with_how_far_it_came(tmp_path: Path) -> None:
    with a_cluster(tmp_path, workers=1) as running:
        pool = cluster_pool(running.address, [tmp_path])
        answers = pool.run(square, list(range(60)))
        next(answers)
        running.scheduler.kill()
        with pytest.raises(OutputError, match=r"gone after \d+ of 60 cases\. What is scored is kept"):
            list(answers)
        pool.close()


def test_nobody_at_the_address_or_no_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("TomoRayLib.evaluation.dask_pool.CONNECT_S", 1.0)
    with pytest.raises(InputError, match="none answers"):
        cluster_pool("tcp://127.0.0.1:1", [tmp_path])
    with pytest.raises(InputError, match="none answers"):
        cluster_pool("nonsense", [tmp_path])
    monkeypatch.undo()
    with a_cluster(tmp_path, workers=0) as running, pytest.raises(InputError, match="found none; start some"):
        cluster_pool(running.address, [tmp_path])


def test_workers_that_cannot_do_the_work_are_refused(tmp_path: Path) -> None:
    """Several threads in one process; other code; a folder that they do not see."""
    with a_cluster(tmp_path, workers=1, threads=2) as running, pytest.raises(InputError, match="one thread each"):
        cluster_pool(running.address, [tmp_path])
    with a_cluster(tmp_path, workers=1) as running, pytest.raises(InputError, match="under the same path"):
        cluster_pool(running.address, [tmp_path / "absent"])
    code = tmp_path / "code"
    copied = subprocess.run(
        [sys.executable, "-c", f"import shutil, TomoRayLib as t, pathlib;"
         f"shutil.copytree(pathlib.Path(t.__file__).parent, {str(code / 'TomoRayLib')!r})"],
        check=True,
    )  # fmt: skip
    assert copied.returncode == 0
    changed = code / "TomoRayLib" / "base" / "threads.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "\n# another version\n")
    with a_cluster(tmp_path, workers=1, python_path=code) as running, pytest.raises(InputError, match="other code"):
        cluster_pool(running.address, [tmp_path])


def test_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    gib = 2**30
    assert worker_count(None, 100, 64 * gib, on_gpu=False) == 8
    assert worker_count(None, 100, 7 * gib, on_gpu=False) == 3
    assert worker_count(None, 2, 64 * gib, on_gpu=False) == 2
    assert worker_count(None, 100, gib, on_gpu=False) == 1
    assert worker_count(None, 100, None, on_gpu=False) == 1
    assert worker_count(None, 100, 64 * gib, on_gpu=True) == 1
    assert worker_count(None, 100, 64 * gib, on_gpu=False, memory_gb=16) == 4
    assert worker_count(4, 100, 9 * gib, on_gpu=False) == 4
    assert worker_count(9, 1, gib, on_gpu=False) == 1
    with pytest.raises(InputError, match="of memory for each of 20 workers"):
        worker_count(20, 100, 9 * gib, on_gpu=False)
