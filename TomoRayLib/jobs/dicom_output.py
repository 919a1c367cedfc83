"""The DICOM files of one case: its synthetic CT and vertebrae, nobody's or in a patient's study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from TomoRayLib.images.dicom.writing.identity import identity_in
from TomoRayLib.images.dicom.writing.making import making_of
from TomoRayLib.images.dicom.writing.result import write_dicom
from TomoRayLib.jobs.case_result import CaseResult
from TomoRayLib.jobs.provenance import DICOM_FOLDER


def write_dicom_of(result: CaseResult, folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write ``dicom/`` into the folder of a case, which the caller lets appear whole.

    Args:
        result: The case, whose job asks for DICOM.
        folder: The folder of its results.
        provenance: How it was made, as ``CaseResult.provenance`` states it.

    Raises:
        InputError: If the file that names the patient cannot be used any more.
    """
    file = result.job.dicom_patient_from
    patient = None if file is None else identity_in(file)
    place = folder / DICOM_FOLDER
    place.mkdir()
    write_dicom(place, result.hu, result.synthetic.vertebrae(), making_of(provenance), patient)
