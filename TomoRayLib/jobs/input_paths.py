"""Whether a job can begin: its files are there and its device has a name, asked before anything slow is loaded."""

from __future__ import annotations

from TomoRayLib.base.device_names import check_device_name
from TomoRayLib.images.dicom.writing.installed import check_can_write_segmentations
from TomoRayLib.images.existing import existing_path
from TomoRayLib.jobs.job import ProjectionJob, SegmentationJob, SynthesisJob
from TomoRayLib.jobs.naming import check_model_counts
from TomoRayLib.synthesis.geometry_files import read_views
from TomoRayLib.synthesis.matrix_files import read_matrices
from TomoRayLib.weights import find_model


def check_can_begin(job: SynthesisJob | ProjectionJob | SegmentationJob) -> None:
    """Raise InputError, in the words that the job would end with later, for what can be told at once.

    Looked at are images, segmentation and geometry files, the name of the device, whether the model tells apart the
    vertebrae that are asked for one by one, and what DICOM output needs. The folder of a study is left to its reader,
    which says more.
    """
    named = (job.ap, job.lateral) if isinstance(job, SynthesisJob) else ()
    for path in (job.ct, *named, job.segmentation):
        if path is not None:
            existing_path(path)
    if not isinstance(job, ProjectionJob):
        check_device_name(job.device)
    if isinstance(job, SynthesisJob):
        check_model_counts(job, find_model(job.model))
    if not isinstance(job, SegmentationJob):
        if job.geometry.file is not None:
            read_views(job.geometry.file)
        for name, field in (("AP", "ap_matrix_file"), ("lateral", "lateral_matrix_file")):
            matrix = job.geometry.matrix_file(name)
            if matrix is not None:
                read_matrices(matrix, field)
    if isinstance(job, SynthesisJob) and job.dicom:
        check_can_write_segmentations()
        if job.dicom_patient_from is not None:
            from TomoRayLib.images.dicom.writing.identity import identity_in

            identity_in(job.dicom_patient_from)
