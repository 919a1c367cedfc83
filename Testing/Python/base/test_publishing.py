"""A result is moved into a folder whole, past links, other writers, and whoever deletes what was staged."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from support.small_runs import run_of
from TomoRayLib.base import publishing
from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.files import MANIFEST_NAME, check_writable, recovered, staged_folder, write_atomically
from TomoRayLib.base.folder_locks import FolderBusyError, FolderLock

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and locks as POSIX has them")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def hidden_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if path.name != MANIFEST_NAME]


def process(code: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@posix
def test_an_output_folder_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "big disk").mkdir()
    (tmp_path / "out").symlink_to("big disk")
    run_of(tmp_path / "out", ct="1", deep__mask="1")
    run_of(tmp_path / "out", ct="2")
    assert os.readlink(tmp_path / "out") == "big disk"
    assert text_of(tmp_path / "big disk" / "ct") == "2"
    assert hidden_in(tmp_path) == []


@posix
def test_links_in_the_way_are_kept_and_nothing_is_written_through_them(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (elsewhere / "ct").write_text("precious", encoding="utf-8")
    (out / "ct").symlink_to("../elsewhere/ct")
    (out / "mask").symlink_to("nowhere")
    (out / "dicom").symlink_to("../elsewhere")
    run_of(out, ct="1", mask="1", dicom__ct="1")
    assert [path.name for path in elsewhere.iterdir()] == ["ct"]
    assert text_of(elsewhere / "ct") == "precious"
    assert [text_of(out / name) for name in ("ct", "mask", "dicom/ct")] == ["1", "1", "1"]
    kept = {name: os.readlink(out / f"{name}.kept-1") for name in ("ct", "mask", "dicom")}
    assert kept == {"ct": "../elsewhere/ct", "mask": "nowhere", "dicom": "../elsewhere"}
    run_of(out, ct="2", mask="2", dicom__ct="2")
    assert not list(out.rglob("*.kept-2"))


@posix
def test_a_file_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real.csv").write_text("old", encoding="utf-8")
    (tmp_path / "link.csv").symlink_to("there/real.csv")
    with write_atomically(tmp_path / "link.csv") as partial:
        partial.write_text("new", encoding="utf-8")
    assert os.readlink(tmp_path / "link.csv") == "there/real.csv"
    assert text_of(tmp_path / "there" / "real.csv") == "new"
    assert hidden_in(tmp_path) == []


@posix
def test_broken_links_loops_and_pipes_in_place_of_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("broken", "broken link"), ("loop", "broken link"), ("pipe", "device or pipe")):
        with pytest.raises(OutputError, match=reason), write_atomically(tmp_path / name):
            pytest.fail("not reached")
    assert {path.name for path in tmp_path.iterdir()} == {"broken", "loop", "pipe"}


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    name = "x" * 250 + ".csv"
    with write_atomically(tmp_path / name) as partial:
        partial.write_text("1", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    run_of(tmp_path / ("y" * 255), ct="1")


def test_what_is_kept_does_not_grow_with_every_run(tmp_path: Path) -> None:
    """A copy of a results folder has other times, so its files are taken as a user's; equal ones are not kept."""
    run_of(tmp_path / "first", ct="1", mask="1")
    shutil.copytree(tmp_path / "first", tmp_path / "out", copy_function=shutil.copyfile)
    run_of(tmp_path / "out", ct="1", mask="2")
    kept = {"ct", "mask", "mask.kept-1", MANIFEST_NAME}
    assert {path.name for path in (tmp_path / "out").iterdir()} == kept
    for _ in range(3):  # somebody puts the same file there again and again
        (tmp_path / "out" / "mask").write_text("1", encoding="utf-8")
        run_of(tmp_path / "out", ct="1", mask="2")
    assert {path.name for path in (tmp_path / "out").iterdir()} == kept


@pytest.mark.parametrize("exists", [False, True])
def test_a_staging_folder_that_somebody_deletes_is_an_error(tmp_path: Path, exists: bool) -> None:
    out = tmp_path / "out"
    if exists:
        run_of(out, ct="1")

    def robbed(whole: bool) -> None:
        with staged_folder(out) as folder:
            with write_atomically(folder / "ct") as partial:
                partial.write_text("2", encoding="utf-8")
            shutil.rmtree(folder.parent if whole else folder)

    for whole in (True, False):
        with pytest.raises(OutputError, match=r"removed it meanwhile\. Nothing was written; run again"):
            robbed(whole)
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if exists else [])
    assert not exists or text_of(out / "ct") == "1"
    assert hidden_in(tmp_path) == []


