"""A synthesis as a user meets it: the real worker process, weights and files.

The CT is the built-in phantom: it needs no network. Scores on it mean nothing; what is tested is that every promise of
the output folder is kept, in the patient's space.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.synthesis_runs import Events, run_here
from support.tiny_model import worker_code
from TomoRayLib import weights
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.writing import write_image_2d
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.jobs.events import ExitCode, Finished, StageBegun, Warned, from_json
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.result_checks import EMPTY

FILES_FROM_CT = {
    "synthetic_ct.nrrd",
    "synthetic_vertebrae.nrrd",
    "synthetic_surface.vtp",
    "synthetic_surface.stl",
    "ap.nrrd",
    "ap.png",
    "ap_bone.nrrd",
    "lat.nrrd",
    "lat_bone.nrrd",
    "lat.png",
    "measures.csv",
    "measures.json",
    "truth_ct.nrrd",
    "truth_vertebrae.nrrd",
    "truth_surface.vtp",
    "metrics.csv",
    "metrics.json",
    "metrics_per_vertebra.csv",
    "provenance.json",
    "report.html",
    "overview.png",
}


FROM_RADIOGRAPHS = FILES_FROM_CT - {
    "metrics_per_vertebra.csv",
    "truth_ct.nrrd",
    "truth_vertebrae.nrrd",
    "truth_surface.vtp",
    "metrics.csv",
    "metrics.json",
}


@pytest.fixture(scope="module")
def a_finished_pair(a_finished_case: tuple[Path, Events], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same two radiographs again, this time given as radiographs."""
    folder, _ = a_finished_case
    out = tmp_path_factory.mktemp("pair") / "out"
    code, events = run_here(SynthesisJob(out=str(out), ap=str(folder / "ap.nrrd"), lateral=str(folder / "lat.nrrd")))
    assert code == ExitCode.DONE, events
    return out


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_ct_with_segmentation_gives_every_file_promised(a_finished_case: tuple[Path, Events]) -> None:
    assert names_in(a_finished_case[0]) == FILES_FROM_CT


def test_the_worker_names_its_stages_in_order_and_ends_with_the_result(a_finished_case: tuple[Path, Events]) -> None:
    events = a_finished_case[1]
    stages = [event.stage for event in events if isinstance(event, StageBegun)]
    assert stages == ["Reading", "Projecting", "Synthesizing", "Comparing", "Drawing", "Writing"]
    assert isinstance(events[-1], Finished)
    assert set(events[-1].values["files"]) == FILES_FROM_CT


def test_the_synthetic_ct_lies_in_the_patients_space_around_the_vertebrae(
    a_case: Path, a_finished_case: tuple[Path, Events]
) -> None:
    synthetic = read_volume(a_finished_case[0] / "synthetic_ct.nrrd")
    labels = read_labels(a_case / "labels.nrrd")
    found = np.argwhere(labels.voxels > 0)[:, ::-1]
    ends = [labels.grid.index_to_world @ (*found.min(axis=0), 1), labels.grid.index_to_world @ (*found.max(axis=0), 1)]
    assert synthetic.grid.size == (192, 192, 192)
    np.testing.assert_allclose(synthetic.grid.extent_mm, 256.0)
    np.testing.assert_allclose(synthetic.grid.center_mm, np.mean(ends, axis=0)[:3], atol=0.1)
    assert synthetic.voxels.min() >= -250
    assert synthetic.voxels.max() <= 1050


def test_the_truth_overlaps_the_ct_it_came_from(a_case: Path, a_finished_case: tuple[Path, Events]) -> None:
    truth, vertebrae = (read_volume(a_finished_case[0] / f"truth_{name}.nrrd") for name in ("ct", "vertebrae"))
    hu = resample(read_volume(a_case / "ct.nrrd"), truth.grid).voxels
    bone = vertebrae.voxels > 0
    assert np.abs(truth.voxels[bone] - np.clip(hu[bone], -250, 1050)).max() <= 1300 / 99 / 2 + 1
    assert np.all(truth.voxels[~bone] == -250)


def test_every_metric_has_its_blank_and_mean_atlas(a_finished_case: tuple[Path, Events]) -> None:
    rows = json.loads((a_finished_case[0] / "metrics.json").read_text(encoding="utf-8"))["rows"]
    assert set(rows) == {"tomoray", "blank", "mean_atlas"}
    for row in rows.values():
        assert {"psnr_3d_db", "ssim_2d", "cosine_similarity", "dice", "hd95_mm", "nsd_1mm", "mae_in_mask_hu"} <= set(
            row
        )
    assert rows["blank"]["cosine_similarity"] == 0
    assert rows["blank"]["dice"] == 0
    assert rows["tomoray"]["cosine_similarity"] > 0.2  # a phantom of formulas is far from any training spine


