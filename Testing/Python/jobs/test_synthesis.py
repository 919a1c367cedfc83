"""A synthesis as a user meets it: the real worker process, weights and files; and the answer to every bad input.

The CT is the built-in phantom: it needs no network. Scores on it mean nothing; what is tested is that every promise of
the output folder is kept, in the patient's space, and that a failure leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.tiny_model import worker_code
from TomoRayLib import weights
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_image_2d, write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.jobs.events import Event, ExitCode, Failed, Finished, StageBegun, Warned, from_json
from TomoRayLib.jobs.failures import run_guarded
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.synthesis import run_synthesis
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.result_checks import EMPTY
from TomoRayLib.synthesis.settings import GeometryOptions

FILES_FROM_CT = {
    "synthetic_ct.nrrd",
    "synthetic_vertebrae.nrrd",
    "synthetic_surface.vtp",
    "synthetic_surface.stl",
    "ap.nrrd",
    "ap.png",
    "lat.nrrd",
    "lat.png",
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

Events = list[Event]


@pytest.fixture(scope="module")
def a_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ct.nii.gz`` and ``labels.nii.gz``."""
    folder = tmp_path_factory.mktemp("phantom")
    ct, labels = phantom_volumes()
    write_volume(folder / "ct.nrrd", ct)
    write_volume(folder / "labels.nrrd", labels)
    return folder


def run_worker(job: SynthesisJob, folder: Path) -> tuple[int, Events, str]:
    """Run a job in the real worker process."""
    path = folder / "job.json"
    path.write_text(job.to_json())
    command = [sys.executable, "-m", "TomoRayLib.worker", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return (
        result.returncode,
        [event for line in result.stdout.splitlines() if (event := from_json(line))],
        result.stderr,
    )


def run_here(job: SynthesisJob) -> tuple[int, Events]:
    events: Events = []
    return run_guarded(lambda: run_synthesis(job, events.append), events.append), events


@pytest.fixture(scope="module")
def a_finished_case(a_case: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Events]:
    out = tmp_path_factory.mktemp("finished") / "out"
    job = SynthesisJob(out=str(out), ct=str(a_case / "ct.nrrd"), segmentation=str(a_case / "labels.nrrd"))
    code, events, errors = run_worker(job, a_case)
    assert code == ExitCode.DONE, errors
    return out, events


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
    rows = json.loads((a_finished_case[0] / "metrics.json").read_text())["rows"]
    assert set(rows) == {"tomoray", "blank", "mean_atlas"}
    for row in rows.values():
        assert {"psnr_3d_db", "ssim_2d", "cosine_similarity", "dice", "hd95_mm", "nsd_1mm", "mae_in_mask_hu"} <= set(
            row
        )
    assert rows["blank"]["cosine_similarity"] == 0
    assert rows["blank"]["dice"] == 0
    assert rows["tomoray"]["cosine_similarity"] > 0.2  # a phantom of formulas is far from any training spine


def test_the_provenance_says_how_to_make_the_result_again(a_case: Path, a_finished_case: tuple[Path, Events]) -> None:
    provenance = json.loads((a_finished_case[0] / "provenance.json").read_text())
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
    text = (a_finished_case[0] / "report.html").read_text()
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
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
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
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert {key: provenance[key] for key in judged} == judged
    assert bool(judged["doubts"]) == any("doubtful" in event.text for event in events if isinstance(event, Warned))
    stages = [event.stage for event in events if isinstance(event, StageBegun)]
    assert stages == ["Reading", "Synthesizing", "Drawing", "Writing"]


def test_an_empty_result_has_its_own_exit_code_and_is_written_and_marked(
    a_pair_without_views: tuple[str, str], tiny_models: Path, tmp_path: Path
) -> None:
    """A network that takes no voxel for bone."""
    models = tmp_path / "models"
    shutil.copytree(tiny_models, models)
    state = weights.load_network(weights.find_model(folder=models)).state_dict()
    state["heads.1.bias"][1] -= 1000.0
    registry = json.loads((models / "registry.json").read_text())
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
    assert json.loads((out / "provenance.json").read_text())["empty"] is True
    assert EMPTY in (out / "report.html").read_text(encoding="utf-8")
    assert not read_volume(out / "synthetic_vertebrae.nrrd").voxels.any()


def test_a_ct_without_segmentation_is_shown_but_not_scored(a_case: Path, tiny_model: None, tmp_path: Path) -> None:
    job = SynthesisJob(out=str(tmp_path / "out"), ct=str(a_case / "ct.nrrd"), fov_mm=192.0, precision="float32")
    code, events = run_here(job)
    assert code == ExitCode.DONE, events
    assert names_in(tmp_path / "out") == FROM_RADIOGRAPHS | {"truth_ct.nrrd"}
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
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text())["rows"]
    assert rows["tomoray"]["mae_in_mask_hu"] < rows["blank"]["mae_in_mask_hu"]


