"""One run: a job prepared in its folder, the worker's process, its results loaded; or all of it undone."""

from __future__ import annotations

import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from TomoRayLib.base.held_folders import HeldFolder
from TomoRayLib.base.requirements import Requirement
from TomoRayLib.jobs.events import Event, ExitCode, Failed, Finished, Note, StageBegun, Warned
from TomoRayLib.slicer.worker.controls import with_control
from TomoRayLib.slicer.worker.failures import Failure, failure_of_exception, failure_of_package, failure_of_worker
from TomoRayLib.slicer.worker.job_folder import (
    FOLDER_PREFIX,
    PreparedJob,
    check_space,
    sweep,
    temporary_folder,
)
from TomoRayLib.slicer.worker.probe import PackageProbe, forget_good, is_known_good
from TomoRayLib.slicer.worker.process import WorkerProcess

POLL_S = 0.05
LOADING_SHARE = 0.05  # of the progress bar, for loading the results after the worker has ended


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
    """Progress of a run. ``fraction`` in 0..1 never falls; ``nodes`` when done, ``failure`` when failed."""

    state: RunState
    stage: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    nodes: Any = None  # those that the run added to the scene, see ``TomoRayLib.slicer.runs``
    failure: Failure | None = None
    log: str = ""
    seconds: float = 0.0


class WorkerRun(ABC):
    """One job of the worker, from its folder to its end. Subclasses prepare the job and load its results.

    Packages that it ``requires`` are loaded by a probe first, unless the worker's Python has loaded them before as they
    are now: what is broken is told before anything is begun.

    ``start`` and ``poll`` never raise for what a user can cause: that becomes a failed status. The job's folder is in
    Slicer's temporary folder and is deleted when the run is over, whatever its end.
    """

    requires: Sequence[Requirement] = ()

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._probe: PackageProbe | None = None
        self._prepared: PreparedJob | None = None
        self._folder: HeldFolder | None = None
        self._process: WorkerProcess | None = None
        self._result: Finished | None = None
        self._error: Failed | None = None
        self._notes: list[str] = []
        self._warnings: list[str] = []
        self._began = time.monotonic()
        self._stage_began = self._began
        self._at_stage_seconds: float | None = None
        self._status = RunStatus(RunState.STARTING, _("Preparing"))

    @abstractmethod
    def prepare(self, folder: Path) -> PreparedJob:
        """Write what the job needs into ``folder`` and return the job."""

    @abstractmethod
    def load(self, results: Mapping[str, Any]) -> Any:
        """Add the results of a finished job to the scene and return their nodes."""

    def is_wanted(self) -> bool:
        """False once the scene was closed or an input deleted: the run is then cancelled."""
        return True

    def start(self) -> RunStatus:
        """Export the inputs and start the worker."""
        self._began = self._stage_began = time.monotonic()
        try:
            sweep(temporary_folder())
            self._folder = HeldFolder(Path(temporary_folder() or tempfile.gettempdir()), FOLDER_PREFIX)
            folder = self._folder.path
            check_space(folder)
            if self.requires and not is_known_good(self.requires):
                self._probe = PackageProbe(self.requires)  # it loads them while the inputs are written
            self._prepared = prepared = self.prepare(folder)
            self._notes += prepared.notes
            self._warnings += prepared.warnings
            if self._probe is None:
                self._start_worker()
            else:
                self._set(RunState.RUNNING, _("Checking PyTorch, once after its installation"))
        except Exception as error:  # of any kind: the user is told, and nothing is left behind
            self._end(RunState.FAILED, failure=failure_of_exception(error))
        return self._status

    def poll(self) -> RunStatus:
        """Read the worker's events since the last call, load its results at the end, and return the status."""
        if self._status.state.is_over:
            return self._status
        if not self.is_wanted():
            self._end(RunState.CANCELLED)
            return self._status
        if self._process is None:
            self._await_probe()
            return self._status
        ended = not self._process.running  # asked before the events are read, so that the last ones are among them
        for event in self._process.poll():
            self._hear(event)
        if ended:
            self._conclude()
        else:
            self._advance()
        return self._status

    def cancel(self) -> RunStatus:
        """End the worker and its children, and delete the job's folder."""
        if not self._status.state.is_over:
            self._end(RunState.CANCELLED)
        return self._status

    def wait(self, process_events: Callable[[], Any] | None = None) -> RunStatus:
        """Poll until the run is over; ``process_events`` keeps the application responsive meanwhile."""
        while not self.poll().state.is_over:
            if process_events is not None:
                process_events()
            time.sleep(POLL_S)
        return self._status

    @property
    def status(self) -> RunStatus:
        return self._status

    def _start_worker(self) -> None:
        assert self._prepared is not None
        assert self._folder is not None
        self._process = WorkerProcess(self._prepared.job, self._folder.path, temporary=True)
        self._set(RunState.RUNNING, _("Starting the worker"))

    def _await_probe(self) -> None:
        """Start the worker once its packages were loaded."""
        found = self._probe.poll() if self._probe is not None else None
        if found is None:
            return
        if found.broken is not None:
            self._end(RunState.FAILED, failure=failure_of_package(found.broken, found.log))
            return
        try:
            self._start_worker()
        except Exception as error:
            self._end(RunState.FAILED, failure=failure_of_exception(error))

    def _hear(self, event: Event) -> None:
        if isinstance(event, StageBegun):
            self._stage_began = time.monotonic()
            self._at_stage_seconds = event.seconds_left
            self._set(RunState.RUNNING, stage_label(event.stage))
        elif isinstance(event, Note):
            self._notes.append(with_control(event.text, event.field))
            self._set(RunState.RUNNING, self._status.stage)
        elif isinstance(event, Warned):
            self._warnings.append(with_control(event.text, event.field))
        elif isinstance(event, Finished):
            self._result = event
        else:
            self._error = event

    def _advance(self) -> None:
        """Advance the progress by the time that the worker estimated."""
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
        if code not in (ExitCode.DONE, ExitCode.EMPTY) or self._result is None:
            failure = failure_of_worker(self._error, code, log, self._device)
            if failure.package is not None or self._error is None:
                forget_good()
            self._end(RunState.FAILED, failure=failure)
            return
        try:
            nodes = self.load(self._result.values)
        except Exception as error:
            self._end(RunState.FAILED, failure=failure_of_exception(error, log))
            return
        self._end(RunState.DONE, nodes=nodes)

    def _end(self, state: RunState, nodes: Any = None, failure: Failure | None = None) -> None:
        log = ""
        if self._probe is not None:
            self._probe.cancel()
        if self._process is not None:
            self._process.cancel()
            log = self._process.log
        if self._folder is not None:
            self._folder.remove()
        self._status = RunStatus(
            state,
            stage_label("Done") if state is RunState.DONE else "",
            1.0 if state is RunState.DONE else self._status.fraction,
            None,
            tuple(self._notes),
            tuple(self._warnings),
            nodes,
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


def stage_label(stage: str) -> str:
    """The panel's name for a stage of the worker."""
    return {
        "Reading": _("Reading"),
        "Projecting": _("Rendering the radiographs"),
        "Synthesizing": _("Synthesizing"),
        "Comparing": _("Comparing"),
        "Judging": _("Judging the result"),
        "Drawing": _("Drawing the report"),
        "Writing": _("Writing"),
        "Fetching": _("Downloading the sample"),
        "Done": _("Done"),
    }.get(stage, stage)
