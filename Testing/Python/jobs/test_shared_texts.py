"""Texts of results name files, not the folders above them."""

from __future__ import annotations

from pathlib import Path

import pytest

from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.shared_texts import without_folders


def test_what_was_given_is_named_without_the_folders_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/persons/ann")
    cohort, theirs = tmp_path / "data" / "spines", tmp_path / "other place" / "theirs"
    job = EvaluationJob(str(cohort), str(tmp_path / "out"), predictions=(str(theirs),))
    told = {
        f"{cohort}/a.nii": (f"{cohort}/a.nii.gz: cut short.", f"none at {theirs}/b.nii"),
        "model": {"file": "/persons/ann/.cache/w"},
        "number": 3.5,
        "nothing": None,
    }
    assert without_folders(told, job) == {
        "spines/a.nii": ("spines/a.nii.gz: cut short.", "none at theirs/b.nii"),
        "model": {"file": "~/.cache/w"},
        "number": 3.5,
        "nothing": None,
    }


def test_a_path_is_found_as_it_was_given_and_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real" / "case").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    job = SynthesisJob("out", ct="link/case/ct.nii.gz")
    told = ("link/case/ct.nii.gz", f"{tmp_path}/link/case/ct.nii.gz", f"{tmp_path}/real/case/ct.nii.gz")
    assert without_folders(told, job) == ("ct.nii.gz",) * 3


def test_a_file_of_the_root_keeps_its_name() -> None:
    assert without_folders("/ct.nii.gz and a/b", SynthesisJob("/out", ct="/ct.nii.gz")) == "/ct.nii.gz and a/b"


def test_a_short_relative_folder_and_a_longer_name_are_no_part_of_other_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/persons/ann")
    job = SynthesisJob("out", ct="n/ct.nii", segmentation="org/m.nii")
    told = ("min/max of n/ct.nii (org/m.nii)", "https://nowhere.org/a", "/persons/anna/b", "/persons/ann: full")
    assert without_folders(told, job) == (
        "min/max of ct.nii (m.nii)",
        "https://nowhere.org/a",
        "/persons/anna/b",
        "~: full",
    )
