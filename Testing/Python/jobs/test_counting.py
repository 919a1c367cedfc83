"""A synthesis with a model that counts vertebrae: numbers in the files, and how sure they are in every answer.

The small network's field says nothing but "in the middle of the spine", so vertebrae lie at their usual distances along
its bone, and the count is unsure. How well fields are decoded is tested in ``anatomy/test_vertebra_decoding.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.synthesis_runs import Events, run_here
from support.tiny_model import write_tiny_model
from TomoRayLib import weights
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.images.files import read_volume
from TomoRayLib.jobs.case import COUNT_UNSURE
from TomoRayLib.jobs.events import ExitCode, Finished, Warned
from TomoRayLib.jobs.job import SynthesisJob


@pytest.fixture(scope="module")
def counted(a_case: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Events]:
    """Results folder and events of a CT with its segmentation."""
    folder = tmp_path_factory.mktemp("counting")
    write_tiny_model(folder / "models", counts=True)
    job = SynthesisJob(out=str(folder / "out"), ct=str(a_case / "ct.nrrd"), segmentation=str(a_case / "labels.nrrd"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "models_folder", lambda: folder / "models")
        code, events = run_here(job)
    assert code == ExitCode.DONE, events
    return folder / "out", events


def test_the_label_file_holds_verse_numbers(counted: tuple[Path, Events]) -> None:
    out, events = counted
    (result,) = (event.values for event in events if isinstance(event, Finished))
    numbers = [vertebra["number"] for vertebra in result["vertebrae"]]
    assert len(numbers) > 2
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    labels = read_volume(out / "synthetic_vertebrae.nrrd")
    assert sorted(np.unique(labels.voxels)) == [0, *numbers]
    for vertebra in result["vertebrae"]:
        assert LABEL_OF_NAME[vertebra["name"]] == vertebra["number"]
        index = labels.grid.world_to_index @ [*vertebra["center_mm"], 1.0]
        slices = np.flatnonzero((labels.voxels == vertebra["number"]).any(axis=(1, 2)))
        assert slices[0] <= index[2] <= slices[-1]
    heights = [vertebra["center_mm"][2] for vertebra in result["vertebrae"]]
    assert heights == sorted(heights, reverse=True)


def test_an_unsure_count_is_told_everywhere(counted: tuple[Path, Events]) -> None:
    out, events = counted
    (result,) = (event.values for event in events if isinstance(event, Finished))
    assert result["numbering"] == "unsure"
    assert Warned(COUNT_UNSURE) in events
    provenance = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["numbering"] == "unsure"
    assert provenance["vertebrae"] == result["vertebrae"]
    report = (out / "report.html").read_text(encoding="utf-8")
    assert f"Count unsure ({result['numbering_certainty']:.0%} certain)." in report
    assert COUNT_UNSURE in report


def test_scores_say_what_was_found_of_each_true_vertebra(counted: tuple[Path, Events]) -> None:
    out, events = counted
    counting = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["counting"]
    true = sorted(np.unique(read_volume(out / "truth_vertebrae.nrrd").voxels))[1:]
    assert [row["label"] for row in counting["per_vertebra"]] == true
    whole = [row for row in counting["per_vertebra"] if row["whole"]]
    counts = counting["counts"]
    assert counts["whole"] == len(whole) > 0
    assert counts["found"] == sum(row["found_as"] is not None for row in whole)
    assert counts["named"] == sum(row["named"] for row in whole)
    assert counts["named_up_to_shift"] == sum(row["named_up_to_shift"] for row in whole)
    (result,) = (event.values for event in events if isinstance(event, Finished))
    assert result["metrics"]["counting"] == counting
    assert "own name" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("tiny_model")
def test_a_model_that_does_not_count_writes_one_label(a_case: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = SynthesisJob(out=str(out), ct=str(a_case / "ct.nrrd"), segmentation=str(a_case / "labels.nrrd"))
    code, events = run_here(job)
    assert code == ExitCode.DONE, events
    assert sorted(np.unique(read_volume(out / "synthetic_vertebrae.nrrd").voxels)) == [0, 1]
    (result,) = (event.values for event in events if isinstance(event, Finished))
    assert not {"vertebrae", "numbering"} & set(result)
    assert "counting" not in result["metrics"]
    assert "told apart" not in (out / "report.html").read_text(encoding="utf-8")
