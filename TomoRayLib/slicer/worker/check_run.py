"""A run that only checks whether the worker's packages can be loaded, for the run box after an installation."""

from __future__ import annotations

import time
from collections.abc import Sequence

from slicer.i18n import tr as _

from TomoRayLib.base.requirements import Requirement
from TomoRayLib.slicer.worker.failures import failure_of_exception, failure_of_package
from TomoRayLib.slicer.worker.probe import PackageProbe
from TomoRayLib.slicer.worker.worker_run import RunState, RunStatus


class CheckRun:
    """Started, polled and cancelled as a ``WorkerRun``: done if all packages can be loaded, else failed.

    ``status.nodes`` are then the versions by package.
    """

    def __init__(self, requirements: Sequence[Requirement]) -> None:
        self._requirements = requirements
        self._probe: PackageProbe | None = None
        self._began = time.monotonic()
        self._status = RunStatus(RunState.STARTING, _("Checking the packages"))

    def start(self) -> RunStatus:
        """Start the probe."""
        self._began = time.monotonic()
        try:
            self._probe = PackageProbe(self._requirements)
            self._status = RunStatus(RunState.RUNNING, _("Checking the packages"))
        except Exception as error:  # of any kind, as in a WorkerRun
            self._status = RunStatus(RunState.FAILED, failure=failure_of_exception(error))
        return self._status

    def poll(self) -> RunStatus:
        """Ask the probe."""
        found = self._probe.poll() if self._probe is not None and not self._status.state.is_over else None
        if found is not None:
            seconds = time.monotonic() - self._began
            if found.broken is None:
                self._status = RunStatus(RunState.DONE, nodes=found.versions, log=found.log, seconds=seconds)
            else:
                failure = failure_of_package(found.broken, found.log)
                self._status = RunStatus(RunState.FAILED, failure=failure, log=failure.log, seconds=seconds)
        return self._status

    def cancel(self) -> RunStatus:
        """End the probe."""
        if self._probe is not None:
            self._probe.cancel()
        if not self._status.state.is_over:
            self._status = RunStatus(RunState.CANCELLED)
        return self._status

    @property
    def status(self) -> RunStatus:
        return self._status
