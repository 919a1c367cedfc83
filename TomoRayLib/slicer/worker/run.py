"""One run from nodes to a case in the scene: exported, worked on in another process, loaded, or undone."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.jobs.events import Event, Failed, Finished, Note, StageBegun, Warned
from TomoRayLib.slicer.request import CTInputs, Request, input_nodes, missing, output_problem
from TomoRayLib.slicer.scene.nodes import Role, export_volume, grid_of, in_scene
from TomoRayLib.slicer.scene.radiographs import export_radiograph, radiograph_of, write_geometry
from TomoRayLib.slicer.scene.segments import labels_of
from TomoRayLib.slicer.worker.failures import Failure, failure_of, fault_of, in_panel_words
from TomoRayLib.slicer.worker.job_folder import (
    FOLDER_PREFIX,
    NEED_MB,
    check_space,
    disk_sentence,
    sweep,
    temporary_folder,
)
from TomoRayLib.slicer.worker.process import WorkerProcess

if TYPE_CHECKING:
    from TomoRayLib.slicer.scene.case_nodes import CaseNodes

POLL_S = 0.05
LOADING_SHARE = 0.05  # of the progress bar, for what happens after the worker


class RunState(Enum):
    STARTING = "starting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (RunState.DONE, RunState.CANCELLED, RunState.FAILED)


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands. ``fraction`` in 0..1 never falls; ``case`` when done, ``failure`` when failed."""

    state: RunState
    stage: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    case: Any = None  # CaseNodes, or the nodes that the kind of run makes
    failure: Failure | None = None
    log: str = ""
    seconds: float = 0.0


class WorkerRun(ABC):
    """One job of the worker, from its folder to the end of it. Subclasses prepare the job and load what it gives.

    ``start`` and ``poll`` never raise for what a user can cause: that becomes a failed status. The folder of the job
    lies in Slicer's temporary folder and is gone when the run is over, whatever its end.
    """

    device = "cpu"

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._process: WorkerProcess | None = None
        self._result: Finished | None = None
        self._error: Failed | None = None
        self._notes: list[str] = []
        self._warnings: list[str] = []
        self._began = time.monotonic()
        self._stage_began = self._began
        self._of_all_seconds: float | None = None
        self._at_stage_seconds: float | None = None
        self._status = RunStatus(RunState.STARTING, _("Preparing"))

    @abstractmethod
    def prepare(self, folder: Path) -> Any:
        """Write what the job needs into ``folder`` and return the job."""

    @abstractmethod
    def load(self, result: Mapping[str, Any]) -> Any:
        """Bring a finished job's result into the scene."""

    def inputs_are_there(self) -> bool:
        """False once the scene was closed or an input deleted: then the result is not wanted any more."""
        return True

    def start(self) -> RunStatus:
        """Export the inputs and start the worker."""
        self._began = self._stage_began = time.monotonic()
        try:
            sweep(temporary_folder())
            self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=temporary_folder()))
            check_space(self._folder)
            job = self.prepare(self._folder)
            self._process = WorkerProcess(job, self._folder)
            self._set(RunState.RUNNING, _("Starting the worker"))
        except (InputError, OutputError) as error:
            self._fail(Failure(str(error)))
        except OSError as error:
            self._fail(
                Failure(disk_sentence(error), _("Free some space, or choose another temporary folder in Slicer."))
            )
        except Exception:  # a fault of ours: said, and nothing left behind
            self._fail(fault_of(traceback.format_exc()))
        return self._status

    def poll(self) -> RunStatus:
        """Where the run stands now; reads what the worker said since the last call, and loads its result at the end."""
        if self._status.state.is_over or self._process is None:
            return self._status
        if not self.inputs_are_there():
            self._end(RunState.CANCELLED)
            return self._status
        ended = not self._process.running  # before the events are read: what it said last is then among them
        for event in self._process.poll():
            self._hear(event)
        if ended:
            self._conclude()
        else:
            self._advance()
        return self._status

    def cancel(self) -> RunStatus:
        """End the worker and whatever it started, and leave nothing behind."""
        if not self._status.state.is_over:
            self._end(RunState.CANCELLED)
        return self._status

    def wait(self, process_events: Callable[[], Any] | None = None) -> RunStatus:
        """Poll until the run is over; ``process_events`` keeps the application alive meanwhile."""
        while not self.poll().state.is_over:
            if process_events is not None:
                process_events()
            time.sleep(POLL_S)
        return self._status

    @property
    def status(self) -> RunStatus:
        return self._status

    def _hear(self, event: Event) -> None:
        if isinstance(event, StageBegun):
            self._stage_began = time.monotonic()
            self._at_stage_seconds = event.seconds_left
            self._set(RunState.RUNNING, stage_label(event.stage))
        elif isinstance(event, Note):
            self._notes.append(event.text)
            self._set(RunState.RUNNING, self._status.stage)
        elif isinstance(event, Warned):
            self._warnings.append(in_panel_words(event.text))
        elif isinstance(event, Finished):
            self._result = event
        else:
            self._error = event

    def _advance(self) -> None:
        """Progress by the time that the worker expects to need."""
        if self._at_stage_seconds is None:
            return
        now = time.monotonic()
        left = max(self._at_stage_seconds - (now - self._stage_began), 0.0)
        passed = now - self._began
        fraction = (1 - LOADING_SHARE) * passed / (passed + left) if passed + left > 0 else 0.0
        self._set(RunState.RUNNING, self._status.stage, max(fraction, self._status.fraction), left)

    def _conclude(self) -> None:
        assert self._process is not None
        code, log = self._process.exit_code, self._process.log
        if code != 0 or self._result is None:
            self._fail(failure_of(self._error, code, log, self.device))
            return
        try:
            case = self.load(self._result.values)
        except (InputError, OutputError) as error:
            self._fail(Failure(str(error), "", log))
            return
        except OSError as error:
            self._fail(Failure(disk_sentence(error), "", log))
            return
        except Exception:  # a fault of ours: once it is said, the run is over
            self._fail(fault_of(traceback.format_exc() + log))
            return
        self._end(RunState.DONE, case=case)

    def _fail(self, failure: Failure) -> None:
        self._end(RunState.FAILED, failure=failure)

    def _end(self, state: RunState, case: Any = None, failure: Failure | None = None) -> None:
        log = ""
        if self._process is not None:
            self._process.cancel()
            log = self._process.log
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._status = RunStatus(
            state,
            stage_label("Done") if state is RunState.DONE else "",
            1.0 if state is RunState.DONE else self._status.fraction,
            None,
            tuple(self._notes),
            tuple(self._warnings),
            case,
            failure,
            failure.log if failure is not None else log,
            time.monotonic() - self._began,
        )

    def _set(self, state: RunState, stage: str, fraction: float | None = None, left: float | None = None) -> None:
        self._status = RunStatus(
            state,
            stage,
            self._status.fraction if fraction is None else fraction,
            left,
            tuple(self._notes),
            tuple(self._warnings),
        )


