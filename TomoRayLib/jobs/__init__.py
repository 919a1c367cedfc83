"""Whole pieces of work, from input files to a results folder: what the command line and the worker run."""

from typing import TYPE_CHECKING

from TomoRayLib.base.faces import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.jobs.demonstration import fetch_demonstration as fetch_demonstration
    from TomoRayLib.jobs.evaluation import EvaluationJob as EvaluationJob
    from TomoRayLib.jobs.evaluation import run_evaluation as run_evaluation
    from TomoRayLib.jobs.job import DemonstrationJob as DemonstrationJob
    from TomoRayLib.jobs.job import ProjectionJob as ProjectionJob
    from TomoRayLib.jobs.job import SynthesisJob as SynthesisJob
    from TomoRayLib.jobs.job import read_job as read_job
    from TomoRayLib.jobs.synthesis import run_synthesis as run_synthesis

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "demonstration": ["fetch_demonstration"],
        "evaluation": ["EvaluationJob", "run_evaluation"],
        "job": ["DemonstrationJob", "ProjectionJob", "SynthesisJob", "read_job"],
        "synthesis": ["run_synthesis"],
    },
)
