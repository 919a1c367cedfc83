"""Ctrl-C and termination: put off while files are moved, raised once, and told as what they are."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from TomoRayLib.base.endings import deferred
from TomoRayLib.base.files import MANIFEST_NAME

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent the POSIX way")


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)


# A process of one job, which sends itself signals at operations on files and tells how it ended.
JOB = """
    import os, signal, sys
    from pathlib import Path
    from TomoRayLib.base.endings import take_over
    from TomoRayLib.base.files import staged_folder
    from TomoRayLib.jobs.failures import run_guarded

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    take_over(lambda code: print("too early"))
    out, event, *numbers = sys.argv[1:]
    waiting = [int(number) for number in numbers]

    def hear(what, arguments):
        if what == event and waiting and str(arguments[0]).startswith(os.path.dirname(out)):
            while waiting:
                os.kill(os.getpid(), waiting.pop())

    def work():
        with staged_folder(out) as folder:
            sys.addaudithook(hear)
            for name in "abc":
                (folder / name).write_text("new")
            if event == "body":
                os.kill(os.getpid(), waiting.pop())
                for _ in range(10**9): pass

    print(int(run_guarded(work, lambda failed: print(failed.message))))
"""


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("numbers", [(2,), (15,), (2, 2), (2, 15)])
def test_a_request_while_files_are_moved_waits_until_they_are(
    tmp_path: Path, exists: bool, numbers: tuple[int, ...]
) -> None:
    out = tmp_path / "out"
    if exists:
        out.mkdir()
        (out / "a").write_text("mine", encoding="utf-8")
    done = run(JOB, str(out), "os.rename", *map(str, numbers))
    said, code = done.stdout.splitlines()
    assert code in ("130", "143")
    assert said.endswith(f"; written before that, and whole: {out}.")
    assert {path.name for path in out.iterdir()} == {*"abc", MANIFEST_NAME, *(["a.kept-1"] if exists else [])}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(("number", "said", "code"), [(2, "Interrupted", "130"), (15, "Terminated", "143")])
def test_a_request_in_the_middle_of_the_work_leaves_nothing(tmp_path: Path, number: int, said: str, code: str) -> None:
    done = run(JOB, str(tmp_path / "out"), "body", str(number))
    assert done.stdout.splitlines() == [f"{said}; nothing was written.", code]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_request_during_the_cleaning_does_not_disturb_it(tmp_path: Path, second: int) -> None:
    """The second one comes while the folder of the first is being deleted, or just before."""
    done = run(
        """
        import os, signal, sys
        from TomoRayLib.base.endings import take_over
        from TomoRayLib.base.files import staged_folder
        from TomoRayLib.jobs.failures import run_guarded
        signal.signal(signal.SIGINT, signal.default_int_handler)
        take_over()
        def hear(what, arguments):
            if what in ("os.remove", "os.rmdir"):
                os.kill(os.getpid(), int(sys.argv[2]))
        def work():
            try:
                with staged_folder(sys.argv[1]) as folder:
                    for name in "abc":
                        (folder / name).write_text("new")
                    sys.addaudithook(hear)
                    os.kill(os.getpid(), signal.SIGINT)
                    for _ in range(10**9): pass
            finally:
                os.kill(os.getpid(), int(sys.argv[2]))
        print(int(run_guarded(work, lambda failed: print(failed.message))))
        """,
        str(tmp_path / "out"),
        str(int(second)),
    )
    assert done.stdout.splitlines() == ["Interrupted; nothing was written.", "130"]
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_a_library_swallowed_or_renamed_is_told_as_what_it_is() -> None:
    code = """
        import os, signal, sys
        from TomoRayLib.base.endings import stop_if_asked, take_over
        from TomoRayLib.jobs.failures import run_guarded
        take_over()
        def work():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                for _ in range(10**9): pass
            except SystemExit:
                if sys.argv[1] == "renamed":
                    raise ImportError("partially initialized module") from None
            stop_if_asked()
            print("went on")
        print(int(run_guarded(work, lambda failed: print(failed.message))))
    """
    for how in ("swallowed", "renamed"):
        assert run(code, how).stdout.splitlines() == ["Terminated; nothing was written.", "143"]


def test_a_library_that_exits_by_itself_is_not_told_as_terminated() -> None:
    from TomoRayLib.jobs.events import ExitCode, Failed
    from TomoRayLib.jobs.failures import run_guarded

    events: list[Failed] = []

    def leave() -> None:
        raise SystemExit(1)

    assert run_guarded(leave, events.append) == ExitCode.INTERNAL_ERROR  # type: ignore[arg-type]
    assert "SystemExit" in events[0].message


def test_what_was_put_off_is_raised_at_the_end_of_the_outermost_block() -> None:
    steps = []

    def meet() -> None:
        with deferred():
            with deferred():
                signal.raise_signal(signal.SIGINT)
                steps.append("inner")
            steps.append("outer")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            meet()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == ["inner", "outer"]


def test_other_threads_put_nothing_off() -> None:
    heard = []

    def in_thread() -> None:
        with deferred():
            heard.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert heard == [before]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_request_while_a_module_is_imported_is_raised_after_that(tmp_path: Path, name: str) -> None:
    """Libraries in C crash if it is raised as they begin; what waits after the import is woken."""
    module = f"""
        import os, signal, time
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.2)
        print("imported", flush=True)
    """
    (tmp_path / "large.py").write_text(textwrap.dedent(module), encoding="utf-8")
    code = f"""
        import sys, time
        from TomoRayLib.base.endings import begin_work, take_over
        take_over(print)
        begin_work()
        sys.path.insert(0, {str(tmp_path)!r})
        try:
            import large
            time.sleep(30)
        finally:
            print("cleaned", sys.exc_info()[0].__name__, flush=True)
    """
    raised = "Terminated" if name == "SIGTERM" else "KeyboardInterrupt"
    assert run(code).stdout.splitlines() == ["imported", f"cleaned {raised}"]


def test_a_forked_process_ends_as_any_does() -> None:
    """One that makes samples for a training is ended by SIGTERM at once, without an exception."""
    code = """
        import os, signal, sys, time
        from TomoRayLib.base.endings import begin_work, take_over
        take_over(print)
        begin_work()
        child = os.fork()
        if child == 0:
            try:
                time.sleep(600)
            finally:
                print("cleaned", flush=True)
        time.sleep(0.2)
        os.kill(child, signal.SIGTERM)
        print(os.WTERMSIG(os.waitpid(child, 0)[1]))
    """
    assert run(code).stdout.splitlines() == [str(int(signal.SIGTERM))]


def test_a_request_while_handlers_are_put_back_takes_none_of_them_away(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    interrupts = signal.signal(signal.SIGINT, signal.default_int_handler)
    put = signal.signal

    def put_and_interrupt(number: int, handler: object) -> object:
        replaced = put(number, handler)  # type: ignore[arg-type]
        if handler is signal.default_int_handler:
            signal.raise_signal(signal.SIGINT)
        return replaced

    try:
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), deferred():
            patched.setattr(signal, "signal", put_and_interrupt)
        signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        put(signal.SIGTERM, before)
        put(signal.SIGINT, interrupts)
