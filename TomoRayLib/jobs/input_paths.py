"""Whether the files that a job names are there, asked before anything slow is loaded."""

from __future__ import annotations

from TomoRayLib.images.existing import existing_path
from TomoRayLib.jobs.job import ProjectionJob, SegmentationJob, SynthesisJob


def check_input_paths(job: SynthesisJob | ProjectionJob | SegmentationJob) -> None:
    """Raise InputError, in the words that reading it would end with, for a file or folder that is not there.

    The folder of a study is left to its reader, which says more.
    """
    named = (job.ap, job.lateral) if isinstance(job, SynthesisJob) else ()
    for path in (job.ct, *named):
        if path is not None:
            existing_path(path)