class Run(WorkerRun):
    """A synthesis: ``status.case`` holds the nodes of the result."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request
        self.device = request.settings.device

    @property
    def name(self) -> str:
        """What the case is called: after the CT, or the AP radiograph."""
        inputs = self.request.inputs
        node = inputs.ct if isinstance(inputs, CTInputs) else inputs.ap
        return node.GetName() or "TomoRay"

    def prepare(self, folder: Path) -> Any:
        from TomoRayLib.jobs.job import SynthesisJob
        from TomoRayLib.synthesis.acquisition import GeometryOptions

        inputs, settings = self.request.inputs, self.request.settings
        problem = missing(inputs) or output_problem(self.request)
        if problem is not None:
            raise InputError(problem)
        common: dict[str, Any] = {
            "out": str(folder / "results"),
            "model": settings.model or None,
            "device": settings.device,
            "fov_mm": settings.fov_mm,
            "quantisation": settings.quantisation,
            "comparison": settings.comparison,
            "title": self.name,
        }
        if isinstance(inputs, CTInputs):
            ct, segmentation = _export_ct(inputs, folder, self._notes)
            self._warnings += _placed_apart(inputs)
            geometry = GeometryOptions(preset=inputs.preset, isocenter_mm=inputs.isocenter_mm)
            return SynthesisJob(ct=ct, segmentation=segmentation, geometry=geometry, **common)
        ap, lateral = (
            export_radiograph(node, role, folder)
            for node, role in ((inputs.ap, Role.AP), (inputs.lateral, Role.LATERAL))
        )
        views = [
            geometry.view(*radiograph_of(node, role).pixels.shape)
            for node, role, geometry in (
                (inputs.ap, Role.AP, inputs.ap_geometry),
                (inputs.lateral, Role.LATERAL, inputs.lateral_geometry),
            )
        ]
        write_geometry(folder / "geometry.json", *views)
        return SynthesisJob(
            ap=str(ap),
            lateral=str(lateral),
            geometry=GeometryOptions(file=str(folder / "geometry.json")),
            flip_ap=inputs.flip_ap,
            flip_lateral=inputs.flip_lateral,
            invert=inputs.invert,
            **common,
        )

    def load(self, result: Mapping[str, Any]) -> CaseNodes:
        from TomoRayLib.slicer.scene.case_nodes import load_case

        inputs, request = self.request.inputs, self.request
        beside = inputs.ct if isinstance(inputs, CTInputs) else inputs.ap
        outputs = [node if in_scene(node) else None for node in (request.synthetic_volume, request.vertebrae)]
        case = load_case(Path(result["folder"]), self.name, beside, *outputs, inputs=input_nodes(inputs))
        names = [node.GetName() for node in input_nodes(inputs)]
        case.synthetic.SetAttribute("TomoRay.InputNodes", json.dumps(names))
        return case

    def inputs_are_there(self) -> bool:
        return all(in_scene(node) for node in input_nodes(self.request.inputs))


class ProjectionRun(WorkerRun):
    """The radiographs of a CT, without synthesis: ``status.case`` holds their two nodes."""

    def __init__(self, inputs: CTInputs) -> None:
        super().__init__()
        self.inputs = inputs

    def prepare(self, folder: Path) -> Any:
        from TomoRayLib.jobs.job import ProjectionJob
        from TomoRayLib.synthesis.acquisition import GeometryOptions

        problem = missing(self.inputs)
        if problem is not None:
            raise InputError(problem)
        ct, segmentation = _export_ct(self.inputs, folder, self._notes)
        geometry = GeometryOptions(preset=self.inputs.preset, isocenter_mm=self.inputs.isocenter_mm)
        return ProjectionJob(str(folder / "results"), ct, segmentation, geometry)

    def load(self, result: Mapping[str, Any]) -> tuple[Any, Any]:
        from TomoRayLib.slicer.scene.case_nodes import load_radiographs

        return load_radiographs(Path(result["folder"]), self.inputs.ct.GetName(), self.inputs.ct)

    def inputs_are_there(self) -> bool:
        return all(in_scene(node) for node in input_nodes(self.inputs))


def stage_label(stage: str) -> str:
    """A stage of the worker in the panel's language."""
    return {
        "Reading": _("Reading"),
        "Projecting": _("Rendering the radiographs"),
        "Synthesizing": _("Synthesizing"),
        "Comparing": _("Comparing"),
        "Drawing": _("Drawing the report"),
        "Writing": _("Writing"),
        "Fetching": _("Fetching the sample"),
        "Done": _("Done"),
    }.get(stage, stage)