def test_a_staged_file_that_somebody_deletes_is_an_error(tmp_path: Path) -> None:
    def robbed() -> None:
        with staged_folder(tmp_path / "out") as folder:
            for name in ("ct", "mask"):
                with write_atomically(folder / name) as partial:
                    partial.write_text("1", encoding="utf-8")
            (folder / "mask").unlink()

    with pytest.raises(OutputError, match=r"mask, got nothing.*run again"):
        robbed()
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_vanishes_during_a_run_is_an_error(tmp_path: Path) -> None:
    def robbed() -> None:
        with staged_folder(tmp_path / "project" / "out") as folder:
            (folder / "ct").write_text("1", encoding="utf-8")
            shutil.rmtree(tmp_path / "project")

    with pytest.raises(OutputError, match="run again"):
        robbed()
    assert list(tmp_path.iterdir()) == []


def test_two_writers_into_one_folder_leave_the_result_of_one_whole(tmp_path: Path) -> None:
    """Processes that meet: each round leaves one process's files alone, all of them, and its manifest."""
    out = tmp_path / "out"
    code = """
        import sys
        from pathlib import Path
        from TomoRayLib.base.files import staged_folder
        name = sys.stdin.readline().strip()
        for _ in range(10):
            with staged_folder(Path({out!r})) as folder:
                for number in range(5):
                    (folder / str(number)).write_text(name)
                (folder / f"only of {{name}}").write_text(name)
    """
    writers = [process(code.format(out=str(out))) for _ in range(2)]
    for name, writer in zip("ab", writers, strict=True):
        assert writer.stdin is not None
        writer.stdin.write(f"{name}\n")
        writer.stdin.close()
    assert [writer.wait(120) for writer in writers] == [0, 0]
    texts = {text_of(path) for path in out.iterdir() if path.name != MANIFEST_NAME}
    assert len(texts) == 1
    assert {path.name for path in out.iterdir()} == {*"01234", f"only of {texts.pop()}", MANIFEST_NAME}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_writer_that_moves_files_for_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_of(tmp_path / "out", ct="1")
    monkeypatch.setattr(publishing, "WAIT_S", 0.1)
    with FolderLock(tmp_path / "out"), pytest.raises(OutputError, match="another run has been moving"):
        run_of(tmp_path / "out", ct="2")
    assert text_of(tmp_path / "out" / "ct") == "1"
    assert hidden_in(tmp_path) == []