# What bad input gets: a sentence, exit code 2, no output.


def saved(path: Path, voxels: np.ndarray, grid: Grid) -> str:
    write_volume(path, Volume(voxels, grid))
    return str(path)


@pytest.fixture
def bad_inputs(a_case: Path, tmp_path: Path) -> dict[str, dict[str, str]]:
    """Job values by name of what is wrong with them."""
    ct, labels = read_volume(a_case / "ct.nrrd"), read_labels(a_case / "labels.nrrd")
    good_ct, good_labels = str(a_case / "ct.nrrd"), str(a_case / "labels.nrrd")
    (tmp_path / "text.nrrd").write_text("this is no image")
    write_image_2d(tmp_path / "flat.nrrd", np.random.default_rng(0).random((90, 80)).astype(np.float32), (1.0, 1.0))
    with_nan = ct.voxels.astype(np.float32)
    with_nan[3, 4, 5] = np.nan
    image = sitk.GetImageFromArray(with_nan)
    sitk.WriteImage(image, str(tmp_path / "nan.nrrd"))
    far = Grid(labels.grid.size, labels.grid.spacing_mm, (5000.0, 0.0, 0.0))
    small = ct.voxels[:6, :20, :20]
    return {
        "missing": {"ct": str(tmp_path / "absent.nrrd")},
        "no image": {"ct": str(tmp_path / "text.nrrd")},
        "flat": {"ct": str(tmp_path / "flat.nrrd")},
        "solid": {"ap": good_ct, "lateral": good_ct},
        "nan": {"ct": str(tmp_path / "nan.nrrd")},
        "not hu": {"ct": saved(tmp_path / "raw.nrrd", (ct.voxels + 1024).clip(0).astype(np.int16), ct.grid)},
        "small": {"ct": saved(tmp_path / "small.nrrd", small, Grid((20, 20, 6), ct.grid.spacing_mm))},
        "elsewhere": {"ct": good_ct, "segmentation": saved(tmp_path / "far.nrrd", labels.voxels, far)},
        "no vertebra": {
            "ct": good_ct,
            "segmentation": saved(tmp_path / "ribs.nrrd", np.where(labels.voxels > 0, 92, 0).astype(np.int16), ct.grid),
        },
        "ct as mask": {"ct": good_ct, "segmentation": good_ct},
        "unknown model": {"ct": good_ct, "segmentation": good_labels, "model": "x2ct"},
        "unknown device": {"ct": good_ct, "device": "tpu"},
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("missing", "absent.nrrd"),
        ("no image", "text.nrrd"),
        ("flat", "3D volume"),
        ("solid", "radiograph"),
        ("nan", "NaN"),
        ("not hu", "HU"),
        ("small", "at least 40 mm"),
        ("elsewhere", "inside"),
        ("no vertebra", "92"),
        ("ct as mask", "label map"),
        ("unknown model", "geolift"),
        ("unknown device", "cuda"),
    ],
)
def test_bad_input_gets_a_sentence_and_leaves_no_output(
    bad_inputs: dict[str, dict[str, str]], tmp_path: Path, wrong: str, message: str
) -> None:
    before = set(tmp_path.iterdir())
    code, events = run_here(SynthesisJob(out=str(tmp_path / "out"), **bad_inputs[wrong]))
    assert code == ExitCode.INPUT
    assert isinstance(events[-1], Failed)
    assert message in events[-1].message
    assert "internal error" not in events[-1].message.lower()
    assert set(tmp_path.iterdir()) == before


