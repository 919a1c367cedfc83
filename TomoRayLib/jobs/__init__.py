"""Complete pieces of work, from input files to a results folder, as the command line and the worker run them."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.jobs.demonstration import fetch_demonstration as fetch_demonstration
    from TomoRayLib.jobs.evaluation import run_evaluation as run_evaluation
    from TomoRayLib.jobs.evaluation_job import EvaluationJob as EvaluationJob
    from TomoRayLib.jobs.job import DemonstrationJob as DemonstrationJob
    from TomoRayLib.jobs.job import ProjectionJob as ProjectionJob
    from TomoRayLib.jobs.job import SegmentationJob as SegmentationJob
    from TomoRayLib.jobs.job import SynthesisJob as SynthesisJob
    from TomoRayLib.jobs.job_files import read_job as read_job
    from TomoRayLib.jobs.projection import run_projection as run_projection
    from TomoRayLib.jobs.segmentation import run_segmentation as run_segmentation
    from TomoRayLib.jobs.synthesis import run_synthesis as run_synthesis

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "demonstration": ["fetch_demonstration"],
        "evaluation": ["run_evaluation"],
        "evaluation_job": ["EvaluationJob"],
        "job": ["DemonstrationJob", "ProjectionJob", "SegmentationJob", "SynthesisJob"],
        "job_files": ["read_job"],
        "projection": ["run_projection"],
        "segmentation": ["run_segmentation"],
        "synthesis": ["run_synthesis"],
    },
)
