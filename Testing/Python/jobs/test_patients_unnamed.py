"""Nothing that TomoRay writes or says holds who the patient is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.byte_search import words_below, words_in
from support.dicom_files import a_radiograph_file
from support.scout_studies import write_study
from TomoRayLib.jobs.events import Event, to_json
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.synthesis import run_synthesis
from TomoRayLib.synthesis.settings import GeometryOptions

PATIENT = {
    "PatientName": "Quixote^Alonso",
    "PatientID": "QX-558112",
    "OtherPatientIDs": "ZZ-90817",
    "PatientBirthDate": "19470913",
    "PatientAddress": "Puerto Lapice",
    "AccessionNumber": "ACC7741",
    "ReferringPhysicianName": "Panza^Sancho",
    "InstitutionName": "Sankt Nirgend",
    "PatientComments": "Rocinante",
    "BodyPartExamined": "LSPINE",
    "StudyDescription": "LWS Quixote",
    "SeriesDescription": "Alonso lateral",
    "ImageComments": "Dulcinea",
}
WORDS = ("quixote", "alonso", "558112", "90817", "19470913", "lapice", "acc7741", "panza", "nirgend", "rocinante")


def unnamed(folder: Path, events: list[Event]) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"provenance.json", "synthetic_ct.nrrd", "report.html"} <= {path.name for path in files}
    assert words_below(folder, WORDS) == {}
    assert words_in("\n".join(to_json(event) for event in events).encode(), WORDS) == []


@pytest.mark.usefixtures("tiny_model")
def test_no_result_of_two_radiographs_holds_the_patient(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    for name, orientation in (("ap", ["L", "F"]), ("lateral", ["P", "F"])):
        image = rng.integers(200, 900, (260, 210)).astype(np.uint16)
        image[:, 80:130] += 1500
        a_radiograph_file(
            tmp_path / f"{name}.dcm",
            image,
            ImagerPixelSpacing=[1.2, 1.3],
            DistanceSourceToDetector=1500,
            PatientOrientation=orientation,
            **PATIENT | ({"PatientID": "QX-558112-B"} if name == "ap" else {}),
        )
    events: list[Event] = []
    job = SynthesisJob(str(tmp_path / "out"), ap=str(tmp_path / "ap.dcm"), lateral=str(tmp_path / "lateral.dcm"))
    run_synthesis(job, events.append)
    unnamed(tmp_path / "out", events)
    assert any("different patients" in str(event) for event in events)


@pytest.mark.usefixtures("tiny_model")
def test_no_result_of_a_study_holds_the_patient(tmp_path: Path) -> None:
    values = {key: value for key, value in PATIENT.items() if key != "PatientID"}
    write_study(tmp_path / "study", **values)
    events: list[Event] = []
    job = SynthesisJob(
        str(tmp_path / "out"),
        study=str(tmp_path / "study"),
        geometry=GeometryOptions(isocenter_mm=(10.0, -136.0, -570.0)),
        segment=False,
    )
    run_synthesis(job, events.append)
    unnamed(tmp_path / "out", events)
    assert not any(word in str(event) for event in events for word in ("somebody", "Secret"))