@posix
def test_a_lock_is_free_once_its_process_was_killed(tmp_path: Path) -> None:
    holder = process(
        f"""
        import time
        from pathlib import Path
        from TomoRayLib.base.folder_locks import FolderLock
        lock = FolderLock(Path({str(tmp_path)!r}))
        print("held", flush=True)
        time.sleep(600)
        """
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(FolderBusyError):
        FolderLock(tmp_path)
    holder.kill()
    holder.wait(20)
    FolderLock(tmp_path).release()


@posix
def test_a_file_system_without_locks_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As some network drives; what a killed run left there is deleted once it is a week old."""
    import fcntl

    def no_locks(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    run_of(tmp_path / "out", ct="1")
    lately, long_ago = (tmp_path / "out" / f".partial-1-{name}" for name in ("0000000a", "0000000b"))
    for path in (lately, long_ago):
        path.mkdir()
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(long_ago, (week_ago, week_ago))
    run_of(tmp_path / "out", ct="2")
    assert text_of(tmp_path / "out" / "ct") == "2"
    assert hidden_in(tmp_path) == [lately.name]


def a_half_published(out: Path, new: str = "2") -> Path:
    """What a process leaves that was killed after it had moved one of two files; its hidden folder."""
    run_of(out, ct="1", mask="1")
    stamps = json.loads(text_of(out / MANIFEST_NAME))["files"]
    run = out / ".partial-1-0123abcd"
    for part in (run / "new", run / "old"):
        part.mkdir(parents=True)
    for name in ("ct", "mask", MANIFEST_NAME):
        os.replace(out / name, run / "old" / name)
    (out / "ct").write_text(new, encoding="utf-8")
    (run / "new" / "mask").write_text(new, encoding="utf-8")
    journal = {"ours": {**stamps, MANIFEST_NAME: None}, "new": ["ct", "mask"]}
    (run / "journal.json").write_text(json.dumps(journal), encoding="utf-8")
    return run


@pytest.mark.parametrize("reads", [recovered, check_writable])
def test_a_result_that_was_half_moved_is_completed_by_whoever_comes_next(tmp_path: Path, reads) -> None:
    a_half_published(tmp_path / "out")
    reads(tmp_path / "out")
    assert {path.name: text_of(path) for path in (tmp_path / "out").iterdir()} == {"ct": "2", "mask": "2"}


def test_a_result_whose_rest_is_gone_is_put_back(tmp_path: Path) -> None:
    run = a_half_published(tmp_path / "out")
    (run / "new" / "mask").unlink()
    recovered(tmp_path / "out")
    assert [text_of(tmp_path / "out" / name) for name in ("ct", "mask")] == ["1", "1"]
    assert hidden_in(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    ["{", "[" * 9000, '{"ours": {}, "new": ["../../precious"]}', '{"ours": {"/etc/x": [1, 2]}, "new": []}'],
)
def test_a_damaged_journal_is_an_error_and_leads_nowhere_else(tmp_path: Path, text: str) -> None:
    run = a_half_published(tmp_path / "out")
    (run / "journal.json").write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match=r"cannot be completed: a (damaged )?journal.*choose another"):
        check_writable(tmp_path / "out")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a second user")
def test_what_another_user_left_is_not_touched(tmp_path: Path) -> None:
    run_of(tmp_path / "out", ct="1")
    theirs = tmp_path / "out" / ".partial-1-0123abcd"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    run_of(tmp_path / "out", ct="2")
    assert theirs.is_dir()
    (theirs / "journal.json").write_text("{}", encoding="utf-8")
    with pytest.raises(OutputError, match="one of another user"):
        run_of(tmp_path / "out", ct="3")
    assert text_of(tmp_path / "out" / "ct") == "2"


def test_what_a_live_run_is_writing_is_not_swept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_of(out, ct="1")
    with staged_folder(out) as folder:
        (folder / "ct").write_text("slow", encoding="utf-8")
        for one in ("2", "3"):
            thread = threading.Thread(target=run_of, args=(out,), kwargs={"ct": one})
            thread.start()
            thread.join(60)
        assert text_of(out / "ct") == "3"
    assert text_of(out / "ct") == "slow"
    assert hidden_in(tmp_path) == []


def test_what_an_earlier_version_left_is_put_back_and_swept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    long_ago = time.time() - 7200
    for name, text in {".previous-999999999/ct": "old", ".partial-999999999/mask": "half", "ct": "half moved"}.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
    (out / ".reserve-999999999").write_bytes(b"0")
    (out / f".reserve-{os.getpid()}").write_bytes(b"0")
    (out / ".tomoray-abc_1234").mkdir()
    for path in out.glob(".*"):
        os.utime(path, (long_ago, long_ago))
    check_writable(out)
    assert {path.name: text_of(path) for path in out.iterdir()} == {
        "ct": "old",
        "ct.kept-1": "half moved",
        f".reserve-{os.getpid()}": "0",
    }


@posix
def test_a_limit_on_the_size_of_files_is_a_sentence(tmp_path: Path) -> None:
    """As batch systems set one: the operating system names no file in its error."""
    limited = process(
        f"""
        import resource
        from TomoRayLib.base.errors import OutputError
        from TomoRayLib.base.files import staged_folder
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            with staged_folder({str(tmp_path / "out")!r}) as folder:
                (folder / "ct").write_text("x" * 2000)
        except OutputError as error:
            print(error)
        """
    )
    said, _ = limited.communicate(timeout=60)
    assert said.startswith(f"Expected to be able to write {tmp_path / 'out'}, got 'File too large'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="rights are taken from a second user")
def test_a_file_in_a_folder_that_may_not_be_entered_is_a_sentence(tmp_path: Path) -> None:
    code = """
        import os, sys
        from TomoRayLib.base.errors import OutputError
        from TomoRayLib.base.files import staged_folder, write_atomically
        os.seteuid(65534)
        for writer in (staged_folder, write_atomically):
            try:
                with writer(sys.stdin.readline().strip()):
                    print("written")
            except OutputError as error:
                print(error)
    """
    tmp_path.chmod(0o700)
    said, _ = process(code).communicate(f"{tmp_path / 'inner' / 'out'}\n" * 2, timeout=60)
    assert said.count("Expected to be allowed to write") == 2
