"""A job that names one vertebra, and one that writes the surface of each: files, answers, and errors told at once.

The small network counts from the middle of the spine, so its numbers are unsure and a name has something to mend.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from vtkmodules.vtkIOGeometry import vtkSTLReader
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from support.synthesis_runs import Events, run_here
from support.tiny_model import write_tiny_model
from TomoRayLib import weights
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.surfaces import points_mm
from TomoRayLib.jobs.case import COUNT_UNSURE
from TomoRayLib.jobs.events import ExitCode, Failed, Finished, StageBegun, Warned
from TomoRayLib.jobs.job import SynthesisJob


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("naming") / "models"
    write_tiny_model(folder, counts=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "models_folder", lambda: folder)
        yield folder


@pytest.fixture(scope="module")
def job(a_case: Path) -> SynthesisJob:
    return SynthesisJob(
        out="", ct=str(a_case / "ct.nrrd"), segmentation=str(a_case / "labels.nrrd"), report=False, comparison=False
    )


@pytest.fixture(scope="module")
def plain(job: SynthesisJob, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """Results folder and last event without a name."""
    out = tmp_path_factory.mktemp("plain") / "out"
    return out, result_of(run_here(dataclasses.replace(job, out=str(out))))


def result_of(run: tuple[int, Events]) -> dict:
    code, events = run
    assert code == ExitCode.DONE, events
    return dict(next(event.values for event in events if isinstance(event, Finished)))


def failure_of(run: tuple[int, Events]) -> Failed:
    code, events = run
    assert code == ExitCode.INPUT, events
    return next(event for event in events if isinstance(event, Failed))


def test_one_name_numbers_all_files_and_answers(job: SynthesisJob, plain: tuple[Path, dict], tmp_path: Path) -> None:
    first = plain[1]["vertebrae"][0]
    becomes = NAME_OF_LABEL[first["number"] + 1]
    named = dataclasses.replace(job, out=str(tmp_path / "out"), anchor=f"{becomes}={first['name']}", report=True)
    code, events = run_here(named)
    result = result_of((code, events))
    assert [one["number"] for one in result["vertebrae"]] == [one["number"] + 1 for one in plain[1]["vertebrae"]]
    assert [one["center_mm"] for one in result["vertebrae"]] == [one["center_mm"] for one in plain[1]["vertebrae"]]
    assert result["numbering"] == "sure"
    assert result["named_by_you"]["certainty_before"] == plain[1]["numbering_certainty"]
    before, after = (read_volume(folder / "synthetic_vertebrae.nrrd").voxels for folder in (plain[0], tmp_path / "out"))
    np.testing.assert_array_equal(after, np.where(before > 0, before + 1, 0))
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["named_by_you"] == {**result["named_by_you"], "name": becomes, "instead_of": first["name"]}
    assert Warned(COUNT_UNSURE) not in events
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"Count named by you: {becomes}" in report
    assert f"called it {first['name']}" in report


def test_a_place_in_a_vertebra_names_it(job: SynthesisJob, plain: tuple[Path, dict], tmp_path: Path) -> None:
    lowest = plain[1]["vertebrae"][-1]
    x, y, z = lowest["center_mm"]
    anchor = f"{NAME_OF_LABEL[lowest['number'] - 1]}={x},{y},{z - 5.0}"
    result = result_of(run_here(dataclasses.replace(job, out=str(tmp_path / "out"), anchor=anchor, fov_mm=192.0)))
    assert {one["number"] for one in result["vertebrae"]} < {one["number"] - 1 for one in plain[1]["vertebrae"]} | {0}


def test_a_place_outside_the_synthetic_ct_is_refused_before_the_network_runs(job: SynthesisJob, tmp_path: Path) -> None:
    code, events = run_here(dataclasses.replace(job, out=str(tmp_path / "out"), anchor="L1=0,900,0"))
    failed = failure_of((code, events))
    assert failed.field == "anchor"
    assert "mm outside it" in failed.message
    assert "256 mm" in failed.message
    assert "Synthesizing" not in {event.stage for event in events if isinstance(event, StageBegun)}
    assert not (tmp_path / "out").exists()


def test_a_place_beside_the_spine_is_refused_with_the_nearest_vertebrae(
    job: SynthesisJob, plain: tuple[Path, dict], tmp_path: Path
) -> None:
    x, y, z = plain[1]["vertebrae"][1]["center_mm"]
    failed = failure_of(run_here(dataclasses.replace(job, out=str(tmp_path / "out"), anchor=f"L1={x + 90},{y},{z}")))
    assert failed.field == "anchor"
    assert plain[1]["vertebrae"][1]["name"] in failed.message
    assert not (tmp_path / "out").exists()


def test_each_vertebra_has_its_surfaces(job: SynthesisJob, plain: tuple[Path, dict], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = result_of(run_here(dataclasses.replace(job, out=str(out), vertebra_surfaces=True)))
    names = [one["name"] for one in plain[1]["vertebrae"]]
    written = sorted(f"vertebrae/vertebrae_{name}{ending}" for name in names for ending in (".vtp", ".stl"))
    assert [name for name in result["files"] if name.startswith("vertebrae/")] == written
    assert {path.relative_to(out).as_posix() for path in (out / "vertebrae").iterdir()} == set(written)
    labels = read_volume(out / "synthetic_vertebrae.nrrd")
    for one in plain[1]["vertebrae"]:
        k, j, i = np.nonzero(labels.voxels == one["number"])
        places_mm = (labels.grid.index_to_world @ np.stack([i, j, k, np.ones(len(i))]))[:3].T
        voxel_mm = max(labels.grid.spacing_mm)
        for reader, ending in ((vtkXMLPolyDataReader(), ".vtp"), (vtkSTLReader(), ".stl")):
            path = out / "vertebrae" / f"vertebrae_{one['name']}{ending}"
            reader.SetFileName(str(path))
            reader.Update()
            points = points_mm(reader.GetOutput())
            assert np.abs(points.min(axis=0) - places_mm.min(axis=0)).max() < voxel_mm
            assert np.abs(points.max(axis=0) - places_mm.max(axis=0)).max() < voxel_mm
            if ending == ".vtp":
                assert reader.GetOutput().GetFieldData().GetAbstractArray("MARKING").GetValue(0) == NOTICE
            else:
                assert b"SPACE=LPS UNIT=mm SYNTHETIC" in path.read_bytes()[:80]
    again = result_of(run_here(dataclasses.replace(job, out=str(out))))
    assert not [name for name in again["files"] if "/" in name]
    assert not (out / "vertebrae").exists()


@pytest.mark.parametrize("values", [{"anchor": "L1=T12"}, {"vertebra_surfaces": True}])
def test_a_model_that_does_not_count_is_refused_at_once(
    values: dict, job: SynthesisJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setattr(weights, "models_folder", lambda: tmp_path / "models")
    code, events = run_here(dataclasses.replace(job, out=str(tmp_path / "out"), **values))
    failed = failure_of((code, events))
    assert failed.field == next(iter(values))
    assert "tells vertebrae apart" in failed.message
    assert not [event for event in events if isinstance(event, StageBegun)]
