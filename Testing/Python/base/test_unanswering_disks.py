"""A disk or network drive that fails once, as damaged and disconnected ones do: earlier results stay as they were."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from TomoRayLib.base import durable, publishing
from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.files import MANIFEST_NAME, staged_folder, write_atomically
from TomoRayLib.jobs.events import ExitCode
from TomoRayLib.jobs.failures import failed_by


def run_of(out: Path, **contents: str) -> None:
    with staged_folder(out) as folder:
        for name, text in contents.items():
            target = folder / name.replace("__", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


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


def test_a_new_folder_whose_name_does_not_get_to_the_disk_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = durable.sync_folder

    def sync_folder(path: Path) -> None:
        if path == tmp_path:
            raise no_answer(path)
        real(path)

    monkeypatch.setattr("TomoRayLib.base.files.sync_folder", sync_folder)
    with pytest.raises(OutputError, match="Input/output error"):
        run_of(tmp_path / "out", a="1")
    assert names_in(tmp_path) == set()
    with pytest.raises(OutputError, match="Input/output error"), write_atomically(tmp_path / "file") as partial:
        partial.write_text("new", encoding="utf-8")
    assert names_in(tmp_path) == {"file"}


@pytest.mark.parametrize(("path", "where"), [("/drive/ct.nrrd", " for /drive/ct.nrrd"), (None, "")])
def test_a_drive_that_is_not_connected_any_more_is_no_internal_error(path: str | None, where: str) -> None:
    failure = failed_by(OSError(errno.ESTALE, "Stale file handle", path))
    assert failure.message.startswith(f"Expected the disk or network drive to answer{where}, got 'Stale file handle';")
    assert failure.code == ExitCode.INPUT
