"""The three runs that the panel starts. Each is a straight line: request, job, worker, results, nodes.

``prepare`` goes from the scene to a job in its folder and ``load`` from the results to nodes; ``WorkerRun`` starts the
worker between them and follows it. The panel then shows the nodes in the views.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.requirements import TORCH, Requirement
from TomoRayLib.slicer.prepared_job import projection_job, synthesis_job
from TomoRayLib.slicer.request import CTInputs, Request, input_nodes
from TomoRayLib.slicer.request_checks import check_request, input_problems
from TomoRayLib.slicer.scene.case_nodes import CaseNodes, add_case, add_radiographs
from TomoRayLib.slicer.scene.nodes import in_scene
from TomoRayLib.slicer.scene.sample_nodes import add_sample
from TomoRayLib.slicer.worker.job_folder import PreparedJob
from TomoRayLib.slicer.worker.worker_run import WorkerRun

# What Slicer's own Python has not: PyTorch, and what Resources/requirements.txt names.
WORKER_REQUIREMENTS = (TORCH, Requirement("safetensors", ">=0.4.3"))


class SynthesisRun(WorkerRun):
    """A synthesis: ``status.nodes`` is a ``CaseNodes``."""

    requires = WORKER_REQUIREMENTS

    def __init__(self, request: Request) -> None:
        super().__init__(request.settings.device)
        self.request = request
        self.suggestion: Mapping[str, Any] | None = None  # as ``Suggestion.to_json_dict`` gives it
        self.is_empty = False  # True if no vertebra was found

    def prepare(self, folder: Path) -> PreparedJob:
        check_request(self.request)
        return synthesis_job(self.request, folder)

    def load(self, results: Mapping[str, Any]) -> CaseNodes:
        request = self.request
        self.suggestion, self.is_empty = results.get("suggestion"), bool(results.get("empty"))
        return add_case(
            Path(results["folder"]),
            request.title,
            request.main_input,
            request.synthetic_volume,
            request.vertebrae,
            inputs=input_nodes(request.inputs),
            source=request.source,
        )

    def is_wanted(self) -> bool:
        return all(in_scene(node) for node in input_nodes(self.request.inputs))


class ProjectionRun(WorkerRun):
    """The radiographs of a CT, without synthesis: ``status.nodes`` are the AP and the lateral volume node."""

    requires = WORKER_REQUIREMENTS

    def __init__(self, inputs: CTInputs) -> None:
        super().__init__()
        self.inputs = inputs

    def prepare(self, folder: Path) -> PreparedJob:
        problems = input_problems(self.inputs)
        if problems:
            raise InputError(" ".join(problems.values()))
        return projection_job(self.inputs, folder)

    def load(self, results: Mapping[str, Any]) -> tuple[Any, Any]:
        return add_radiographs(Path(results["folder"]), self.inputs.ct.GetName(), self.inputs.ct)

    def is_wanted(self) -> bool:
        return all(in_scene(node) for node in input_nodes(self.inputs))


class SampleRun(WorkerRun):
    """The demonstration case, downloaded once: ``status.nodes`` are the CT and its segmentation.

    A case that is still in the scene is not loaded twice. ``offline`` takes the built-in phantom.
    """

    def __init__(self, offline: bool = False) -> None:
        super().__init__()
        self.offline = offline
        self.is_phantom = False  # known once the results are there

    def prepare(self, folder: Path) -> PreparedJob:
        from TomoRayLib.jobs.demonstration_files import default_cache
        from TomoRayLib.jobs.job import DemonstrationJob

        return PreparedJob(DemonstrationJob(str(folder / "sample"), str(default_cache(dict(os.environ))), self.offline))

    def load(self, results: Mapping[str, Any]) -> tuple[Any, Any]:
        self.is_phantom = bool(results["is_phantom"])
        return add_sample(results)
