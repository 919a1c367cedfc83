"""A process of one job: its exit code, its output and what is done at its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


def process(main: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; from TomoRayLib.base.one_job_process import run_one_job\n{main}\nrun_one_job(main)"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8", timeout=60, check=False)


@pytest.mark.parametrize(
    ("main", "code"),
    [
        ("main = lambda: None", 0),
        ("main = lambda: 3", 3),
        ("main = lambda: sys.exit(4)", 4),
        ("main = lambda: sys.exit()", 0),
        ("main = lambda: sys.exit('a reason')", 1),
        ("main = lambda: [][1]", 1),
    ],
)
def test_the_exit_code_is_that_of_main(main: str, code: int) -> None:
    assert process(main).returncode == code


def test_reasons_and_errors_are_printed() -> None:
    assert process("main = lambda: sys.exit('a reason')").stderr == "a reason\n"
    assert "IndexError" in process("main = lambda: [][1]").stderr


def test_output_is_written_threads_are_waited_for_and_the_end_is_kept() -> None:
    main = (
        "import atexit, threading, time\n"
        "begun = threading.Event()\n"
        "def late():\n    begun.wait()\n    time.sleep(0.3)\n    print('thread')\n"
        "def main():\n"
        "    atexit.register(print, 'at exit')\n"
        "    threading.Thread(target=late).start()\n"
        "    print('main', end=' ')\n"
        "    begun.set()\n"
        "    return 5"
    )
    done = process(main)
    assert (done.stdout, done.returncode) == ("main thread\nat exit\n", 5)


def test_nobody_reading_is_no_error() -> None:
    main = "def main():\n    sys.stdout.close()\n    return 2"
    assert process(main).returncode == 2


def test_a_pool_that_nobody_closed_does_not_keep_the_process() -> None:
    main = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(2)\n"
        "main = lambda: pool.submit(int, '7').result()"
    )
    assert process(main).returncode == 7


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_output_that_cannot_be_written_is_told() -> None:
    with open("/dev/full", "w") as full:
        code = "from TomoRayLib.base.one_job_process import run_one_job\nrun_one_job(lambda: print('lost'))"
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=buffered, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 120
    said = "Standard output could not be written: No space left on device. What was written to files is whole."
    assert done.stderr.strip() == said


def test_what_another_thread_has_half_loaded_is_not_told_at_the_end() -> None:
    code = """
import logging, threading
from TomoRayLib.base.early_import import beside
from TomoRayLib.base.one_job_process import run_one_job
begun, made = threading.Event(), []
def half_loaded():
    made.append(logging.Handler.__new__(logging.Handler))  # which has no lock yet
    logging._addHandlerRef(made[0])
    begun.set()
    threading.Event().wait()
beside(half_loaded)
begun.wait()
run_one_job(lambda: 2)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, "")
