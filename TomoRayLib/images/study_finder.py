"""Finding a cohort of DICOM studies: CTs with their scouts, one study in each folder, and segmentations of them.

==============================  ======================================================================================
study                           segmentation
==============================  ======================================================================================
``DATA/<study>/`` with DICOM    ``DATA/<study>_seg.nii.gz`` (any ending and suffix of a pair of files, .dcm too), else
files, in folders of any depth  one in the study's own folder: ``seg.nii.gz``, ``labels.nrrd``, ``<any>_seg.nii.gz``,
                                ...; or a folder ``<study>_seg/`` of ``vertebrae_*.nii.gz``
==============================  ======================================================================================

Of DICOM files only Patient ID and Study Instance UID of one file in each folder are read, to tell studies and patients
apart; neither is kept.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from TomoRayLib.base.files import MANIFEST_NAME
from TomoRayLib.images.cohort_finder import (
    ENDINGS,
    NO_SEGMENTATION,
    OWN_RESULTS,
    SEVERAL_SEGMENTATIONS,
    Cohort,
    CohortCase,
    LeftOut,
    UnlabelledCase,
    segmentation_key_of,
)
from TomoRayLib.images.dicom.files import is_dicom
from TomoRayLib.images.dicom.header import value_of
from TomoRayLib.images.dicom.series import DicomFile, read_dicom_file

NO_STUDY = "segmentation without a study of its name"
VOLUME_BESIDE_STUDIES = "volume beside studies, whose radiographs are real; score it in a run of its own"
NO_DICOM = "folder without DICOM files"
_DISC_LIST = "DICOMDIR"
_NOT_DICOM = (*ENDINGS, ".json", ".txt", ".csv", ".html", ".png", ".jpg", ".pdf", ".zip")


@dataclass(frozen=True)
class LabelledStudy(CohortCase):
    """A DICOM study with scouts, whose folder is ``ct``, and a segmentation of its CT."""


@dataclass(frozen=True)
class UnlabelledStudy(UnlabelledCase):
    """A DICOM study with scouts, whose folder is ``ct``, without a segmentation."""


def is_study(case: CohortCase | UnlabelledCase) -> bool:
    """Return whether a case is a study, with real radiographs."""
    return isinstance(case, LabelledStudy | UnlabelledStudy)


def find_studies(folder: Path, include_unlabelled: bool = False) -> Cohort | None:
    """Find the DICOM studies in a folder, one in each folder directly within it.

    If all of these folders are of one study, as its series are, the folder itself is the study. Studies of one patient
    get one ``subject``. Whether a study has a CT and both scouts shows when it is read.

    Args:
        folder: The top folder.
        include_unlabelled: Also return studies without a segmentation, as ``Cohort.unlabelled``.

    Returns:
        The studies in the order of their names, and what was left out; None if no folder within it holds DICOM files.
    """
    if not folder.is_dir():
        return None
    folder = folder.absolute()
    below = sorted(item for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))
    own = [item for item in below if (item / MANIFEST_NAME).is_file()]
    found = {item: first for item in below if item not in own and (first := _first_dicom(item)) is not None}
    if not found:
        return None
    headers = {item: first.dataset for item, first in found.items()}
    uids = {str(value_of(header, "StudyInstanceUID") or "") for header in headers.values()}
    if len(found) > 1 and len(uids) == 1 and "" not in uids:
        headers = {folder: next(iter(headers.values()))}
    subjects: dict[str, str] = {}
    cases: list[CohortCase] = []
    unlabelled: list[UnlabelledCase] = []
    left_out = [LeftOut(item, OWN_RESULTS) for item in own]
    used: set[Path] = set()
    for study, header in headers.items():
        name = study.resolve().name
        patient = str(value_of(header, "PatientID") or "")
        subject = subjects.setdefault(patient, name) if patient else name
        masks = _segmentations_of(study, folder)
        used |= set(masks)
        if len(masks) > 1:
            left_out.append(LeftOut(study, SEVERAL_SEGMENTATIONS))
        elif masks:
            cases.append(LabelledStudy(name, subject, study, masks[0]))
        elif include_unlabelled:
            unlabelled.append(UnlabelledStudy(name, subject, study))
        else:
            left_out.append(LeftOut(study, NO_SEGMENTATION))
    left_out += [LeftOut(item, NO_DICOM) for item in below if item not in (*own, *found, *used)]
    for item in sorted(folder.iterdir()):
        if item.is_file() and item not in used and item.name.lower().endswith(ENDINGS):
            left_out.append(LeftOut(item, VOLUME_BESIDE_STUDIES if segmentation_key_of(item) is None else NO_STUDY))
    return Cohort(folder, tuple(cases), tuple(left_out), tuple(unlabelled))


def _first_dicom(folder: Path) -> DicomFile | None:
    """The first DICOM file within a folder, by path, that names its study; without one the first file at all.

    A DICOMDIR, which lists the files of a disc, is none.
    """
    without_study = None
    for place, below, names in os.walk(folder, followlinks=True):
        below.sort()
        for name in sorted(names):
            path = Path(place) / name
            if name.startswith(".") or name.lower().endswith(_NOT_DICOM) or name.upper() == _DISC_LIST:
                continue
            if not is_dicom(path):
                continue
            file = read_dicom_file(path)
            if value_of(file.dataset, "StudyInstanceUID"):
                return file
            if without_study is None and not file.lists_files:
                without_study = file
    return without_study


def _segmentations_of(study: Path, folder: Path) -> list[Path]:
    """The segmentations beside a study that name it; without any, those in its own folder."""
    beside = [] if study == folder else [item for item in sorted(folder.iterdir()) if _names(item, study.name)]
    if beside:
        return beside
    return [item for item in sorted(study.iterdir()) if item.is_file() and segmentation_key_of(item) is not None]


def _names(item: Path, study: str) -> bool:
    """True for a segmentation, or a folder of structures, that names a study."""
    if item.is_dir():
        return segmentation_key_of(item) == study and any(item.glob("vertebrae_*"))
    plain = item.with_suffix(".nii") if item.suffix.lower() == ".dcm" else item
    return segmentation_key_of(plain) == study
