"""The buttons that provide inputs: the sample, radiographs rendered from a CT, vertebrae by TotalSegmentator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.slicer.extensions import installation, sample_data, totalsegmentator
from TomoRayLib.slicer.panel.inputs import InputsSection
from TomoRayLib.slicer.panel.parameters import InputKind
from TomoRayLib.slicer.panel.running import RunBox
from TomoRayLib.slicer.panel.texts import listed
from TomoRayLib.slicer.request import CTInputs
from TomoRayLib.slicer.request_checks import input_problems
from TomoRayLib.slicer.runs import ProjectionRun, SampleRun
from TomoRayLib.slicer.scene.nodes import Role, problem_of


class SourcesSection:
    """What each button does. ``say(sentence)`` shows a sentence until something changes, ``told(sentence)`` after a
    run."""

    def __init__(
        self,
        ui: Any,
        inputs: InputsSection,
        run_box: RunBox,
        requirements: Path,
        say: Callable[[str], None],
        told: Callable[[str], None],
    ) -> None:
        self._ui, self._inputs, self._run_box, self._requirements = ui, inputs, run_box, requirements
        self._say, self._told = say, told
        self.parameters: Any = None

    def update(self) -> None:
        """Enable the buttons that can be pressed."""
        ui, busy = self._ui, self._run_box.busy
        ui.sampleButton.enabled = self.parameters is not None and not busy
        ui.deleteSampleButton.enabled = not busy and sample_data.is_downloaded()
        if self.parameters is None:
            ui.renderButton.enabled = ui.totalSegmentatorButton.enabled = False
            return
        is_ct = self.parameters.inputKind is InputKind.CT
        problem = problem_of(self.parameters.ct, Role.CT) if is_ct else None
        reason = totalsegmentator.problem() or problem
        ui.totalSegmentatorButton.enabled = ui.vertebraTaskComboBox.enabled = not busy and reason is None
        ui.totalSegmentatorButton.toolTip = reason or _("Segment the vertebrae of this CT with TotalSegmentator.")
        ui.renderButton.enabled = not busy and problem is None

    def load_sample(self) -> None:
        """Fetch the demonstration case and choose it as input."""
        self._run_box.start(SampleRun(), self._choose_sample)

    def delete_sample(self) -> None:
        """Delete what was downloaded of the demonstration case."""
        self._say(sample_data.delete())

    def render_radiographs(self) -> None:
        """Render the CT's radiographs without synthesis."""
        inputs = self._inputs.inputs()
        problems = list(input_problems(inputs).values())
        if problems:
            self._say(listed(problems))
        elif isinstance(inputs, CTInputs):
            installation.ensure(self._requirements)
            with slicer.util.WaitCursor():
                self._run_box.start(ProjectionRun(inputs), self._show_radiographs)

    def segment_vertebrae(self) -> None:
        """Run TotalSegmentator's vertebrae on the CT."""
        problem = problem_of(self.parameters.ct, Role.CT)
        if problem is not None:
            self._say(problem)
            return
        if not slicer.util.confirmOkCancelDisplay(
            _("TotalSegmentator takes minutes. Slicer will not respond meanwhile, and you cannot cancel. Continue?")
        ):
            return
        with slicer.util.WaitCursor():
            task = self.parameters.vertebraTask.value
            self.parameters.segmentation = totalsegmentator.segment_vertebrae(self.parameters.ct, task)

    def first_steps(self) -> list[str]:
        """Where images come from, as long as there are none."""
        has_images = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") > 0
        if has_images or self.parameters.inputKind is InputKind.STUDY:
            return []
        return [_("Load images into Slicer first (Add Data, or Add DICOM Data), or press Load sample to try it out.")]

    def hint(self) -> list[str]:
        """What to know of the chosen vertebrae before a run."""
        chosen = self.parameters.segmentation if self.parameters.inputKind is not InputKind.RADIOGRAPHS else None
        if chosen is None or not totalsegmentator.holds_bodies_alone(chosen):
            return []
        return [
            _(
                "Note: {name} holds vertebral bodies alone, but the synthetic CT shows whole vertebrae: scores against "
                "it are too low. Segment whole vertebrae for scores."
            ).format(name=chosen.GetName())
        ]

    def _show_radiographs(self, run: ProjectionRun) -> None:
        self._inputs.show_rendered(*run.status.nodes)
        self._told(_("The radiographs were rendered in {seconds:.0f} s.").format(seconds=run.status.seconds))

    def _choose_sample(self, run: SampleRun) -> None:
        ct, segmentation = run.status.nodes
        parameters = self.parameters
        was_modifying = parameters.StartModify()
        parameters.inputKind = InputKind.CT
        parameters.ct = ct
        parameters.segmentation = segmentation
        parameters.EndModify(was_modifying)
        slicer.util.setSliceViewerLayers(background=ct, fit=True)
        self._told(run.status.notes[-1] if run.is_phantom else _("The sample is loaded. Press Synthesize."))
