"""A CT without a segmentation is scored against labels by TomoRay, which every result says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.labelled_cts import a_labelled_ct, written
from support.synthesis_runs import Events, run_here
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.simpleitk_files import read_image
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.events import ExitCode, StageBegun, Warned
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.synthesis.own_labels import JUDGED_BY_OWN_LABELS, NO_VERTEBRA


@pytest.fixture
def a_case(tmp_path: Path) -> Path:
    written(tmp_path / "ct.nii.gz", tmp_path / "labels.nii.gz")
    return tmp_path


def run(case: Path, name: str, **settings: object) -> tuple[Path, Events]:
    job = SynthesisJob(out=str(case / name), ct=str(case / "ct.nii.gz"), precision="float32", **settings)  # type: ignore[arg-type]
    code, events = run_here(job)
    assert code == ExitCode.DONE, events
    return case / name, events


def test_scores_rest_on_own_labels_and_say_so_everywhere(a_case: Path, tiny_segmenter: None) -> None:
    own, events = run(a_case, "own")
    given, _ = run(a_case, "given", segmentation=str(a_case / "labels.nii.gz"), report=False)
    scores, expected = (json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for folder in (own, given))
    assert (scores["labels_by"], expected["labels_by"]) == ("labels by TomoRay", None)
    assert scores["rows"]["tomoray"]["dice"] == pytest.approx(expected["rows"]["tomoray"]["dice"], abs=0.02)
    assert [row["name"] for row in scores["per_vertebra"]["tomoray"]] == ["L1", "L2", "L3", "L4"]
    made, usual = (json.loads((folder / "provenance.json").read_text(encoding="utf-8")) for folder in (own, given))
    assert made["labels_by"] == "labels by TomoRay"
    assert made["segmenter"]["id"] == "tiny-segmenter"
    assert usual["labels_by"] is usual["segmenter"] is None
    assert JUDGED_BY_OWN_LABELS in made["notes"]
    assert JUDGED_BY_OWN_LABELS in [event.text for event in events if isinstance(event, Warned)]
    assert "Segmenting" in [event.stage for event in events if isinstance(event, StageBegun)]
    assert events[-1].values["metrics"]["labels_by"] == "labels by TomoRay"  # type: ignore[union-attr]
    page = (own / "report.html").read_text(encoding="utf-8")
    assert page.count("Truth (CT, labels by TomoRay)") >= 3
    assert "compared with the CT (labels by TomoRay)" in page
    marks = [read_image(folder / "truth_vertebrae.nrrd").GetMetaDataKeys() for folder in (own, given)]
    assert ["TomoRay.labels" in keys for keys in marks] == [True, False]


@pytest.mark.parametrize("settings", [{"segment": False}, {"comparison": False}])
def test_it_can_be_switched_off(a_case: Path, tiny_segmenter: None, settings: dict[str, bool]) -> None:
    folder, events = run(a_case, "out", report=False, **settings)
    assert not (folder / "metrics.json").exists()
    assert "Segmenting" not in [event.stage for event in events if isinstance(event, StageBegun)]
    assert json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["labels_by"] is None


def test_a_ct_without_a_vertebra_is_shown_and_not_scored(a_case: Path, tiny_segmenter: None) -> None:
    ct, _ = a_labelled_ct()
    write_volume(a_case / "ct.nii.gz", Volume(ct.voxels.clip(max=120), ct.grid))
    folder, events = run(a_case, "out", report=False)
    assert not (folder / "metrics.json").exists()
    assert read_volume(folder / "truth_ct.nrrd").voxels.max() > 0
    assert NO_VERTEBRA in [event.text for event in events if isinstance(event, Warned)]


def test_the_isocentre_is_that_of_the_own_labels(a_case: Path, tiny_segmenter: None) -> None:
    folder, _ = run(a_case, "out", report=False)
    labels = read_volume(a_case / "labels.nii.gz")
    middle = read_volume(folder / "synthetic_ct.nrrd").grid.center_mm
    k = (labels.voxels > 0).nonzero()[0]
    z_mm = labels.grid.origin_mm[2] + (k.min() + k.max()) / 2 * labels.grid.spacing_mm[2]
    assert middle[2] == pytest.approx(z_mm, abs=2.0)