def test_the_provenance_says_how_to_make_the_result_again(a_case: Path, a_finished_case: tuple[Path, Events]) -> None:
    provenance = json.loads((a_finished_case[0] / "provenance.json").read_text(encoding="utf-8"))
    entry = weights.find_model()
    assert provenance["model"]["weights_sha256"] == entry.sha256
    assert provenance["inputs"]["ct"]["name"] == "ct.nrrd"
    assert len(provenance["inputs"]["ct"]["sha256"]) == 64
    assert provenance["grid"]["fov_mm"] == 256.0
    assert provenance["views"]["ap"]["beam"] == {"kind": "cone", "sad_mm": 1000.0, "sid_mm": 1536.0}
    assert set(provenance["seconds"]) == {"Reading", "Projecting", "Synthesizing", "Comparing", "Drawing", "Writing"}
    assert "research use only" in provenance["notice"]
    assert str(a_case) not in json.dumps(provenance)  # names of files, not of folders of this machine


def test_the_report_marks_the_volume_as_synthetic(a_finished_case: tuple[Path, Events]) -> None:
    text = (a_finished_case[0] / "report.html").read_text(encoding="utf-8")
    assert "SYNTHETIC" in text
    assert "research use only" in text.lower()


def test_radiographs_written_by_tomoray_give_the_same_synthetic_ct(
    a_finished_case: tuple[Path, Events], a_finished_pair: Path
) -> None:
    assert names_in(a_finished_pair) == FROM_RADIOGRAPHS
    first, second = (read_volume(folder / "synthetic_ct.nrrd") for folder in (a_finished_case[0], a_finished_pair))
    assert first.voxels.max() > 100  # two empty volumes would agree as well
    assert first.grid.same_as(second.grid)
    assert np.abs(first.voxels.astype(int) - second.voxels).max() <= 2


@pytest.fixture
def a_pair_without_views(tmp_path: Path) -> tuple[str, str]:
    """The phantom's two radiographs as files that state a spacing alone."""
    ct, labels = phantom_volumes()
    views = c_arm(vertebrae_center_mm(labels))
    for name, image in render(ct, {"ap": views.ap, "lat": views.lateral}).items():
        write_image_2d(tmp_path / f"{name}.nrrd", image, views.ap.detector.pixel_spacing_mm)
    return str(tmp_path / "ap.nrrd"), str(tmp_path / "lat.nrrd")


@pytest.mark.slow
def test_views_in_the_wrong_order_are_asked_about(a_pair_without_views: tuple[str, str], tmp_path: Path) -> None:
    ap, lateral = a_pair_without_views
    code, events = run_here(SynthesisJob(out=str(tmp_path / "out"), ap=lateral, lateral=ap, report=False))
    assert code == ExitCode.DONE, events
    suggestion = events[-1].values["suggestion"]
    assert suggestion["question"] == "Did you mean the two radiographs the other way round?"
    assert (suggestion["swap"], suggestion["settings"]) == (True, {})
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["suggestion"] == suggestion
    assert any("Did you mean" in note for note in provenance["notes"])


def test_nothing_is_tried_if_the_user_does_not_want_it(
    a_pair_without_views: tuple[str, str], tiny_model: None, tmp_path: Path
) -> None:
    ap, lateral = a_pair_without_views
    job = SynthesisJob(out=str(tmp_path / "out"), ap=lateral, lateral=ap, report=False, suggest=False)
    code, events = run_here(job)
    assert (code, events[-1].values["suggestion"]) == (ExitCode.DONE, None)
    judged = {key: events[-1].values[key] for key in ("certainty", "doubts")}
    assert 0.0 < judged["certainty"] < 1.0
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert {key: provenance[key] for key in judged} == judged
    assert bool(judged["doubts"]) == any("doubtful" in event.text for event in events if isinstance(event, Warned))
    stages = [event.stage for event in events if isinstance(event, StageBegun)]
    assert stages == ["Reading", "Synthesizing", "Drawing", "Writing"]


