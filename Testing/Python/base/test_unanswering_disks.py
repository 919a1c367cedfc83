"""A disk or network drive that fails once, as damaged and disconnected ones do: earlier results stay as they were."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.small_runs import run_of
from TomoRayLib.base import durable, publishing
from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.existence import missing_folders
from TomoRayLib.base.files import MANIFEST_NAME, write_atomically
from TomoRayLib.base.output_errors import is_no_answer
from TomoRayLib.jobs.events import ExitCode
from TomoRayLib.jobs.failures import failed_by

ROOT = Path(__file__).resolve().parents[3]


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def no_answer(path: Path) -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO), str(path))


@pytest.fixture
def no_renaming_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let every rename to a path fail."""
    real = os.replace

    def begin(place: Path) -> None:
        def replace(source: Path, target: Path) -> None:
            if Path(target) == place:
                raise no_answer(place)
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)

    return begin


def test_a_link_whose_place_a_folder_took_comes_back(tmp_path: Path, no_renaming_to: Callable[[Path], None]) -> None:
    out = tmp_path / "out"
    run_of(out, a="1", old__b="1")
    (tmp_path / "mine").mkdir()
    (out / "dicom").symlink_to("../mine")
    before = names_in(out)
    no_renaming_to(out / "z")
    with pytest.raises(OutputError, match="Input/output error"):
        run_of(out, dicom__deep__c="2", z="2")
    assert os.readlink(out / "dicom") == "../mine"
    assert names_in(out) == before
    assert (out / "old" / "b").read_text(encoding="utf-8") == "1"
    assert list((tmp_path / "mine").iterdir()) == []


def test_what_cannot_come_back_is_left_to_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_renaming_to: Callable[[Path], None]
) -> None:
    """A file that somebody put into the place of one that was moved away is not overwritten."""
    out = tmp_path / "out"
    run_of(out, a="1")

    def disturbed(*_: object) -> None:
        (out / "a").write_text("mine", encoding="utf-8")
        raise no_answer(out)

    monkeypatch.setattr(publishing, "sync_touched", disturbed)
    with pytest.raises(OutputError, match="Input/output error"):
        run_of(out, b="2")
    monkeypatch.undo()
    assert (out / "a").read_text(encoding="utf-8") == "mine"
    run_of(out, c="3")
    assert names_in(out) == {"a", "c", MANIFEST_NAME}
    assert (out / "a").read_text(encoding="utf-8") == "mine"


def test_a_manifest_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it names would be kept as a user's files."""
    out = tmp_path / "out"
    run_of(out, a="1")

    def unread(path: Path) -> object:
        raise no_answer(path)

    monkeypatch.setattr(publishing, "read_json", unread)
    with pytest.raises(OutputError, match="Input/output error"):
        run_of(out, a="2")
    assert names_in(out) == {"a", MANIFEST_NAME}
    assert (out / "a").read_text(encoding="utf-8") == "1"


def test_what_may_not_be_on_the_disk_for_good_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = durable.sync_folder

    def sync_folder(path: Path) -> None:
        if path == tmp_path:
            raise no_answer(path)
        real(path)

    monkeypatch.setattr("TomoRayLib.base.files.sync_folder", sync_folder)
    with pytest.raises(
        OutputError, match=r"on the disk for good, got 'Input/output error'. It was written and is whole"
    ):
        run_of(tmp_path / "out", a="1")
    assert names_in(tmp_path) == {"out", "out/a", f"out/{MANIFEST_NAME}"}
    with (
        pytest.raises(OutputError, match="It was written and is whole"),
        write_atomically(tmp_path / "file") as partial,
    ):
        partial.write_text("new", encoding="utf-8")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("failed", ["a", "z"])
