"""A patient whose every identifying attribute holds a word that is nowhere else, as DICOM files of each kind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import generate_uid

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from support.dicom_files import a_radiograph_file
from support.dicom_stacks import a_lopsided_ct, slices_of, write_folder
from support.labelled_cts import written
from support.scout_studies import write_study
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes

UID_ROOT = "1.2.826.0.1.3680043.8.498.7731904488"
# Words by the attributes that they stand in; each is looked for alone
MARKS: dict[str, str] = {
    "PatientName": "Qwizzlethorp^Zadokina",
    "PatientID": "PQX-5581127",
    "IssuerOfPatientID": "Issuerqx",
    "OtherPatientIDs": "ZZW-9081734",
    "OtherPatientNames": "Fjordwick^Aliasa",
    "PatientBirthName": "Bornwexley",
    "PatientMotherBirthName": "Motherwexley",
    "PatientBirthDate": "19470913",
    "PatientBirthTime": "031447.918273",
    "PatientAddress": "Puertolapicewx 7",
    "PatientTelephoneNumbers": "0049-555-771-2",
    "PatientComments": "Rocinantewq",
    "EthnicGroup": "Ethnqwz",
    "Occupation": "Windmillerqz",
    "MilitaryRank": "Colonelwqz",
    "PatientInsurancePlanCodeSequence": "Insurqwz",
    "MedicalRecordLocator": "Locqwzx",
    "AccessionNumber": "ACC77419X",
    "StudyID": "SID9931X",
    "StudyDescription": "LWS of Zorbulina",
    "SeriesDescription": "Lateral of Grumbelina",
    "ProtocolName": "Protoqwxz",
    "ImageComments": "Dulcineawqx",
    "DerivationDescription": "Derivwqxz",
    "ReasonForTheRequestedProcedure": "Reasonwqxz",
    "RequestedProcedureDescription": "Requestwqxz",
    "PerformedProcedureStepDescription": "Performedwqxz",
    "AdmittingDiagnosesDescription": "Diagnoswqxz",
    "AdditionalPatientHistory": "Historywqxz",
    "InstitutionName": "Sanktnirgendwq",
    "InstitutionAddress": "Nirgendgassewq 3",
    "InstitutionalDepartmentName": "Departwqxz",
    "StationName": "STATIONWQXZ",
    "DeviceSerialNumber": "SER-4471X9",
    "ReferringPhysicianName": "Panzawq^Sanchowq",
    "PerformingPhysicianName": "Carrascowq^Samsonwq",
    "NameOfPhysiciansReadingStudy": "Readerwqxz",
    "OperatorsName": "Operatorwqxz",
    "RequestingPhysician": "Requesterwqxz",
    "StudyInstanceUID": f"{UID_ROOT}.1",
    "FrameOfReferenceUID": f"{UID_ROOT}.2",
    "StudyDate": "20190817",
    "StudyTime": "113359.771",
}
PRIVATE = "Privatewqxz"
# What --dicom-patient-from copies, as docs/outputs.md says
MEANT = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip


def words() -> dict[str, tuple[str, ...]]:
    """The words to look for by attribute: both parts of a name alone as well."""
    found = {keyword: (text, *(part for part in text.split("^") if "^" in text)) for keyword, text in MARKS.items()}
    return {**found, "private attributes": (PRIVATE,), "UIDs": (UID_ROOT,)}


def marked(dataset: pydicom.Dataset, study: int = 1) -> None:
    """Put the words into a data set of the patient's first or another study."""
    for keyword, text in MARKS.items():
        if keyword.endswith("Sequence"):
            item = pydicom.Dataset()
            item.CodeMeaning = text
            setattr(dataset, keyword, [item])
        elif keyword != "FrameOfReferenceUID":
            setattr(dataset, keyword, text)
    dataset.StudyInstanceUID = f"{UID_ROOT}.{study}"
    block = dataset.private_block(0x0029, PRIVATE.upper(), create=True)
    block.add_new(0x10, "LO", PRIVATE)


