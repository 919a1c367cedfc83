"""The panel: its sections, what the buttons do, and what is shown if something is missing.

A click on Synthesize: ``request`` reads the controls, ``SynthesisRun`` (see ``runs``) takes it from there to the nodes
of a case, ``_show_case`` makes it the current case, and ``CompareSection`` shows that in the views.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from TomoRayLib.slicer.fingerprint import fingerprint
from TomoRayLib.slicer.panel.acquisition import AcquisitionSection
from TomoRayLib.slicer.panel.advanced import AdvancedSection
from TomoRayLib.slicer.panel.compare import CompareSection
from TomoRayLib.slicer.panel.consent import Consent
from TomoRayLib.slicer.panel.cursor import CursorSection
from TomoRayLib.slicer.panel.guard import Guard
from TomoRayLib.slicer.panel.inputs import InputsSection
from TomoRayLib.slicer.panel.measures import MeasuresSection
from TomoRayLib.slicer.panel.naming import NamingSection
from TomoRayLib.slicer.panel.parameters import InputKind
from TomoRayLib.slicer.panel.placing import PlacingSection
from TomoRayLib.slicer.panel.repair import RepairSection
from TomoRayLib.slicer.panel.running import AnyRun, RunBox, Show
from TomoRayLib.slicer.panel.sources import SourcesSection
from TomoRayLib.slicer.panel.texts import listed
from TomoRayLib.slicer.request import Request, Settings, has_input
from TomoRayLib.slicer.request_checks import output_problems
from TomoRayLib.slicer.runs import SynthesisRun
from TomoRayLib.slicer.scene import radiographs
from TomoRayLib.slicer.scene.case_nodes import CaseNodes, is_made_from
from TomoRayLib.slicer.scene.nodes import Role, in_scene, problem_of
from TomoRayLib.slicer.scene.watching import Watch
from TomoRayLib.slicer.worker.worker_run import RunState


class Panel:
    """Everything behind the widgets of ``TomoRay.ui``. ``logic`` is the module's logic."""

    def __init__(self, ui: Any, logic: Any, requirements: Path) -> None:
        self.ui, self.logic, self._requirements = ui, logic, requirements
        self.parameters: Any = None
        self._gui_tag: Any = None
        self._observers: list[tuple[Any, int]] = []
        self._said = ""  # the message of the last action, shown until something changes
        self._updating = False
        # The last case of this panel (id of its synthetic CT, fingerprint of its request), and a run that ended
        # after the user left the module.
        self._made: tuple[str, tuple] | None = None
        self._suggestion: Mapping[str, Any] | None = None  # how the radiographs of the last run may have been meant
        self._waiting: tuple[AnyRun, Show] | None = None
        self.guard = Guard(self.show_problem)
        self._watch = Watch(self.guard(self._on_modified))
        self.inputs = InputsSection(ui)
        self.acquisition = AcquisitionSection(ui, self.guard, self.inputs)
        self.compare = CompareSection(ui, self.guard)
        self.placing = PlacingSection(ui, self.guard, self.inputs, self._placing_ended)
        self.cursor = CursorSection(ui, self.guard, self.compare, self.placing.stop)
        self.naming = NamingSection(ui, self.guard, self.compare, self.cursor)
        self.measures = MeasuresSection(ui, self.guard, self.compare, self.say)
        self.naming.renamed = self.measures.update
        self.advanced = AdvancedSection(ui, self.guard)
        self._width_timer = qt.QTimer()  # hidden rows leave the layout when Qt is next idle
        self._width_timer.setSingleShot(True)
        self._width_timer.setInterval(0)
        self._width_timer.connect("timeout()", self.guard(self._fit_width))
        self.run_box = RunBox(ui, self.guard, self._finished)
        self.repair = RepairSection(ui, self.run_box, self._told)
        self.consent = Consent()
        self.sources = SourcesSection(ui, self.inputs, self.run_box, requirements, self.say, self._told)
        for button, action in (
            (ui.synthesizeButton, self.synthesize_or_cancel),
            (ui.suggestionButton, self.apply_suggestion),
            (ui.repairButton, self.repair.press),
            (ui.sampleButton, self.sources.load_sample),
            (ui.deleteSampleButton, self.sources.delete_sample),
            (ui.renderButton, self.sources.render_radiographs),
            (ui.totalSegmentatorButton, self.sources.segment_vertebrae),
            (ui.rereadGeometryButton, self.inputs.read_again),
            (ui.exportButton, self._export_scores),
            (ui.reportButton, self.compare.open_report),
        ):
            button.connect("clicked()", self.guard(action))
        manager = slicer.app.layoutManager()
        if manager is not None:
            self._on_layout = self.guard(lambda *_arguments: self._layout_changed())
            manager.connect("layoutChanged(int)", self._on_layout)
        self.update()

    def set_parameters(self, parameters: Any) -> None:
        """Show and observe another parameter node, or none."""
        if parameters is None:
            self._end_steps()
        if self.parameters is not None:
            self.parameters.disconnectGui(self._gui_tag)
            for subject, tag in self._observers:
                subject.RemoveObserver(tag)
            self._observers = []
        self.parameters = parameters
        for section in self._sections():
            section.parameters = parameters
        if parameters is not None:
            self.consent.prefer(parameters)
            self._gui_tag = parameters.connectGui(self.ui)
            modified = self.guard(lambda *_arguments: self._on_modified())
            self._observers = [(parameters, parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, modified))]
            scene = slicer.mrmlScene
            for event in (scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
                self._observers.append((scene, scene.AddObserver(event, modified)))
        else:
            self._watch.follow(())
        self.guard(self.update)()

    def _sections(self) -> tuple[Any, ...]:
        return (
            *(self.inputs, self.acquisition, self.placing, self.sources),
            *(self.compare, self.cursor, self.naming, self.measures, self.advanced),
        )

    def update(self) -> None:
        """Bring every widget in line with the parameter node and the scene."""
        if self._updating:
            return
        self._updating = True
        try:
            self._watch_inputs()
            self.inputs.update()
            self.placing.update()
            self.acquisition.is_placing = self.placing.is_on
            self.acquisition.update()
            self.compare.update()
            self.cursor.update()
            self.naming.update()
            self.measures.update()
            self._show_rendered_of_case()
            self.advanced.update()
            self._update_buttons()
            self._width_timer.start()
        finally:
            self._updating = False

    def _fit_width(self) -> None:
        """Never scroll sideways: the sections are as wide as they need."""
        area = self.ui.scrollArea
        bar = area.verticalScrollBar().sizeHint.width()
        sections = self.ui.sections
        area.setMinimumWidth(max(sections.minimumSizeHint.width(), sections.minimumWidth) + bar)

    def request(self) -> Request:
        """The request that Synthesize would run now."""
        parameters = self.parameters
        settings = Settings(
            model=parameters.model or None,
            device=parameters.device,
            fov_mm=parameters.fieldOfView.value,
            quantisation=parameters.quantisation.value,
            segment=parameters.segment,
            comparison=parameters.comparison,
            align=parameters.align,
            clean=parameters.clean,
        )
        return Request(self.inputs.inputs(), settings, parameters.syntheticVolume, parameters.syntheticSegmentation)

    def synthesize_or_cancel(self) -> None:
        """The big button: start a synthesis, or cancel what runs."""
        if self.run_box.busy:
            if not self.run_box.just_begun:
                self.run_box.cancel()
            return
        if self.parameters is None:
            return
        self.placing.take_over()
        problems = self._problems()
        if problems:
            self.say(listed(problems))
            return
        said = "" if self.consent.given(self.parameters) else _("Nothing was started.")
        said = said or self.repair.ensure(self._requirements)
        if said:
            self.say(said)
            return
        self._said, self._suggestion = "", None
        with slicer.util.WaitCursor():
            self.run_box.start(SynthesisRun(self.naming.asked_again(self.request(), self._made)), self._show_case)

    def apply_suggestion(self) -> None:
        """Arrange the radiographs as the last run suggests, and run again."""
        suggestion = self._suggestion
        if suggestion is not None and not self.run_box.busy:
            self.inputs.apply(suggestion)
            self.update()
            self.synthesize_or_cancel()

    def say(self, sentence: str) -> None:
        """Show a sentence above the button until something changes."""
        self._said = sentence
        self._update_buttons()

    def _told(self, sentence: str) -> None:
        """What a run says at its end."""
        self._said = sentence

    def show_problem(self, sentence: str, details: str) -> None:
        """Show an expected problem, or an internal error with its traceback: the guard calls this."""
        if details:
            self.advanced.show_log(details)
        self.say(sentence)

    def scene_closes(self) -> None:
        """Stop and forget everything: the scene is being closed."""
        self.run_box.stop()
        self._end_steps()
        self.compare.views.show_again()
        self.inputs.forget()
        self.measures.forget()
        radiographs.forget()
        self._said, self._suggestion = "", None
        self._made = self._waiting = None

    def leave(self) -> None:
        """The user goes to another module: restore the views; a run continues."""
        self._end_steps()
        self.compare.views.leave()

    def enter(self) -> None:
        """The user comes back, perhaps to a run that ended meanwhile."""
        self.guard(self.compare.come_back)()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and _are_there(waiting[0].status.nodes):
            self.guard(self._finished)(*waiting)
        self.guard(self.update)()

    def cleanup(self) -> None:
        """The module is closed: stop and delete what it leaves behind."""
        self.run_box.stop()
        self._width_timer.stop()
        self.compare.delete_reports()
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.disconnect("layoutChanged(int)", self._on_layout)
        self.measures.forget()
        radiographs.forget()

    def _on_modified(self) -> None:
        if not self._updating and not slicer.mrmlScene.IsBatchProcessing():
            if not self.run_box.busy:
                self._said, self._suggestion = "", None
            self.update()

    def _layout_changed(self) -> None:
        self.compare.views.annotations.refresh()
        if self.parameters is not None:
            self.placing.update()
            self.cursor.update()
            self.measures.update()
            self.compare.follow_layout()

    def _end_steps(self) -> None:
        """End what draws into the views with helpers of its own."""
        self.cursor.stop()
        self.placing.stop()
        self.naming.stop()

    def _placing_ended(self) -> None:
        """Show the current case again, if there is one, in the layout that it had."""
        self.compare.views.show_again()
        if self.parameters is not None:
            self.update()

    def _watch_inputs(self) -> None:
        if self.parameters is not None:
            chosen = self.parameters
            self._watch.follow(
                (chosen.apRadiograph, chosen.lateralRadiograph, chosen.ct, chosen.segmentation, chosen.center)
            )

    def _show_rendered_of_case(self) -> None:
        """Show the previews of a CT's or a study's case, also if it comes from a loaded scene."""
        case = self.compare.case
        if (
            case is None
            or case.ap is None
            or case.lateral is None
            or self.parameters.inputKind is InputKind.RADIOGRAPHS
        ):
            return
        usable = problem_of(case.ap, Role.AP) is None and problem_of(case.lateral, Role.LATERAL) is None
        request = self.request()
        if usable and has_input(request) and is_made_from(case, request.main_input, request.source):
            self.inputs.show_rendered(case.ap, case.lateral)

    def _ready(self) -> str:
        """The message if a run may begin."""
        said = [_("Ready.")]
        shown = self.parameters.currentCase
        made_node, made_from = self._made or ("", ())
        if shown is not None and made_node == shown.GetID() and made_from != fingerprint(self.request()):
            said = [_("Ready. The displayed result is out of date: the inputs have changed.")]
        said += [*self.placing.hint(), *self.sources.hint()]
        said += [_("Note: {text}").format(text=text) for text in self.inputs.warnings()]
        return "\n".join(said)

    def _problems(self) -> list[str]:
        """Return all that keeps Synthesize from starting, in sentences."""
        return [*self.inputs.problems(), *output_problems(self.request())]

    def _update_buttons(self) -> None:
        ui, busy = self.ui, self.run_box.busy
        ui.suggestionButton.visible = self._suggestion is not None and not busy
        self.repair.update()
        self.sources.update()
        ui.rereadGeometryButton.enabled = self.parameters is not None and not busy
        if self.parameters is None:
            self.run_box.show_idle(False, "", _("Open a scene first."))
            return
        has_ct = self.parameters.inputKind is not InputKind.RADIOGRAPHS
        ui.comparisonCheckBox.enabled = has_ct
        ui.alignCheckBox.enabled = ui.cleanCheckBox.enabled = not has_ct
        ui.segmentCheckBox.enabled = has_ct and self.parameters.comparison and self.parameters.segmentation is None
        if busy:
            return
        problems = self._problems()
        told = "\n".join([listed(problems), *self.sources.first_steps()]).strip()
        sentence = self._said or told or self._ready()
        self.run_box.show_idle(not problems, sentence, told or _("Make the synthetic CT."))

    def _export_scores(self) -> None:
        done = self.compare.export_scores()
        if done is not None:
            self.say(done)

    def _finished(self, run: AnyRun, show: Show) -> None:
        """Show the nodes of a run that is over, or say why there are none; if the module was left, on return."""
        if self.parameters is None:
            self._waiting = (run, show)
            return
        status = run.status
        self.advanced.show_log("\n".join(part for part in (*status.notes, *status.warnings, status.log) if part))
        if status.state is RunState.DONE:
            self.repair.after(run)
            show(run)
        elif status.state is RunState.CANCELLED:
            self._said = _("Cancelled. Nothing was changed.")
        else:
            self._show_failure(run)
        said = self._said
        self.update()
        self.say(said)

    def _show_failure(self, run: AnyRun) -> None:
        failure = run.status.failure
        assert failure is not None
        self._said = self.repair.offer(failure)
        if (
            failure.offer_cpu
            and isinstance(run, SynthesisRun)
            and slicer.util.confirmYesNoDisplay(
                _("{sentence} Run it on the CPU instead?").format(sentence=failure.sentence)
            )
        ):
            self.advanced.choose_cpu()
            settings = replace(run.request.settings, device="cpu")
            self.run_box.start(SynthesisRun(replace(run.request, settings=settings)), self._show_case)

    def _show_case(self, run: SynthesisRun) -> None:
        """Put a new case on the screen: ``update`` shows the current case in the views."""
        case, parameters, seconds = run.status.nodes, self.parameters, run.status.seconds
        self.compare.views.show_again()
        was_modifying = parameters.StartModify()
        parameters.syntheticVolume = case.synthetic
        parameters.syntheticSegmentation = case.vertebrae
        parameters.currentCase = case.synthetic
        parameters.EndModify(was_modifying)
        self._made = (case.synthetic.GetID(), fingerprint(run.request))
        if case.ap is not None:
            self.inputs.show_rendered(case.ap, case.lateral)
        if case.synthetic.GetAttribute("TomoRay.Device") == "cpu":
            self.advanced.remember_cpu_seconds(seconds)
        done = _("Empty after {seconds:.0f} s.") if run.is_empty else _("Done in {seconds:.0f} s.")
        self._suggestion = run.suggestion
        notes = [_("Note: {text}").format(text=text) for text in run.status.warnings]
        asked = [run.suggestion["question"]] if run.suggestion else []
        self._said = "\n".join([done.format(seconds=seconds), *notes, *asked])


def _are_there(nodes: Any) -> bool:
    """False if the nodes of a finished run were deleted meanwhile."""
    return nodes is None or in_scene(nodes.synthetic if isinstance(nodes, CaseNodes) else nodes[0])
