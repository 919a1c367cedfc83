"""The worker's process: events while it runs, cancel of the whole tree, its parent's end, what failures mean."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from support.broken_environments import Environment
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.events import ExitCode, Failed, Finished, Note, StageBegun, from_json
from TomoRayLib.jobs.job import DemonstrationJob, SynthesisJob

pytestmark = pytest.mark.usefixtures("scene")
ENDED_S = 30.0  # allowed for processes to be gone: the machine may have other things to do
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups of POSIX")


@pytest.fixture
def process():
    from TomoRayLib.slicer.worker import process

    return process


@pytest.fixture
def failures():
    from TomoRayLib.slicer.worker import failures

    return failures


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def a_python(folder: Path, code: str) -> str:
    """An executable that runs ``code`` in place of the worker: a real process with real children."""
    script = folder / "stand_in.py"
    script.write_text(code, encoding="utf-8")
    launcher = folder / "python"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    return str(launcher)


def a_ct_job(folder: Path) -> SynthesisJob:
    from TomoRayLib.jobs.demonstration_phantom import phantom_volumes

    write_volume(folder / "ct.nrrd", phantom_volumes()[0], compressed=False)
    return SynthesisJob(out=str(folder / "results"), ct=str(folder / "ct.nrrd"), report=False, device="cpu")


def test_a_real_job_tells_its_stages_and_gives_its_result(process, tmp_path: Path) -> None:
    job = DemonstrationJob(str(tmp_path / "sample"), str(tmp_path / "empty cache"), offline=True)
    worker = process.WorkerProcess(job, tmp_path)
    events = []
    wait_for(lambda: events.extend(worker.poll()) or not worker.running)
    events += worker.poll()
    assert [type(event) for event in events] == [StageBegun, Note, Finished]
    assert worker.exit_code == 0
    assert Path(events[-1].values["ct"]).exists()
    assert Path(events[-1].values["labels"]).exists()
    worker.close()


@posix_only
def test_events_arrive_while_the_process_runs(process, tmp_path: Path) -> None:
    code = (
        "import time\n"
        'print(\'{"event": "note", "text": "begun"}\', flush=True)\n'
        "print('chatter', flush=True)\n"
        "time.sleep(60)\n"
    )
    worker = process.WorkerProcess(DemonstrationJob("x", "y"), tmp_path, a_python(tmp_path, code))
    events = []
    wait_for(lambda: events.extend(worker.poll()) or events)
    assert events == [Note("begun")]
    assert worker.running
    wait_for(lambda: worker.log == "chatter")
    worker.cancel()


@posix_only
def test_cancel_ends_the_whole_tree_even_where_it_ignores_the_request(process, tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'\n"
        "started = subprocess.Popen([sys.executable, '-c', child])\n"
        'print(\'{"event": "note", "text": "%d"}\' % started.pid, flush=True)\n'
        "time.sleep(600)\n"
    )
    worker = process.WorkerProcess(DemonstrationJob("x", "y"), tmp_path, a_python(tmp_path, code))
    events = []
    wait_for(lambda: events.extend(worker.poll()) or events)
    tree = [psutil.Process(worker.pid), psutil.Process(int(events[0].text))]
    worker.cancel()
    gone, alive = psutil.wait_procs(tree, timeout=ENDED_S)
    assert len(gone) == 2
    assert alive == []
    assert not worker.running


def test_cancel_of_a_real_synthesis_leaves_no_process_and_no_results(process, tmp_path: Path) -> None:
    worker = process.WorkerProcess(a_ct_job(tmp_path), tmp_path)
    events = []
    wait_for(
        lambda: events.extend(worker.poll()) or any(getattr(event, "stage", "") == "Projecting" for event in events)
    )
    tree = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
    worker.cancel()
    assert psutil.wait_procs(tree, timeout=ENDED_S)[1] == []
    assert not (tmp_path / "results").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("ct.nrrd", "job.json")] == []


@posix_only
@pytest.mark.parametrize("temporary", [False, True])
def test_the_worker_ends_with_the_application(process, tmp_path: Path, temporary: bool) -> None:
    """The application is another process here, killed outright; its worker must not go on, and deletes the CT that it
    got in a temporary folder, at the latest once its job is done. The worker is halted meanwhile, so that it cannot be
    done before."""
    folder = tmp_path / "tomoray-job"
    folder.mkdir()
    job = folder / "job.json"
    job.write_text(a_ct_job(folder).to_json(), encoding="utf-8")
    of_folder = {"TOMORAY_DELETE_WITH_PARENT": str(folder)} if temporary else {}
    script = (
        "import subprocess, sys, time\n"
        f"worker = subprocess.Popen([sys.executable, '-m', 'TomoRayLib.worker', {str(job)!r}], stdin=subprocess.PIPE,\n"
        "    start_new_session=True)\n"
        "time.sleep(600)\n"
    )
    application = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**process.worker_environment(), **of_folder},
        text=True,
    )
    assert application.stdout is not None
    assert isinstance(from_json(application.stdout.readline()), StageBegun)
    (worker,) = psutil.Process(application.pid).children()
    worker.suspend()
    application.kill()
    application.wait()
    worker.resume()
    gone, _alive = psutil.wait_procs([worker], timeout=ENDED_S)
    application.stdout.close()
    assert gone == [worker]
    assert not (folder / "results").exists()
    assert folder.exists() != temporary


@posix_only
@pytest.mark.parametrize("is_gone", [False, True])
def test_at_its_end_a_worker_asks_once_more_whether_the_application_is_gone(is_gone: bool) -> None:
    """The thread that listens for that may not have been scheduled since."""
    code = (
        "import sys, threading; from TomoRayLib.worker import _is_parent_gone\n"
        "sys.exit(10 + _is_parent_gone(threading.Event()))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, env={**os.environ, "TOMORAY_STOP_WITH_PARENT": "1"}
    ) as worker:
        assert worker.stdin is not None
        if is_gone:
            worker.stdin.close()
        assert worker.wait(60) == 10 + is_gone


def test_many_runs_leave_no_open_files(process, tmp_path: Path) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0

    def one_run(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        worker = process.WorkerProcess(SynthesisJob(out="x", ct="missing.nrrd"), folder)
        worker.cancel()

    one_run(0)
    before = open_files()
    for number in range(1, 6):
        one_run(number)
    assert open_files() == before


def failure_of_code(process, failures, folder: Path, code: str, device: str = "cpu"):
    """The failure that a process running ``code`` ends in."""
    worker = process.WorkerProcess(DemonstrationJob("x", "y"), folder, a_python(folder, code))
    events = []
    wait_for(lambda: events.extend(worker.poll()) or not worker.running)
    events += worker.poll()
    worker.close()
    errors = [event for event in events if isinstance(event, Failed)]
    return failures.failure_of_worker(errors[-1] if errors else None, worker.exit_code, worker.log, device)


@posix_only
def test_a_killed_worker_is_said_to_have_been_killed(process, failures, tmp_path: Path) -> None:
    code = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    failure = failure_of_code(process, failures, tmp_path, code)
    assert "terminated by the operating system" in failure.sentence
    assert "Close other programs" in failure.remedy


@posix_only
def test_a_crash_without_a_word_keeps_its_log(process, failures, tmp_path: Path) -> None:
    code = "import sys; print('something odd', file=sys.stderr); sys.exit(77)"
    failure = failure_of_code(process, failures, tmp_path, code)
    assert "exit code 77" in failure.sentence
    assert "something odd" in failure.log


@posix_only
def test_too_little_gpu_memory_offers_the_cpu(process, failures, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[0]); from TomoRayLib.jobs.failures import run_guarded\n"
        "from TomoRayLib.worker import print_event\n"
        "def work(): raise RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')\n"
        "sys.exit(run_guarded(work, print_event))"
    )
    failure = failure_of_code(process, failures, tmp_path, code, device="cuda:0")
    assert failure.offer_cpu
    assert "GPU" in failure.sentence
    on_cpu = failure_of_code(process, failures, tmp_path, code.replace("CUDA out", "Out"), device="cpu")
    assert not on_cpu.offer_cpu
    assert "1.1 GB" in on_cpu.sentence


def test_a_file_that_declares_more_than_memory_holds_is_shown_with_its_figures(
    process, failures, tmp_path: Path
) -> None:
    """Not as a synthesis that needs more memory: closing programs would not help."""
    head = "NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 90000 90000 90000\nspace directions: "
    (tmp_path / "ct.nrrd").write_text(f"{head}(1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: raw\n\n.")
    job = SynthesisJob(out=str(tmp_path / "out"), ct=str(tmp_path / "ct.nrrd"))
    worker = process.WorkerProcess(job, tmp_path)
    events = []
    wait_for(lambda: events.extend(worker.poll()) or not worker.running)
    events += worker.poll()
    worker.close()
    failure = failures.failure_of_worker(events[-1], worker.exit_code, worker.log, "auto")
    assert worker.exit_code == 3
    assert "declares, got" in failure.sentence
    assert "the file holds 1 bytes" in failure.sentence
    assert not failure.offer_cpu


@posix_only
def test_a_python_without_torch_says_how_to_get_it(process, failures, tmp_path: Path) -> None:
    """The real worker in a Python without torch."""
    environment = Environment(tmp_path / "without torch", own=("safetensors",))
    worker = process.WorkerProcess(a_ct_job(tmp_path), tmp_path, str(environment.python))
    events = []
    wait_for(lambda: events.extend(worker.poll()) or not worker.running)
    events += worker.poll()
    worker.close()
    failure = failures.failure_of_worker(events[-1], worker.exit_code, worker.log, "cpu")
    assert "PyTorch is not installed" in failure.sentence
    assert "Synthesize again" in failure.remedy


def test_an_input_error_of_the_worker_is_its_own_sentence(failures) -> None:
    error = Failed("Expected a CT in HU, got fractions.", ExitCode.INPUT)
    failure = failures.failure_of_worker(error, 2, "", "auto")
    assert failure.text == "Expected a CT in HU, got fractions."
    assert not failure.offer_cpu


def test_a_gpu_that_is_not_there_and_one_that_ends_the_worker_offer_the_cpu(failures) -> None:
    gone = Failed(
        "Expected a GPU for the device cuda:1, but PyTorch finds 1; use cpu or auto.", ExitCode.INPUT, "device"
    )
    assert failures.failure_of_worker(gone, 2, "", "cuda:1").offer_cpu
    assert failures.failure_of_worker(None, -6, "", "cuda:0").offer_cpu
    said = "terminate called: CUDA error: unspecified launch failure"
    assert failures.failure_of_worker(None, -6, said, "auto").offer_cpu
    assert not failures.failure_of_worker(None, -6, "Fatal Python error", "auto").offer_cpu
    assert not failures.failure_of_worker(None, -6, "CUDA error", "cpu").offer_cpu
