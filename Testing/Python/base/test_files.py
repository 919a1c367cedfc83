"""Results are written atomically, and nothing that a user put there is lost."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from support.small_runs import run_of
from TomoRayLib.base import files
from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.files import MANIFEST_NAME, check_writable, kept_aside, staged_folder, write_atomically


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def interrupted_run(out: Path, stop: type[BaseException]) -> None:
    with staged_folder(out) as folder:
        (folder / "ct").write_text("half")
        raise stop


def interrupted_file(target: Path, stop: type[BaseException]) -> None:
    with write_atomically(target) as partial:
        partial.write_text("half")
        raise stop


def test_file_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "ct.nii.gz"
    with write_atomically(target) as partial:
        partial.write_text("half")
        assert partial.name.endswith(".nii.gz")
        assert not target.exists()
    assert target.read_text(encoding="utf-8") == "half"
    assert names_in(tmp_path) == {"new/ct.nii.gz"}


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_interrupted_file_leaves_the_old_one(tmp_path: Path, stop: type[BaseException]) -> None:
    target = tmp_path / "ct.nrrd"
    target.write_text("old")
    with pytest.raises(stop):
        interrupted_file(target, stop)
    assert target.read_text(encoding="utf-8") == "old"
    assert names_in(tmp_path) == {"ct.nrrd"}


def test_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="got the folder"), write_atomically(tmp_path):
        pass


def test_staged_folder_appears_only_when_complete(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with staged_folder(out) as folder:
        (folder / "ct.nrrd").write_text("1")
        assert not out.exists()
    assert names_in(out) == {"ct.nrrd", MANIFEST_NAME}
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_interrupted_run_leaves_nothing(tmp_path: Path, stop: type[BaseException]) -> None:
    with pytest.raises(stop):
        interrupted_run(tmp_path / "a" / "out", stop)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_second_run_leaves_the_first(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_of(out, ct="1", deep__mask="1")
    with pytest.raises(KeyboardInterrupt):
        interrupted_run(out, KeyboardInterrupt)
    assert (out / "ct").read_text(encoding="utf-8") == "1"
    assert names_in(tmp_path) == {"out/ct", "out/deep/mask", f"out/{MANIFEST_NAME}"}


def test_second_run_replaces_our_files_and_removes_those_no_longer_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_of(out, ct="1", deep__mask="1")
    (out / "notes.txt").write_text("mine")
    run_of(out, ct="2", report="2")
    assert (out / "ct").read_text(encoding="utf-8") == "2"
    assert (out / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert names_in(out) == {"ct", "report", "notes.txt", MANIFEST_NAME}
    assert not (out / "deep").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_foreign_file_in_the_way_is_kept_under_another_name(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "ct").write_text("a user's file")
    run_of(out, ct="1")
    assert (out / "ct").read_text(encoding="utf-8") == "1"
    assert (out / "ct.kept-1").read_text(encoding="utf-8") == "a user's file"
    assert kept_aside()[-1] == out / "ct.kept-1"


def test_our_file_that_a_user_changed_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_of(out, ct="1", mask="1")
    (out / "mask").write_text("corrected by hand")
    run_of(out, ct="2", mask="2")
    assert (out / "mask").read_text(encoding="utf-8") == "2"
    assert (out / "mask.kept-1").read_text(encoding="utf-8") == "corrected by hand"


def test_manifest_cannot_point_outside_the_folder(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "precious"
    outside.write_text("x")
    status = outside.stat()
    stamp = f"[{status.st_size}, {status.st_mtime_ns}]"
    for name in ("../precious", outside.as_posix()):
        run_of(out, ct="1")
        (out / MANIFEST_NAME).write_text(f'{{"files": {{"{name}": {stamp}}}}}')
        run_of(out, ct="2")
        assert outside.read_text(encoding="utf-8") == "x"


def test_failure_while_moving_into_place_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    run_of(out, a="1", b="1")
    (out / "c").write_text("mine")
    real_replace, failures = os.replace, iter([True])

    def replace(source: Path, target: Path) -> None:
        if Path(target) == out / "c" and next(failures, False):
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        real_replace(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    with pytest.raises(OutputError, match="full disk"):
        run_of(out, a="2", b="2", c="2")
    assert [(out / name).read_text(encoding="utf-8") for name in ("a", "b", "c")] == ["1", "1", "mine"]
    assert names_in(out) == {"a", "b", "c", MANIFEST_NAME}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_full_disk_becomes_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"Expected free space for .*out, got a full disk; free"):  # noqa: SIM117
        with staged_folder(tmp_path / "out"):
            raise OSError(errno.ENOSPC, "No space left on device")


def test_missing_input_inside_the_block_keeps_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged_folder(tmp_path / "out"):
        (tmp_path / "no such input").read_text(encoding="utf-8")
    with pytest.raises(FileNotFoundError), write_atomically(tmp_path / "out"):
        (tmp_path / "no such input").read_text(encoding="utf-8")


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for out in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(OutputError, match="got the file"), staged_folder(out):
            pytest.fail("not reached")
    with pytest.raises(OutputError, match="choose another"), write_atomically(tmp_path / "out" / "ct.nrrd"):
        pytest.fail("not reached")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write")
def test_unwritable_folder_is_refused_before_the_work_starts() -> None:
    with pytest.raises(OutputError, match="choose"):
        check_writable("/proc/self/tomoray")
    with pytest.raises(OutputError, match="choose"), write_atomically("/proc/self/tomoray/ct.nrrd"):
        pytest.fail("not reached")


def test_too_little_space_names_what_is_needed_and_free(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"Expected 1048576\.00 GiB of free space for .*, got .*; free some"):
        check_writable(tmp_path / "out", need_bytes=2**50)
    check_writable(tmp_path / "out", need_bytes=1)
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_staged_inside_itself_on_its_own_file_system(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_of(out, ct="1", deep__mask="1")
    with staged_folder(out) as folder:
        assert folder.parent.parent == out
        assert folder.parent.name.startswith(".partial-")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        (folder / "ct").write_text("2")
    assert names_in(out) == {"ct", MANIFEST_NAME}
    assert {path.name for path in out.iterdir()} == {"ct", MANIFEST_NAME}


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_interrupted_run_in_an_empty_folder_leaves_it_empty(tmp_path: Path, stop: type[BaseException]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(stop):
        interrupted_run(out, stop)
    assert list(out.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a mounted folder")
def test_mount_point_itself_can_be_the_output_folder() -> None:
    """Nothing may be renamed from its parent, which lies on another file system. Others use this folder too."""
    mounted, name = Path("/dev/shm"), f"tomoray-test-{os.getpid()}"
    if (mounted / MANIFEST_NAME).exists():
        pytest.skip("somebody's results are there")
    try:
        run_of(mounted, **{name: "1"})
        run_of(mounted, **{name: "2"})
        assert (mounted / name).read_text(encoding="utf-8") == "2"
        left = {path.name for path in mounted.iterdir() if str(os.getpid()) in path.name}
        assert left == {name}
    finally:
        for mine in (name, MANIFEST_NAME):
            (mounted / mine).unlink(missing_ok=True)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="access rights of POSIX")
def test_writable_folder_in_a_parent_that_is_not() -> None:
    """As nobody if the tests run as root: access rights do not bind root."""
    parent = Path(tempfile.mkdtemp(dir="/tmp"))
    (parent / "out").mkdir()
    (parent / "out").chmod(0o777)
    parent.chmod(0o555)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65534)
        check_writable(parent / "out")
        run_of(parent / "out", ct="1", deep__mask="1")
        run_of(parent / "out", ct="2")
        assert names_in(parent) == {"out/ct", f"out/{MANIFEST_NAME}"}
        for refused in (parent / "new", parent):
            with pytest.raises(OutputError, match="allowed to write"):
                check_writable(refused)
    finally:
        if is_root:
            os.seteuid(0)
        parent.chmod(0o755)
        shutil.rmtree(parent)


def test_link_to_nowhere_is_refused_before_the_work_starts(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    with pytest.raises(OutputError, match="broken link"):
        check_writable(tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process at once")
def test_sigterm_leaves_nothing(tmp_path: Path) -> None:
    program = f"""
        import os, signal
        from TomoRayLib.base.files import staged_folder
        with staged_folder({str(tmp_path / "out")!r}) as folder:
            (folder / "ct").write_text("half")
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(10**9): pass
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False, timeout=20)
    assert done.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
