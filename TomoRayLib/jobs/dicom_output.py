"""The DICOM files of one case: its synthetic CT and vertebrae, nobody's or in a patient's study."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import TomoRayLib
from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.images.dicom.writing.identity import identity_in
from TomoRayLib.images.dicom.writing.making import Making
from TomoRayLib.images.dicom.writing.result import write_dicom
from TomoRayLib.jobs.case_result import CaseResult
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.provenance import DICOM_FOLDER


def write_dicom_of(result: CaseResult, folder: Path, made_at: str) -> None:
    """Write ``dicom/`` into the folder of a case, which the caller lets appear whole.

    Args:
        result: The case, whose job asks for DICOM.
        folder: The folder of its results.
        made_at: Its time in ISO format, as its provenance states it.

    Raises:
        InputError: If the file that names the patient cannot be used any more.
    """
    job, spine, entry = result.job, result.synthetic.spine, result.model.entry
    making = Making(
        software_version=TomoRayLib.__version__,
        model_id=entry.id,
        weights_sha256=entry.sha256,
        made_at=datetime.fromisoformat(made_at).astimezone(),
        made_from=_made_from(job),
        numbering_unsure=None if spine is None else spine.numbering == UNSURE,
        numbered_from=NAME_OF_LABEL[spine.named.number] if spine is not None and spine.named is not None else None,
    )
    patient = None if job.dicom_patient_from is None else identity_in(job.dicom_patient_from)
    place = folder / DICOM_FOLDER
    place.mkdir()
    write_dicom(place, result.hu, result.synthetic.vertebrae(), making, patient)


def _made_from(job: SynthesisJob) -> str:
    if job.study is not None:
        return "the two scouts of a CT"
    return "two radiographs" if job.ct is None else "two radiographs rendered from a CT"