def _export_ct(inputs: CTInputs, folder: Path, notes: list[str]) -> tuple[str, str | None]:
    """The CT and its vertebra labels as files for the worker."""
    from TomoRayLib.images.files import write_volume

    need_mb = NEED_MB + 2 * inputs.ct.GetImageData().GetActualMemorySize() // 1024
    check_space(folder, need_mb)
    moved = export_volume(inputs.ct, folder / "ct.nrrd")
    notes += [moved] if moved else []
    if inputs.segmentation is None:
        return str(folder / "ct.nrrd"), None
    labels, remarks = labels_of(inputs.segmentation, inputs.ct, grid_of(inputs.ct))
    notes += remarks
    write_volume(folder / "vertebrae.nrrd", labels, compressed=False)
    return str(folder / "ct.nrrd"), str(folder / "vertebrae.nrrd")


def _placed_apart(inputs: CTInputs) -> list[str]:
    """A warning where CT and vertebrae do not lie under the same transform: one of them was moved alone."""
    if inputs.segmentation is None:
        return []
    ct, vertebrae = (node.GetParentTransformNode() for node in (inputs.ct, inputs.segmentation))
    if ct is vertebrae:
        return []
    text = _(
        "{ct} and {vertebrae} lie under different transforms. If the scores look wrong, put both under the same one."
    )
    return [text.format(ct=inputs.ct.GetName(), vertebrae=inputs.segmentation.GetName())]
