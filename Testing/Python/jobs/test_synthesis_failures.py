"""Answers of a synthesis to bad input, damaged weights and Ctrl-C: a sentence, a code, and nothing left behind."""

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

from support.synthesis_runs import Events, run_here
from support.tiny_model import worker_code
from TomoRayLib import weights
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_image_2d, write_volume
from TomoRayLib.jobs.events import ExitCode, Failed
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.synthesis.settings import GeometryOptions


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
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


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
    registry = json.loads((models / "registry.json").read_text(encoding="utf-8"))
    default = next(model for model in registry["models"] if model["id"] == registry["default"])
    default["network"]["volume_widths"] = [8, 20, 48, 96, 64]
    (models / "registry.json").write_text(json.dumps(registry))
    with pytest.raises(weights.InputError, match="another network"):
        weights.load_network(weights.find_model(folder=models))


def hear_interrupts() -> None:
    """A shell that runs the tests in the background has their children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


# The real worker, which interrupts itself once it has told that it writes.
INTERRUPTED_AS_IT_WRITES = """
import os, signal, sys
from TomoRayLib import worker
from TomoRayLib.base.one_job_process import run_one_job
tell = worker.print_event
def tell_and_interrupt(event):
    tell(event)
    if getattr(event, "stage", "") == "Writing":
        os.kill(os.getpid(), signal.SIGINT)
worker.print_event = tell_and_interrupt
run_one_job(lambda: worker.main([sys.argv[-1]]))
"""


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
    if stage == "Writing":  # over in a tenth of a second
        worker_of_job = ["-c", INTERRUPTED_AS_IT_WRITES]
    command = [sys.executable, *worker_of_job, str(tmp_path / "job.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            if json.loads(line).get("stage") == stage:
                if stage != "Writing":
                    os.kill(worker.pid, signal.SIGINT)
                break
        last = [json.loads(line) for line in worker.stdout][-1]
        code = worker.wait(timeout=120)
    assert code == ExitCode.INTERRUPTED
    assert last["event"] == "error"
    assert {path.name for path in tmp_path.iterdir()} == {"job.json"}
