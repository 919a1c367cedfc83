"""A CT study with its scouts, from DICOM files to a folder of results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.scout_studies import CONVENTIONS, write_study
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.events import Event, Finished
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.synthesis import run_synthesis
from TomoRayLib.synthesis.settings import GeometryOptions

CENTER_MM = (10.0, -136.0, -570.0)


@pytest.mark.usefixtures("tiny_model")
def test_a_study_goes_from_its_scouts_to_scores_against_its_ct(tmp_path: Path) -> None:
    body = write_study(tmp_path / "study", CONVENTIONS["rows along the body"])
    write_volume(tmp_path / "spine.nrrd", Volume((body.voxels == 450).astype(np.uint8), body.grid))
    events: list[Event] = []
    job = SynthesisJob(
        str(tmp_path / "out"),
        study=str(tmp_path / "study"),
        segmentation=str(tmp_path / "spine.nrrd"),
        labels="whole-spine",
        report=False,
        geometry=GeometryOptions(isocenter_mm=CENTER_MM),
    )
    run_synthesis(job, events.append)
    values = next(event for event in events if isinstance(event, Finished)).values
    assert set(values["metrics"]["rows"]) >= {"tomoray", "blank"}
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["inputs"]["study"]["name"] == "study"
    assert provenance["views"]["center_mm"] == list(CENTER_MM)
    assert provenance["views"]["lateral"]["beam"]["kind"] == "slot"
    synthetic = sitk.ReadImage(str(tmp_path / "out" / "synthetic_ct.nrrd"))
    middle = synthetic.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in synthetic.GetSize()])
    np.testing.assert_allclose(middle, CENTER_MM, atol=1e-3)
    said = " ".join(str(event) for event in events) + (tmp_path / "out" / "provenance.json").read_text(encoding="utf-8")
    assert "somebody" not in said
    assert "Secret" not in said
    again = SynthesisJob(
        str(tmp_path / "again"),
        ap=str(tmp_path / "out" / "ap.nrrd"),
        lateral=str(tmp_path / "out" / "lat.nrrd"),
        report=False,
    )
    run_synthesis(again, lambda event: None)
    one, other = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name / "synthetic_ct.nrrd"))) for name in ("out", "again")
    )
    np.testing.assert_allclose(one, other, atol=2.0)
    moved = replace(again, geometry=GeometryOptions(isocenter_mm=(0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="views lie about different points"):
        run_synthesis(moved, lambda event: None)


def test_a_study_goes_with_no_other_image(tmp_path: Path) -> None:
    for others in ({"ct": "a.nii"}, {"ap": "a.png", "lateral": "b.png"}, {"ap": "a.png"}):
        with pytest.raises(InputError, match="a study or other images, got both"):
            SynthesisJob("out", study="study", **others)
    with pytest.raises(InputError, match="Mirroring, turning and inverting"):
        SynthesisJob("out", study="study", flip_ap=True)
    with pytest.raises(InputError, match="no CT series"):
        run_synthesis(SynthesisJob(str(tmp_path / "out"), study=str(tmp_path)), lambda event: None)
    assert not (tmp_path / "out").exists()
