"""A run that is asked for DICOM: the folder of files, whose they are, and what is refused before the long work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from support.synthesis_runs import Events, run_here
from support.written_dicom import PERSON, a_file_of_a_person, complaints, need, said_by
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.jobs.events import ExitCode, Finished, StageBegun
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.job_files import job_from_json
from TomoRayLib.weights import find_model

QUICK = {"fov_mm": 192.0, "comparison": False, "report": False}


@pytest.fixture(scope="module")
def a_run(a_case: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Events]:
    out = tmp_path_factory.mktemp("dicom") / "out"
    code, events = run_here(SynthesisJob(out=str(out), ct=str(a_case / "ct.nrrd"), dicom=True, **QUICK))
    assert code == ExitCode.DONE
    return out, events


def test_the_series_and_the_segmentation_are_the_nrrd_files(a_run: tuple[Path, Events]) -> None:
    folder, _ = a_run
    synthetic, labels = read_volume(folder / "synthetic_ct.nrrd"), read_labels(folder / "synthetic_vertebrae.nrrd")
    series = read_volume(folder / "dicom" / "ct")
    assert series.grid.same_as(synthetic.grid, tolerance_mm=1e-5)
    np.testing.assert_array_equal(series.voxels, synthetic.voxels)
    read = read_labels(folder / "dicom" / "vertebrae.dcm")
    on_all = resample(read, labels.grid, Interpolation.NEAREST, fill=0)
    np.testing.assert_array_equal(on_all.voxels, labels.voxels)


def test_the_files_name_model_and_vertebrae_and_nobody(a_run: tuple[Path, Events]) -> None:
    folder, events = a_run
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    one = pydicom.dcmread(folder / "dicom" / "vertebrae.dcm")
    made_by = one.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert find_model().sha256 in made_by.AlgorithmParameters
    assert one.ManufacturerModelName == provenance["model"]["id"]
    found = {vertebra["name"] for vertebra in provenance["vertebrae"]}
    assert {segment.SegmentLabel for segment in one.SegmentSequence} == found <= set(NAME_OF_LABEL.values())
    unsure = provenance["numbering"] == "unsure"
    assert ("Numbering unsure" in one.SegmentSequence[0].SegmentDescription) is unsure
    assert str(one.PatientName) == "SYNTHETIC^RESEARCH"
    last = next(event for event in events if isinstance(event, Finished))
    assert last.values["dicom"] == provenance["dicom"]
    assert [name for name in last.values["files"] if "dicom" in name] == ["dicom/ct", "dicom/vertebrae.dcm"]
    assert provenance["dicom"]["names_a_patient"] is False
    derivation = pydicom.dcmread(folder / "dicom" / "ct" / "0001.dcm").DerivationDescription
    assert "two radiographs rendered from a CT" in derivation


def test_validators_pass_a_whole_result(a_run: tuple[Path, Events]) -> None:
    need("dciodvfy", "dcentvfy", "dcmftest")
    folder, _ = a_run
    files = sorted((folder / "dicom").rglob("*.dcm"))
    assert len(files) == 193
    assert said_by("dcentvfy", *files) == []
    assert len([line for line in said_by("dcmftest", *files) if line.startswith("yes")]) == 193
    for path in (files[0], files[100], folder / "dicom" / "vertebrae.dcm"):
        assert complaints(said_by("dciodvfy", path), "Error") == []


def test_a_patients_name_is_in_the_dicom_files_alone_and_goes_with_the_next_run(
    a_case: Path, tiny_model: None, tmp_path: Path
) -> None:
    out, ct = tmp_path / "out", str(a_case / "ct.nrrd")
    named = a_file_of_a_person(tmp_path)
    job = SynthesisJob(out=str(out), ct=ct, dicom=True, dicom_patient_from=str(named), **QUICK)
    assert run_here(job)[0] == ExitCode.DONE
    one = pydicom.dcmread(out / "dicom" / "ct" / "0048.dcm")
    assert (str(one.PatientName), one.StudyInstanceUID) == (PERSON["PatientName"], PERSON["StudyInstanceUID"])
    provenance = (out / "provenance.json").read_text(encoding="utf-8")
    assert json.loads(provenance)["dicom"]["names_a_patient"] is True
    assert not [value for value in ("Müller", PERSON["PatientID"], PERSON["StudyInstanceUID"]) if value in provenance]
    assert run_here(SynthesisJob(out=str(out), ct=ct, **QUICK))[0] == ExitCode.DONE
    assert not (out / "dicom").exists()
    assert "dicom" not in json.loads((out / "provenance.json").read_text(encoding="utf-8"))


def test_without_highdicom_a_run_ends_before_it_reads(
    a_case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("TomoRayLib.images.dicom.writing.installed.find_spec", lambda name: None)
    code, events = run_here(SynthesisJob(out=str(tmp_path / "out"), ct=str(a_case / "ct.nrrd"), dicom=True))
    assert code == ExitCode.INPUT
    assert "pip install highdicom" in events[-1].message
    assert not [event for event in events if isinstance(event, StageBegun)]
    assert not (tmp_path / "out").exists()


def test_a_patient_without_dicom_output_is_refused() -> None:
    with pytest.raises(InputError, match="belongs to DICOM output"):
        SynthesisJob(out="out", ct="ct.nrrd", dicom_patient_from="ap.dcm")


def test_the_settings_survive_the_jobs_file() -> None:
    job = SynthesisJob(out="out", ct="ct.nrrd", dicom=True, dicom_patient_from="ap.dcm")
    assert job_from_json(job.to_json()) == job