def test_a_radiograph_unlike_those_of_the_training_is_a_doubt_everywhere(
    a_pair_without_views: tuple[str, str], tmp_path: Path
) -> None:
    """The phantom's AP radiograph beside a lateral of noise, with the weights that come with TomoRay."""
    ap, lateral = a_pair_without_views
    detector = c_arm().lateral.detector
    noise = np.random.default_rng(1).normal(size=detector.shape).astype(np.float32)
    write_image_2d(Path(lateral), noise, detector.pixel_spacing_mm)
    job = SynthesisJob(out=str(tmp_path / "out"), ap=ap, lateral=lateral, suggest=False, align=False)
    code, events = run_here(job)
    doubt = "the lateral radiograph is unlike those that the network was trained on"
    assert events[-1].values["doubts"][-1] == doubt
    assert not any("the AP radiograph is unlike" in said for said in events[-1].values["doubts"])
    assert (
        json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))["doubts"]
        == events[-1].values["doubts"]
    )
    if code == ExitCode.DONE:  # an empty result has a warning of its own
        (warning,) = [event.text for event in events if isinstance(event, Warned) and "doubtful" in event.text]
        assert f"{doubt}. Check views" in warning
        assert doubt in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_an_empty_result_has_its_own_exit_code_and_is_written_and_marked(
    a_pair_without_views: tuple[str, str], tiny_models: Path, tmp_path: Path
) -> None:
    """A network that takes no voxel for bone."""
    models = tmp_path / "models"
    shutil.copytree(tiny_models, models)
    state = weights.load_network(weights.find_model(folder=models)).state_dict()
    state["heads.1.bias"][1] -= 1000.0
    registry = json.loads((models / "registry.json").read_text(encoding="utf-8"))
    (entry,) = registry["models"]
    entry["sha256"] = weights.save_weights(state, models / entry["file"], {})
    (models / "registry.json").write_text(json.dumps(registry))
    out = tmp_path / "out"
    job = SynthesisJob(out=str(out), ap=a_pair_without_views[0], lateral=a_pair_without_views[1])
    (tmp_path / "job.json").write_text(job.to_json())
    command = [sys.executable, "-c", worker_code(models), str(tmp_path / "job.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    events = [event for line in result.stdout.splitlines() if (event := from_json(line))]
    assert result.returncode == ExitCode.EMPTY, result.stderr
    assert (events[-1].values["empty"], events[-1].values["suggestion"]) == (True, None)
    assert EMPTY in [event.text for event in events if isinstance(event, Warned)]
    assert json.loads((out / "provenance.json").read_text(encoding="utf-8"))["empty"] is True
    assert EMPTY in (out / "report.html").read_text(encoding="utf-8")
    assert not read_volume(out / "synthetic_vertebrae.nrrd").voxels.any()


def test_a_ct_without_segmentation_is_shown_but_not_scored(a_case: Path, tiny_model: None, tmp_path: Path) -> None:
    job = SynthesisJob(out=str(tmp_path / "out"), ct=str(a_case / "ct.nrrd"), fov_mm=192.0, precision="float32")
    code, events = run_here(job)
    assert code == ExitCode.DONE, events
    untold = {"measures.csv", "measures.json"}  # of a model that does not tell vertebrae apart
    assert names_in(tmp_path / "out") == (FROM_RADIOGRAPHS | {"truth_ct.nrrd"}) - untold
    assert any("No metrics" in getattr(event, "text", "") for event in events)
    assert read_volume(tmp_path / "out" / "synthetic_ct.nrrd").grid.extent_mm == pytest.approx((192.0,) * 3)


def test_equal_frequency_quantisation_changes_the_truth_and_not_the_synthetic_hu(
    a_case: Path, tiny_model: None, tmp_path: Path
) -> None:
    for quantisation, name in (("linear", "other"), ("equal_frequency", "out")):
        job = SynthesisJob(
            out=str(tmp_path / name),
            ct=str(a_case / "ct.nrrd"),
            segmentation=str(a_case / "labels.nrrd"),
            quantisation=quantisation,
            report=False,
        )
        code, events = run_here(job)
        assert code == ExitCode.DONE, events
    truth, vertebrae = (read_volume(tmp_path / "out" / f"truth_{name}.nrrd") for name in ("ct", "vertebrae"))
    hu = resample(read_volume(a_case / "ct.nrrd"), truth.grid).voxels
    bone = vertebrae.voxels > 0
    assert np.median(np.abs(truth.voxels[bone] - np.clip(hu[bone], -250, 1050))) < 15
    other = read_volume(tmp_path / "other" / "synthetic_ct.nrrd").voxels.astype(int)
    assert other.max() > 100  # two empty volumes would agree as well
    assert np.abs(read_volume(tmp_path / "out" / "synthetic_ct.nrrd").voxels - other).max() <= 2
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["rows"]
    assert rows["tomoray"]["mae_in_mask_hu"] < rows["blank"]["mae_in_mask_hu"]
