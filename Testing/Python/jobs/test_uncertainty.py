"""A run that is asked how sure it is: the volume, the report, the provenance and the last event."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.synthesis_runs import Events, run_here
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.images.files import read_volume
from TomoRayLib.jobs.events import ExitCode, Finished, StageBegun
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.synthesis.spread import VARIATIONS


@pytest.fixture(scope="module")
def a_run(a_case: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Events]:
    out = tmp_path_factory.mktemp("unsure") / "out"
    ct, labels = str(a_case / "ct.nrrd"), str(a_case / "labels.nrrd")
    code, events = run_here(SynthesisJob(out=str(out), ct=ct, segmentation=labels, fov_mm=192.0, uncertainty=True))
    assert code == ExitCode.DONE
    return out, events


def test_the_uncertainty_lies_on_the_grid_of_the_synthetic_ct_and_is_marked(a_run: tuple[Path, Events]) -> None:
    folder, events = a_run
    stated, synthetic = read_volume(folder / "uncertainty.nrrd"), read_volume(folder / "synthetic_ct.nrrd")
    assert stated.grid.same_as(synthetic.grid)
    assert NOTICE.encode() in (folder / "uncertainty.nrrd").read_bytes()[:2000]
    assert 0.0 <= stated.voxels.min() < 0.01
    assert 0.4 < stated.voxels.max() <= 1.0
    assert "Varying" in [event.stage for event in events if isinstance(event, StageBegun)]


def test_it_is_high_at_the_border_of_the_bone_and_low_far_from_it(a_run: tuple[Path, Events]) -> None:
    folder, _ = a_run
    stated = read_volume(folder / "uncertainty.nrrd").voxels
    bone = read_volume(folder / "synthetic_vertebrae.nrrd").voxels > 0
    border = bone & ~np.roll(bone, 1, axis=1)
    far = ~bone & ~np.roll(bone, 30, axis=2) & ~np.roll(bone, -30, axis=2)
    assert stated[border].mean() > 0.3 > stated[bone].mean() > 5 * stated[far].mean()


def test_the_figures_are_in_provenance_last_event_and_report(a_run: tuple[Path, Events]) -> None:
    folder, events = a_run
    figures = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["uncertainty"]
    last = next(event for event in events if isinstance(event, Finished))
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert last.values["uncertainty"] == figures
    assert figures["variations"] == len(VARIATIONS)
    assert 0.3 < figures["expected_dice"] < 1.0
    assert f"the Dice with the true vertebrae would be {figures['expected_dice']:.2f}" in page
    assert page.count('alt="Uncertainty, ') == 5


def test_nothing_is_said_of_it_if_it_was_not_asked_for(a_finished_case: tuple[Path, Events]) -> None:
    folder, events = a_finished_case
    assert not (folder / "uncertainty.nrrd").exists()
    assert "uncertainty" not in json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert "Varying" not in [event.stage for event in events if isinstance(event, StageBegun)]
    assert "How sure it is" not in (folder / "report.html").read_text(encoding="utf-8")
