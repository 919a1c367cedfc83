"""A cohort with CTs that nobody has segmented: scored against labels by TomoRay, marked, and kept out of the means."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from support.labelled_cts import written
from TomoRayLib.base.errors import InputError
from TomoRayLib.jobs.evaluation import run_evaluation
from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.jobs.events import Event, Finished, Note


@pytest.fixture
def a_cohort(tmp_path: Path) -> Path:
    """Two CTs with a segmentation and one without, of unlike many vertebrae: else they would count as copies."""
    folder = tmp_path / "cohort"
    for name, labels in (("sub-a", (20, 21, 22, 23)), ("sub-b", (20, 21)), ("sub-c", (20,))):
        written(folder / f"{name}_ct.nii.gz", folder / f"{name}_seg.nii.gz", labels)
    (folder / "sub-b_seg.nii.gz").unlink()
    return folder


def evaluated(folder: Path, out: Path, **options: Any) -> tuple[Finished, list[Event]]:
    events: list[Event] = []
    job = EvaluationJob(str(folder), str(out), precision="float32", workers=1, **options)
    run_evaluation(job, events.append)
    last = events[-1]
    assert isinstance(last, Finished)
    return last, events


def labels_by_case(out: Path) -> dict[str, str]:
    with (out / "cases.csv").open(newline="", encoding="utf-8") as stream:
        return {line["case"]: line["labels_by"] for line in csv.DictReader(stream)}


def test_own_labels_are_marked_and_in_no_mean(a_cohort: Path, tiny_segmenter: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    last, events = evaluated(a_cohort, out)
    assert labels_by_case(out) == {"sub-a": "", "sub-b": "labels by TomoRay", "sub-c": ""}
    assert (last.values["scored"], last.values["scored_with_own_labels"]) == (2, 1)
    assert last.values["summary"]["tomoray"]["dice"]["n"] == 2
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert (summary["n_cases"], summary["cases_with_own_labels"]) == (2, ["sub-b"])
    assert "1 of 3 cases have no segmentation and are scored against labels by TomoRay" in (
        out / "summary.html"
    ).read_text(encoding="utf-8")
    assert any("of which 1 get labels by TomoRay" in event.text for event in events if isinstance(event, Note))
    again, events = evaluated(a_cohort, out, resume=True)
    assert any("3 cases were computed before" in event.text for event in events if isinstance(event, Note))
    assert labels_by_case(out)["sub-b"] == "labels by TomoRay"
    assert again.values["summary"] == last.values["summary"]


def test_a_cohort_without_segmentations_has_means_of_own_labels(
    a_cohort: Path, tiny_segmenter: None, tmp_path: Path
) -> None:
    for name in ("sub-a", "sub-c"):
        (a_cohort / f"{name}_seg.nii.gz").unlink()
    (a_cohort / "sub-c_ct.nii.gz").unlink()
    last, _ = evaluated(a_cohort, tmp_path / "out", labels="verse")
    assert last.values["summary"]["tomoray"]["dice"]["n"] == 2
    assert "2 of 2 cases have no segmentation" in (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")


def test_they_are_left_out_if_not_wanted_or_without_a_network(
    a_cohort: Path, tiny_segmenter: None, tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated(a_cohort, tmp_path / "off", segment=False)
    monkeypatch.setattr("TomoRayLib.weights.models_folder", lambda: tiny_models)
    evaluated(a_cohort, tmp_path / "none")
    for name in ("off", "none"):
        assert set(labels_by_case(tmp_path / name)) == {"sub-a", "sub-c"}
        assert "CT without a segmentation" in (tmp_path / name / "not_scored.csv").read_text(encoding="utf-8")
    (a_cohort / "sub-a_seg.nii.gz").unlink()
    (a_cohort / "sub-c_seg.nii.gz").unlink()
    with pytest.raises(InputError, match="Expected a CT with a vertebra segmentation"):
        evaluated(a_cohort, tmp_path / "nothing", segment=False)