def test_a_png_without_spacing_is_asked_for_it(a_finished_case: tuple[Path, Events], tmp_path: Path) -> None:
    folder = a_finished_case[0]
    code, events = run_here(
        SynthesisJob(out=str(tmp_path / "out"), ap=str(folder / "ap.png"), lateral=str(folder / "lat.png"))
    )
    assert code == ExitCode.INPUT
    assert "pixel spacing" in events[-1].message
    assert events[-1].field == "pixel_spacing_mm"


def test_an_isocenter_far_from_the_ct_is_refused(a_case: Path, tmp_path: Path) -> None:
    options = GeometryOptions(isocenter_mm=(0.0, 0.0, 5000.0))
    code, events = run_here(SynthesisJob(out=str(tmp_path / "out"), ct=str(a_case / "ct.nrrd"), geometry=options))
    assert code == ExitCode.INPUT
    assert "isocentre" in events[-1].message.lower()


def test_an_output_place_that_is_a_file_is_refused(a_case: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    code, events = run_here(SynthesisJob(out=str(tmp_path / "out"), ct=str(a_case / "ct.nrrd")))
    assert code == ExitCode.INPUT
    assert "folder" in events[-1].message
    assert (tmp_path / "out").read_text() == "mine"


def test_damaged_weights_are_refused_before_they_are_used(
    a_case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    shutil.copytree(weights.models_folder(), models)
    file = models / weights.find_model().file
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    monkeypatch.setattr(weights, "models_folder", lambda: models)
    code, events = run_here(SynthesisJob(out=str(tmp_path / "out"), ct=str(a_case / "ct.nrrd")))
    assert code == ExitCode.INPUT
    assert "SHA-256" in events[-1].message
    assert not (tmp_path / "out").exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(weights.models_folder(), models)
    registry = json.loads((models / "registry.json").read_text())
    default = next(model for model in registry["models"] if model["id"] == registry["default"])
    default["network"]["volume_widths"] = [8, 20, 48, 96, 64]
    (models / "registry.json").write_text(json.dumps(registry))
    with pytest.raises(weights.InputError, match="another network"):
        weights.load_network(weights.find_model(folder=models))


def hear_interrupts() -> None:
    """A shell that runs the tests in the background has their children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent the POSIX way")
@pytest.mark.parametrize(
    "stage", ["Reading", pytest.param("Synthesizing", marks=pytest.mark.slow), "Drawing", "Writing"]
)
def test_ctrl_c_leaves_nothing_behind(a_case: Path, tiny_models: Path, tmp_path: Path, stage: str) -> None:
    drawing = stage == "Drawing"  # a report takes long enough to be interrupted, after the small network too
    job = SynthesisJob(
        out=str(tmp_path / "out"), ct=str(a_case / "ct.nrrd"), segmentation=str(a_case / "labels.nrrd"), report=drawing
    )
    (tmp_path / "job.json").write_text(job.to_json())
    worker_of_job = ["-c", worker_code(tiny_models)] if drawing else ["-m", "TomoRayLib.worker"]
    command = [sys.executable, *worker_of_job, str(tmp_path / "job.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            if json.loads(line).get("stage") == stage:
                os.kill(worker.pid, signal.SIGINT)
                break
        last = [json.loads(line) for line in worker.stdout][-1]
        code = worker.wait(timeout=120)
    assert code == ExitCode.INTERRUPTED
    assert last["event"] == "error"
    assert {path.name for path in tmp_path.iterdir()} == {"job.json"}
