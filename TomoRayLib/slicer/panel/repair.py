"""The button that repairs what the worker cannot load, and the sentence above it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.slicer.extensions import installation, repair
from TomoRayLib.slicer.panel.running import AnyRun, RunBox
from TomoRayLib.slicer.runs import WORKER_REQUIREMENTS
from TomoRayLib.slicer.worker.check_run import CheckRun
from TomoRayLib.slicer.worker.failures import Failure


class RepairSection:
    """One button, visible while there is something to repair that TomoRay can do.

    ``told(sentence)`` shows a sentence after a run, as in ``SourcesSection``.
    """

    def __init__(self, ui: Any, run_box: RunBox, told: Callable[[str], None]) -> None:
        self._ui, self._run_box, self._told = ui, run_box, told
        self._failure: Failure | None = None
        self._advice: repair.Advice | None = None
        self._problem = ""  # what went wrong with the last step
        ui.repairButton.visible = False

    def update(self) -> None:
        """Show or hide the button."""
        button, advice = self._ui.repairButton, self._advice
        button.visible = advice is not None and advice.button is not None and not self._run_box.busy
        if advice is not None and advice.button is not None:
            button.text = advice.button
            button.toolTip = advice.sentence

    def offer(self, failure: Failure) -> str:
        """Return what to say of a failure: with the next step, if a package cannot be loaded. It is on the button."""
        if failure.package is None or failure.fault is None:
            self.withdraw()
            return failure.text
        self._failure, self._advice = failure, repair.advice(failure.package, failure.fault)
        problem, self._problem = self._problem, ""
        went_wrong = _("The last step ended with: {problem}.").format(problem=problem.rstrip(".")) if problem else ""
        return " ".join(part for part in (failure.sentence, went_wrong, self._advice.sentence) if part)

    def withdraw(self) -> None:
        """There is nothing to repair any more."""
        self._failure = self._advice = None

    def works(self) -> None:
        """The worker has loaded its packages."""
        self.withdraw()
        repair.forget()

    def after(self, run: AnyRun) -> None:
        """A run is done: if the worker has loaded the packages for it, none is broken."""
        if getattr(run, "requires", ()):
            self.works()

    def ensure(self, requirements: Path) -> str:
        """Install what is missing, as ``installation.ensure`` does; return what to say if a package has to be removed
        first, which the button does."""
        try:
            installation.ensure(requirements)
        except installation.DamagedPackage as error:
            return self.offer(error.failure)
        return ""

    def press(self) -> None:
        """Take the step of the button, and check the packages anew."""
        failure, advice = self._failure, self._advice
        if failure is None or failure.package is None or advice is None or self._run_box.busy:
            return
        if not slicer.util.confirmOkCancelDisplay(self._question(failure.package, advice)):
            return
        with slicer.util.WaitCursor():
            self._problem = repair.take(advice.step, failure.package, self._requirement(failure.package))
        if advice.step is not repair.Step.RESTART:
            self._run_box.start(CheckRun(WORKER_REQUIREMENTS), self._checked)

    def _question(self, package: str, advice: repair.Advice) -> str:
        if advice.step is repair.Step.RESTART:
            return str(_("Restart Slicer now? What was not saved in the scene is lost."))
        if advice.step is repair.Step.RUNTIME:
            return str(_("PyTorch will be checked again. Continue?"))
        if package == "torch":
            return str(
                _(
                    "PyTorch will be removed from Slicer and installed again. This downloads 0.2 GB for the CPU and up "
                    "to 3 GB for a GPU; Slicer does not respond meanwhile. Other extensions use the same PyTorch. "
                    "Continue?"
                )
            )
        return str(_("{package} will be installed again in Slicer's Python. Continue?").format(package=package))

    def _requirement(self, package: str) -> Any:
        return next((one for one in WORKER_REQUIREMENTS if one.name == package), repair.Requirement(package))

    def _checked(self, run: CheckRun) -> None:
        package = self._failure.package if self._failure is not None and self._failure.package else "torch"
        name = "PyTorch" if package == "torch" else package
        version = (run.status.nodes or {}).get(package) or _("of an unknown version")
        self.works()
        self._told(
            _("Repaired: {name} {version} can be loaded. Press Synthesize again.").format(name=name, version=version)
        )