def test_a_rename_that_was_made_and_told_as_failed_is_undone_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: str
) -> None:
    """As network drives do: of an earlier file that is put aside, and of a new one."""
    out = tmp_path / "out"
    run_of(out, a="1", b="1")
    before, real, once = names_in(out), os.replace, iter([True])

    def replace(source: Path, target: Path) -> None:
        real(source, target)
        if Path(target).name == failed and next(once, False):
            raise no_answer(target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OutputError, match="Input/output error"):
        run_of(out, a="2", z="2")
    assert names_in(out) == before
    assert [(out / name).read_text(encoding="utf-8") for name in "ab"] == ["1", "1"]


def test_a_new_folder_whose_rename_was_told_as_failed_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        real(source, target)
        if Path(target) == tmp_path / "out":
            raise no_answer(target)

    monkeypatch.setattr(os, "replace", replace)
    run_of(tmp_path / "out", a="1")
    assert names_in(tmp_path) == {"out", "out/a", f"out/{MANIFEST_NAME}"}


def test_a_users_file_that_the_disk_does_not_show_once_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real, once = tmp_path / "out", os.lstat, iter([True])
    run_of(out, a="1")
    (out / "z").write_text("mine", encoding="utf-8")

    def lstat(path: Path, **rest: object) -> os.stat_result:
        if Path(path) == out / "z" and next(once, False):
            raise no_answer(path)
        return real(path, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "lstat", lstat)
    with pytest.raises(OutputError, match="Input/output error"):
        run_of(out, z="2")
    assert (out / "z").read_text(encoding="utf-8") == "mine"
    assert (out / "a").read_text(encoding="utf-8") == "1"


def test_a_journal_that_cannot_be_deleted_moves_nothing_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither that of a failed run nor that of one whose results the user has changed since."""
    out = tmp_path / "out"
    run_of(out, a="1", b="1")
    real_unlink, real_rmtree = Path.unlink, shutil.rmtree

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == publishing.JOURNAL:
            raise no_answer(path)
        real_unlink(path, missing_ok)

    def rmtree(path: Path, ignore_errors: bool = False) -> None:
        for one in Path(path).iterdir():
            if one.is_dir():
                real_rmtree(one)

    def failing(*_: object) -> None:
        raise no_answer(out)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        patch.setattr(shutil, "rmtree", rmtree)
        patch.setattr(publishing, "sync_touched", failing)
        with pytest.raises(OutputError, match="Input/output error"):
            run_of(out, a="2", b="2")
        assert (out / "a").read_text(encoding="utf-8") == "1"
        check_writable_elsewhere(out)
    assert (out / "a").read_text(encoding="utf-8") == "1"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        patch.setattr(shutil, "rmtree", rmtree)
        run_of(out, a="3", b="3")
    (out / "b").unlink()
    check_writable_elsewhere(out)
    assert names_in(out) == {"a", MANIFEST_NAME}
    assert (out / "a").read_text(encoding="utf-8") == "3"


def check_writable_elsewhere(out: Path) -> None:
    """The next run begins in another process."""
    code = "import sys; from TomoRayLib.base.files import check_writable; check_writable(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(out)], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_a_drive_that_is_gone_ends_the_search_for_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    with pytest.raises(FileNotFoundError):
        missing_folders(Path("/drive/a/b"))


@pytest.mark.parametrize(("name", "is_told"), [("EIO", True), ("ESTALE", True), ("ETIMEDOUT", False)])
def test_what_no_file_is_named_for_may_be_of_a_socket(name: str, is_told: bool) -> None:
    error = OSError(getattr(errno, name), os.strerror(getattr(errno, name)))
    assert is_no_answer(error) is is_told


@pytest.mark.parametrize(("path", "where"), [("/drive/ct.nrrd", " for /drive/ct.nrrd"), (None, "")])
def test_a_drive_that_is_not_connected_any_more_is_no_internal_error(path: str | None, where: str) -> None:
    failure = failed_by(OSError(errno.ESTALE, "Stale file handle", path))
    assert failure.message.startswith(f"Expected the disk or network drive to answer{where}, got 'Stale file handle';")
    assert failure.code == ExitCode.INPUT