def mark_files(folder: Path, study: int = 1) -> None:
    """Mark every DICOM file below a folder; series and frames of reference stay apart."""
    names: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".nrrd", ".gz"):
            continue
        dataset = pydicom.dcmread(path)
        marked(dataset, study)
        for keyword in ("SeriesInstanceUID", "FrameOfReferenceUID"):
            if keyword in dataset:
                known = names.setdefault(str(dataset[keyword].value), f"{UID_ROOT}.{len(names) + 11}")
                setattr(dataset, keyword, known)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(f"{UID_ROOT}.9.")
        dataset.save_as(path, enforce_file_format=True)


def write_radiographs(folder: Path) -> dict[str, Path]:
    """An AP and a lateral radiograph of the patient."""
    rng = np.random.default_rng(8)
    folder.mkdir(parents=True)
    paths = {}
    for name, orientation in (("ap", ["L", "F"]), ("lateral", ["P", "F"])):
        image = rng.integers(200, 900, (260, 210)).astype(np.uint16)
        image[:, 80:130] += 1500
        paths[name] = folder / f"{name}.dcm"
        values: dict[str, Any] = {"ImagerPixelSpacing": [1.2, 1.3], "DistanceSourceToDetector": 1500}
        a_radiograph_file(paths[name], image, PatientOrientation=orientation, **values)
    mark_files(folder)
    return paths


def write_ct(folder: Path) -> tuple[Path, Path]:
    """The built-in phantom as the patient's CT in DICOM, and its labels as NRRD."""
    ct, labels = phantom_volumes()
    folder.mkdir(parents=True)
    thin = Volume(ct.voxels.astype(np.int16), ct.grid)
    write_folder(folder / "ct", slices_of(thin), FrameOfReferenceUID="1.2.3.4")
    write_volume(folder / "labels.nrrd", labels)
    mark_files(folder / "ct")
    return folder / "ct", folder / "labels.nrrd"


def write_cohort(folder: Path) -> Path:
    """Two studies with scouts, each with a segmentation beside it."""
    for number, name in ((3, "p1"), (4, "p2")):
        body = write_study(folder / name)
        mark_files(folder / name, number)
        write_volume(folder / f"{name}_seg.nrrd", Volume((body.voxels == 450).astype(np.uint8), body.grid))
    return folder


def write_odd_cohort(folder: Path) -> Path:
    """Pairs of volumes: one that can be scored, one that is cut short, one whose mask is no label map, one alone."""
    for name in ("whole", "short", "odd"):
        written(folder / f"{name}.nii.gz", folder / f"{name}_seg.nii.gz")
    (folder / "short.nii.gz").write_bytes((folder / "short.nii.gz").read_bytes()[:900])
    (folder / "odd_seg.nii.gz").write_bytes((folder / "odd.nii.gz").read_bytes())
    (folder / "alone.nii.gz").write_bytes((folder / "whole.nii.gz").read_bytes())
    return folder


def write_predictions(folder: Path) -> Path:
    """Another method's volumes of that cohort, of which one is damaged and the others are missing."""
    folder.mkdir()
    (folder / "predictions.toml").write_text('like = "swin-x2s"\n', encoding="utf-8")
    for name in ("whole", "short"):
        (folder / f"{name}.nii.gz").write_bytes(b"no volume")
    return folder


def write_two_series(folder: Path) -> Path:
    """A folder with two series of the patient, which is refused."""
    for number in (1, 2):
        series = {"SeriesInstanceUID": generate_uid(), "SeriesNumber": number}
        (folder / f"{number}").mkdir(parents=True)
        for path in write_folder(folder / f"{number}", slices_of(a_lopsided_ct()), **series).iterdir():
            path.rename(folder / f"{number}{path.name}")
        (folder / f"{number}").rmdir()
    mark_files(folder)
    return folder
