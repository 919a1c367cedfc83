"""A folder of studies with scouts, scored from the real X-rays by the command line."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from support.command_line import tomoray
from support.scout_studies import CONVENTIONS, write_study
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.evaluation import run_evaluation
from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.jobs.events import Event, Finished, Note
from TomoRayLib.synthesis.settings import GeometryOptions


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two makes' studies with a segmentation, beside and in the study, and one without lateral scout."""
    folder = tmp_path_factory.mktemp("hospital") / "studies"
    for name, make in (("p1", "rows along the body"), ("p2", "upwards, to the right")):
        body = write_study(folder / name, CONVENTIONS[make])
    spine = Volume((body.voxels == 450).astype(np.uint8), body.grid)
    write_volume(folder / "p1_seg.nrrd", spine)
    write_volume(folder / "p2" / "labels.nrrd", spine)
    write_study(folder / "p3", roles=("AP",))
    write_volume(folder / "p3_seg.nrrd", spine)
    return folder


@pytest.mark.usefixtures("tiny_model")
def test_studies_are_scored_from_their_scouts_and_those_without_a_pair_listed(studies: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    job = EvaluationJob(
        str(studies), str(tmp_path / "out"), labels="whole-spine", precision="float32", segment=False, workers=1
    )
    run_evaluation(job, events.append)
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.values["scored"], last.values["failed"]) == (2, 1)
    assert set(last.values["summary"]) >= {"tomoray", "blank"}
    out = tmp_path / "out"
    with (out / "cases.csv").open(newline="", encoding="utf-8") as stream:
        assert {line["case"] for line in csv.DictReader(stream)} == {"p1", "p2"}
    with (out / "not_scored.csv").open(newline="", encoding="utf-8") as stream:
        reasons = {line["name"]: line["reason"] for line in csv.DictReader(stream)}
    assert "got AP alone" in reasons["p3"]
    record = json.loads((out / "cases" / "p1.json").read_text(encoding="utf-8"))
    assert record["facts"]["radiographs"] == "scouts of the CT (real X-rays)"
    assert any(note.startswith("lateral: tube at the patient's") for note in record["notes"])
    assert "the headers of their scouts" in (out / "summary.html").read_text(encoding="utf-8")
    written = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert all(word not in written for word in (b"somebody", b"Secret", b"secret-id"))
    events.clear()
    run_evaluation(
        EvaluationJob(**{**job.__dict__, "resume": True}),
        events.append,
    )
    assert any("2 cases were computed before" in event.text for event in events if isinstance(event, Note))


@pytest.mark.usefixtures("tiny_model")
def test_the_scores_of_a_study_are_those_of_a_synthesis_of_it(studies: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("p2\n")
    cohort = tomoray(
        "evaluate", str(studies), "--out", str(tmp_path / "all"), "--labels", "whole-spine", "--no-segment",
        "--cases", str(names), "--json",
    )  # fmt: skip
    one = tomoray(
        "synthesize", "--study", str(studies / "p2"), "--segmentation", str(studies / "p2" / "labels.nrrd"),
        "--labels", "whole-spine", "--out", str(tmp_path / "one"), "--no-report", "--json",
    )  # fmt: skip
    assert (cohort.returncode, one.returncode) == (0, 0), cohort.stderr + one.stderr
    of_all, of_one = (json.loads(answer.stdout.strip().splitlines()[-1]) for answer in (cohort, one))
    assert of_all["summary"]["tomoray"]["dice"]["mean"] == pytest.approx(
        of_one["metrics"]["rows"]["tomoray"]["dice"],
        abs=1e-4,  # kept in 16 bits, and on other threads
    )


def test_geometry_is_not_given_to_studies(studies: Path, tmp_path: Path) -> None:
    job = EvaluationJob(str(studies), str(tmp_path / "out"), geometry=GeometryOptions(preset="c-arm"))
    with pytest.raises(InputError, match="no geometry with studies"):
        run_evaluation(job, lambda event: None)


@pytest.mark.usefixtures("tiny_model")
def test_folders_of_one_study_are_said_to_be_one(tmp_path: Path) -> None:
    """Two patients under one Study Instance UID, as a careless anonymiser leaves them, are no two cases."""
    folder = tmp_path / "studies"
    body = write_study(folder / "p1", CONVENTIONS["rows along the body"])
    for path in (item for item in (folder / "p1").rglob("*") if item.is_file()):
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.7"
        dataset.save_as(path)
    shutil.copytree(folder / "p1", folder / "p2")
    write_volume(folder / "labels.nrrd", Volume((body.voxels == 450).astype(np.uint8), body.grid))
    events: list[Event] = []
    job = EvaluationJob(
        str(folder), str(tmp_path / "out"), labels="whole-spine", precision="float32", segment=False, workers=1
    )
    with contextlib.suppress(InputError):
        run_evaluation(job, events.append)
    assert any("one Study Instance UID" in event.text for event in events if isinstance(event, Note))
