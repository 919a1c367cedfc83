"""The segmentation job: a CT's vertebrae as labels, a list and a picture, all marked as TomoRay's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.command_line import tomoray
from support.labelled_cts import a_labelled_ct, written
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.simpleitk_files import read_image
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.events import Event, ExitCode, Finished, StageBegun, Warned
from TomoRayLib.jobs.job import SegmentationJob
from TomoRayLib.jobs.job_files import job_from_json
from TomoRayLib.jobs.segmentation import FILES, run_segmentation
from TomoRayLib.metrics.vertebra import dice
from TomoRayLib.worker import run_job


@pytest.fixture
def a_case(tmp_path: Path) -> tuple[str, str]:
    written(tmp_path / "ct.nii.gz", tmp_path / "labels.nii.gz")
    return str(tmp_path / "ct.nii.gz"), str(tmp_path / "labels.nii.gz")


def test_labels_list_and_picture_are_written_and_marked(
    a_case: tuple[str, str], tiny_segmenter: None, tmp_path: Path
) -> None:
    events: list[Event] = []
    job = SegmentationJob(str(tmp_path / "out"), a_case[0], a_case[1], precision="float32")
    folder = run_segmentation(job, events.append)
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == set(FILES)
    ct, truth = a_labelled_ct()
    labels = read_segmentation(folder / "vertebrae.nrrd")
    assert labels.grid.same_as(ct.grid)
    assert dice(labels.voxels == 21, truth.voxels == 21) > 0.95
    listed = json.loads((folder / "vertebrae.json").read_text(encoding="utf-8"))
    assert [vertebra["name"] for vertebra in listed["vertebrae"]] == ["L1", "L2", "L3", "L4"]
    assert listed["comparison"]["named"] == listed["comparison"]["whole"] == 4
    assert listed["comparison"]["dice"] > 0.95
    assert listed["numbering"] == "sure"
    made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert made["segmenter"]["id"] == "tiny-segmenter"
    assert set(made["inputs"]) == {"ct", "segmentation"}
    assert made["precision"] == "float32"
    assert [event.stage for event in events if isinstance(event, StageBegun)] == ["Reading", "Segmenting", "Writing"]
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.code == ExitCode.DONE
    assert last.values["comparison"] == listed["comparison"]
    for text in (listed["notice"], made["notice"], read_image(folder / "vertebrae.nrrd").GetMetaData("TomoRay.notice")):
        assert text == "LABELS BY TOMORAY - research use only, not for diagnosis or treatment"


def test_the_picture_shows_each_vertebra_in_a_colour(
    a_case: tuple[str, str], tiny_segmenter: None, tmp_path: Path
) -> None:
    run_segmentation(SegmentationJob(str(tmp_path / "out"), a_case[0]), lambda _: None)
    pixels = np.asarray(Image.open(tmp_path / "out" / "vertebrae.png")).astype(int)
    colored = np.ptp(pixels, axis=2) > 40
    assert 0.1 < colored[64:].mean() < 0.6


def test_a_ct_without_vertebrae_gives_an_empty_result(tiny_segmenter: None, tmp_path: Path) -> None:
    ct, _ = a_labelled_ct()
    voxels = np.minimum(ct.voxels, 120).astype(np.int16)  # nothing above 150 HU
    write_volume(tmp_path / "ct.nrrd", Volume(voxels, ct.grid))
    result = tomoray("segment", str(tmp_path / "ct.nrrd"), "--out", str(tmp_path / "out"), "--json")
    assert result.returncode == ExitCode.EMPTY, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[-1]["empty"] is True
    assert lines[-1]["vertebrae"] == []
    assert "found no vertebra" in next(line["text"] for line in lines if line["event"] == "warning")
    assert not read_volume(tmp_path / "out" / "vertebrae.nrrd").voxels.any()
    assert (tmp_path / "out" / "vertebrae.png").is_file()


def test_the_command_prints_what_it_found(a_case: tuple[str, str], tiny_segmenter: None, tmp_path: Path) -> None:
    words = ["--segmentation", a_case[1], "--out", str(tmp_path / "out")]
    result = tomoray("segment", a_case[0], *words)
    assert result.returncode == 0, result.stderr
    for text in ("L1", "L4", "LABELS BY TOMORAY", "4 of 4", "vertebrae.nrrd"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("ct", "sentence"),
    [("labels.nii.gz", "looks like a label map"), ("small.nrrd", "at least 40 mm"), ("absent.nrrd", "absent.nrrd")],
)
def test_what_is_no_ct_is_refused(
    a_case: tuple[str, str], tiny_segmenter: None, tmp_path: Path, ct: str, sentence: str
) -> None:
    volume, _ = a_labelled_ct()
    small = Volume(volume.voxels[:, :, 20:30], volume.grid.part((20, 0, 0), (30, 50, 70)))
    write_volume(tmp_path / "small.nrrd", small)
    result = tomoray("segment", str(tmp_path / ct), "--out", str(tmp_path / "out"))
    assert result.returncode == ExitCode.INPUT
    assert sentence in result.stderr
    assert not (tmp_path / "out").exists()


def test_without_a_network_it_says_so(a_case: tuple[str, str], tiny_model: None, tmp_path: Path) -> None:
    result = tomoray("segment", a_case[0], "--out", str(tmp_path / "out"))
    assert result.returncode == ExitCode.INPUT
    assert "Expected a network that finds vertebrae" in result.stderr


def test_the_job_goes_through_a_file_to_the_worker(
    a_case: tuple[str, str], tiny_segmenter: None, tmp_path: Path
) -> None:
    job = job_from_json(SegmentationJob(str(tmp_path / "out"), a_case[0], a_case[1], labels="verse").to_json())
    assert isinstance(job, SegmentationJob)
    events: list[Event] = []
    run_job(job, events.append)
    assert isinstance(events[-1], Finished)
    assert not [event for event in events if isinstance(event, Warned)]


def test_a_numbering_without_labels_is_refused() -> None:
    with pytest.raises(InputError, match="belongs to a segmentation"):
        SegmentationJob("out", "ct.nrrd", labels="verse")
