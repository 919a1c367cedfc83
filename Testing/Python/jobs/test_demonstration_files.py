"""The downloaded sample is deleted whole, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from TomoRayLib.base.errors import OutputError
from TomoRayLib.jobs.demonstration_files import delete_downloaded, downloaded_files, sample_folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = sample_folder(tmp_path / "cache")
    folder.mkdir(parents=True)
    for name in ("cxr.nii.gz", "mask.nii.gz", "structures.csv", "labels.nii.gz", "labels.sha256"):
        (folder / name).write_bytes(b"12345678")
    return tmp_path / "cache"


def test_all_that_was_downloaded_is_deleted_with_its_empty_folders(cache: Path) -> None:
    assert len(downloaded_files(cache)) == 5
    assert delete_downloaded(cache) == 40
    assert list(cache.iterdir()) == []
    assert downloaded_files(cache) == []
    assert delete_downloaded(cache) == 0


def test_files_of_others_stay(cache: Path) -> None:
    mine = sample_folder(cache) / "my notes.txt"
    mine.write_text("kept", encoding="utf-8")
    weights = cache / "weights.safetensors"
    weights.write_bytes(b"kept")
    delete_downloaded(cache)
    assert {path for path in cache.rglob("*") if path.is_file()} == {mine, weights}


def test_a_link_is_removed_and_not_what_it_points_to(cache: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "my CT.nii.gz"
    elsewhere.write_bytes(b"mine")
    linked = sample_folder(cache) / "cxr.nii.gz"
    linked.unlink()
    try:
        linked.symlink_to(elsewhere)
    except OSError:
        pytest.skip("no links here")
    delete_downloaded(cache)
    assert elsewhere.read_bytes() == b"mine"
    assert not linked.exists()


def test_a_file_that_cannot_be_deleted_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match=r"cxr\.nii\.gz cannot be deleted \(Permission denied\)"):
        delete_downloaded(cache)
