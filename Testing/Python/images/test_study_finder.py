"""Which folders are studies with scouts, which segmentation is whose, and that patients stay unnamed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from support.dicom_files import a_dataset
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.cohort_finder import Cohort
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.study_finder import find_studies, is_study

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def a_study(folder: Path, patient: str, uid: str | None = None) -> Path:
    """One DICOM file two folders down, as archives export it, beside files that are none."""
    place = folder / "DICOM" / "SER00001"
    place.mkdir(parents=True)
    (folder / "readme.txt").write_text("exported")
    a_dataset(
        CT_CLASS,
        np.zeros((4, 4), np.int16),
        Modality="CT",
        PatientID=patient,
        StudyInstanceUID=uid or generate_uid(),
    ).save_as(place / "IM000001", enforce_file_format=True)
    return folder


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(cohort: Cohort | None) -> dict[str, str]:
    assert cohort is not None
    return {case.name: cohort.relative(case.segmentation) for case in cohort.cases}


def test_segmentations_lie_beside_a_study_or_in_it(tmp_path: Path) -> None:
    for n, name in enumerate(("p01", "p02", "p03", "p04", "p05", "p06")):
        a_study(tmp_path / name, f"patient {n}")
    touched(
        tmp_path / "p01_seg.nii.gz",
        tmp_path / "p02" / "labels.nrrd",
        tmp_path / "p03_mask" / "vertebrae_L3.nii.gz",
        tmp_path / "p04_seg.nii.gz",
        tmp_path / "p04.seg.nrrd",
        tmp_path / "p05_seg.dcm",
        tmp_path / "p07_seg.nii.gz",
        tmp_path / "other.nii.gz",
        tmp_path / "notes" / "list.csv",
    )
    cohort = find_studies(tmp_path)
    assert names(cohort) == {
        "p01": "p01_seg.nii.gz",
        "p02": "p02/labels.nrrd",
        "p03": "p03_mask",
        "p05": "p05_seg.dcm",
    }
    assert cohort is not None
    assert {cohort.relative(item.path): item.reason.partition(",")[0] for item in cohort.left_out} == {
        "p04": "CT with several segmentations of its name",
        "p06": "CT without a segmentation",
        "p07_seg.nii.gz": "segmentation without a study of its name",
        "other.nii.gz": "volume beside studies",
        "notes": "folder without DICOM files",
    }
    assert all(is_study(case) for case in cohort.cases)
    asked = find_studies(tmp_path, include_unlabelled=True)
    assert asked is not None
    assert [case.name for case in asked.unlabelled] == ["p06"]


def test_two_studies_of_one_patient_are_one_subject_that_is_not_named(tmp_path: Path) -> None:
    for name, patient in (("2024", "Miller-77"), ("2025", "Miller-77"), ("other", "Smith-3"), ("unknown", "")):
        a_study(tmp_path / name, patient)
    cohort = find_studies(tmp_path, include_unlabelled=True)
    assert cohort is not None
    subjects = {case.name: case.subject for case in cohort.unlabelled}
    assert subjects == {"2024": "2024", "2025": "2024", "other": "other", "unknown": "unknown"}
    assert "Miller" not in repr(cohort)


def a_disc(folder: Path, patient: str, uid: str, list_name: str = "DICOMDIR") -> None:
    """A study as it is burnt onto a CD, with the list of its files beside them."""
    stored = a_dataset(
        CT_CLASS,
        np.zeros((4, 4), np.int16),
        Modality="CT",
        PatientID=patient,
        StudyInstanceUID=uid,
        SeriesInstanceUID=generate_uid(),
        StudyDate="20240102",
        StudyTime="101112",
        StudyID="1",
        SeriesNumber=1,
        InstanceNumber=1,
    )
    disc = FileSet()
    disc.add(stored)
    disc.write(folder)
    (folder / "DICOMDIR").rename(folder / list_name)


@pytest.mark.parametrize("list_name", ["DICOMDIR", "dicomdir", "DIR.DCM"])
def test_the_list_of_files_on_a_disc_is_no_file_of_its_study(tmp_path: Path, list_name: str) -> None:
    for name in ("p1", "p2"):
        a_disc(tmp_path / "patient" / name, "Miller-77", generate_uid(), list_name)
        a_disc(tmp_path / "study" / name, "Miller-77", "1.2.3", list_name)
    (tmp_path / "empty" / "p1").mkdir(parents=True)
    shutil.copy(tmp_path / "patient" / "p1" / list_name, tmp_path / "empty" / "p1")
    cohort = find_studies(tmp_path / "patient", include_unlabelled=True)
    assert cohort is not None
    assert {case.name: case.subject for case in cohort.unlabelled} == {"p1": "p1", "p2": "p1"}
    series = find_studies(tmp_path / "study", include_unlabelled=True)
    assert series is not None
    assert [case.name for case in series.unlabelled] == ["study"]
    assert find_studies(tmp_path / "empty") is None


@pytest.mark.parametrize("name", ["disc", "disc/DICOMDIR"])
def test_the_list_of_files_on_a_disc_is_no_ct(tmp_path: Path, name: str) -> None:
    a_disc(tmp_path / "disc", "Miller-77", "1.2.3")
    with pytest.raises(InputError, match=r"holds the slices themselves|\(DICOMDIR\); choose the folder on the disc"):
        read_volume(tmp_path / name)


@pytest.mark.parametrize("uid", ["1.2.3", None])
def test_folders_of_one_study_are_its_series(tmp_path: Path, uid: str | None) -> None:
    folder = tmp_path / "exported"
    for name in ("scout", "axial"):
        a_study(folder / name, "x", uid)
    touched(folder / "segmentation.nii.gz")
    cohort = find_studies(folder, include_unlabelled=True)
    assert cohort is not None
    if uid is None:
        assert [case.name for case in cohort.unlabelled] == ["axial", "scout"]
    else:
        assert names(cohort) == {"exported": "segmentation.nii.gz"}


def test_a_folder_without_dicom_files_is_no_cohort_of_studies(tmp_path: Path) -> None:
    touched(tmp_path / "s0308" / "ct.nii.gz", tmp_path / "s0308" / "labels.nii.gz")
    assert find_studies(tmp_path) is None
    assert find_studies(tmp_path / "absent") is None
