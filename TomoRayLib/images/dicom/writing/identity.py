"""Whose the written objects are: nobody's by default, or the patient's and the study's that a DICOM file names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.files import is_dicom, read_data_set
from TomoRayLib.images.dicom.header import value_of
from TomoRayLib.images.dicom.writing.uids import uid_from
from TomoRayLib.images.existing import existing_path
from TomoRayLib.images.quiet import no_warnings

ANONYMOUS_NAME = "SYNTHETIC^RESEARCH"
FIELD = "dicom_patient_from"
_EMPTY = ("PatientBirthDate", "PatientSex", "ReferringPhysicianName", "AccessionNumber")
_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_STUDY = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
)
_LEFT_OUT_IF_EMPTY = ("IssuerOfPatientID", "StudyDescription")
_SEXES = ("M", "F", "O")


@dataclass(frozen=True, eq=False)
class Identity:
    """Attributes of the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1), the same in all objects.

    Args:
        attributes: The data elements, with Specific Character Set (0008,0005) if they need one.
        is_patient: Whether they are a real patient's.
    """

    attributes: Dataset
    is_patient: bool

    @property
    def content(self) -> bytes:
        """All of it as bytes, for the seed of UIDs."""
        return self.attributes.to_json(suppress_invalid_tags=True).encode("utf-8")


def nobody(seed: str, made_at: datetime) -> Identity:
    """Return an identity of its own for a result, which tells nothing of a person.

    Args:
        seed: From ``seed_of``; it gives Patient ID and study, so that two results are not taken for one patient's.
        made_at: Local time of the making, the study's date.
    """
    attributes = Dataset()
    attributes.PatientName = ANONYMOUS_NAME
    attributes.PatientID = f"SYNTHETIC-{seed[:12].upper()}"
    for keyword in _EMPTY:
        setattr(attributes, keyword, "")
    attributes.PatientIdentityRemoved = "YES"
    attributes.DeidentificationMethod = "Made without the patient's identity"
    attributes.StudyInstanceUID = uid_from(seed, "study")
    attributes.StudyDate, attributes.StudyTime = made_at.strftime("%Y%m%d"), made_at.strftime("%H%M%S")
    attributes.StudyID = "SYNTHETIC"
    attributes.StudyDescription = "SYNTHETIC CT of the spine - research use only"
    return Identity(attributes, is_patient=False)


def identity_in(path: str | Path) -> Identity:
    """Read whose a DICOM file is, to write objects that a PACS files beside it.

    Args:
        path: Any image of the study: a radiograph, one slice of a CT.

    Returns:
        Patient and study as the file states them; text keeps the file's character set.

    Raises:
        InputError: If the file is none of DICOM, or states no study or no patient.
    """
    file = Path(path)
    existing_path(file)
    if not is_dicom(file):
        raise InputError(
            f"{file}: expected a DICOM file of the patient's study, got another file or a folder; choose one DICOM "
            "file, such as the AP radiograph.",
            FIELD,
        )
    dataset = read_data_set(file)
    study = str(value_of(dataset, "StudyInstanceUID") or "")
    if not UID(study).is_valid:
        raise InputError(
            f"{file}: expected a Study Instance UID (0020,000D), got {study or 'none'!r}; choose a file of the PACS.",
            FIELD,
        )
    if not value_of(dataset, "PatientID") and not value_of(dataset, "PatientName"):
        raise InputError(
            f"{file}: expected a Patient ID (0010,0020) or a Patient's Name (0010,0010), got neither; leave the "
            "patient out, or choose another file.",
            FIELD,
        )
    with no_warnings():  # of texts that are too long: they stay as the PACS knows them
        return Identity(_copied(dataset), is_patient=True)


def _copied(dataset: pydicom.Dataset) -> Dataset:
    """Patient and study of a data set; those that a PACS needs are empty where the file has none that is valid."""
    attributes = Dataset()
    for keyword in (*_PATIENT, *_STUDY):
        text = _text(value_of(dataset, keyword))
        if keyword.endswith("Date"):
            text = _date(text)
        elif keyword.endswith("Time"):
            text = _time(text)
        elif keyword == "PatientSex" and text not in _SEXES:
            text = ""
        if text or keyword not in _LEFT_OUT_IF_EMPTY:
            setattr(attributes, keyword, text)
    if any(not str(element.value).isascii() for element in attributes):
        attributes.SpecificCharacterSet = dataset.get("SpecificCharacterSet") or "ISO_IR 192"
    return attributes


def _text(value: object) -> str:
    return "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value or "")


def _date(text: str) -> str:
    """A date as DICOM has written it since 1993, without full stops; empty if it is none."""
    digits = text.replace(".", "").strip()
    try:
        datetime.strptime(digits, "%Y%m%d")
    except ValueError:
        return ""
    return digits if len(digits) == 8 else ""


def _time(text: str) -> str:
    """A time likewise, without colons."""
    digits = text.replace(":", "").strip()
    return digits if re.fullmatch(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", digits) else ""
