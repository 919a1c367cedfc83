"""The Compare section: layout, window, difference, surfaces, scores and report of the current case."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.base.held_folders import HeldFolder
from TomoRayLib.slicer.panel.parameters import InputKind, Layout
from TomoRayLib.slicer.panel.texts import show_text
from TomoRayLib.slicer.scene.case_nodes import PROVENANCE_KEY, CaseNodes, case_of, report_html
from TomoRayLib.slicer.scene.score_table import BEST, counted_ahead, export_metrics, labels_by
from TomoRayLib.slicer.views import annotation, layouts, same_scale, true_background
from TomoRayLib.slicer.views.case_views import CaseViews, Look
from TomoRayLib.slicer.worker.job_folder import FOLDER_PREFIX, temporary_folder


def later(function: Callable[[], None]) -> None:
    """Call a function when Qt is next idle."""
    qt.QTimer.singleShot(0, function)


class CompareSection:
    """The controls for the look of the current case; ``views`` shows it."""

    def __init__(self, ui: Any, guard: Any) -> None:
        self._ui = ui
        self.parameters: Any = None
        self._reports: HeldFolder | None = None
        self.views = CaseViews(annotation.start(later), same_scale.ScaleKeeper(later))
        for choice in Layout:
            ui.layoutComboBox.addItem(choice.label(), choice.value)
        ui.layoutComboBox.connect("currentIndexChanged(int)", guard(self._on_layout_chosen))
        ui.compareSection.enabled = False

    @property
    def case(self) -> CaseNodes | None:
        """The current case, None if there is none."""
        return case_of(self.parameters.currentCase) if self.parameters is not None else None

    def update(self) -> None:
        """Bring controls and views in line with the parameter node, as far as it changed."""
        ui, case = self._ui, self.case
        if ui.compareSection.enabled != (case is not None):
            ui.compareSection.collapsed = case is None
        ui.compareSection.enabled = case is not None
        if case is None:
            self.show_layout_there()
            self.views.show_again()
            ui.metricsTable.setMRMLTableNode(None)
            ui.metricsTable.visible = False
            show_text(ui.agreementLabel, "")
            show_text(ui.scoresLabel, "")
            return
        self._update_controls(case)
        if self.views.show(case, self._look(case)):
            ui.metricsTable.setMRMLTableNode(case.metrics)
            ui.metricsTable.verticalHeader().hide()
            ui.metricsTable.resizeColumnsToContents()
            ui.metricsTable.resizeRowsToContents()
        self.show_layout_there()

    def follow_layout(self) -> None:
        """The layout on the screen has changed, whoever did it."""
        self.views.follow_layout(self.case)
        self.show_layout_there()

    def show_layout_there(self) -> None:
        """Show in the box the layout that is on the screen, whoever chose it; that of the placing step is none."""
        node, box = layouts.layout_node(), self._ui.layoutComboBox
        if self.parameters is None or node is None:
            return
        name = layouts.name_of(node.GetViewArrangement()) if self.case is not None else self.parameters.layout.value
        if name is not None and box.itemData(box.currentIndex) != name:
            box.blockSignals(True)
            box.currentIndex = box.findData(name)
            box.blockSignals(False)

    def _on_layout_chosen(self, index: int) -> None:
        """Show the layout that the user chose, also one that was chosen before and left by hand."""
        if self.parameters is None or index < 0:
            return
        self.views.ask_layout_again()
        chosen = Layout(self._ui.layoutComboBox.itemData(index))
        if self.parameters.layout is not chosen:
            self.parameters.layout = chosen  # which updates
        else:
            self.update()

    def export_scores(self) -> str | None:
        """Ask for a file and write the scores there; returns what was done, None if the user chose none."""
        case = self.case
        if case is None or case.metrics is None:
            return None
        suggestion = str(Path.home() / "tomoray_scores.csv")
        path = qt.QFileDialog.getSaveFileName(None, _("Export scores"), suggestion, "CSV (*.csv)")
        path = path[0] if isinstance(path, (tuple, list)) else path
        target = with_ending(path, ".csv") if path else None
        if target is None:
            return None
        export_metrics(case.metrics, target)
        return _("The scores were written to {path}.").format(path=target)

    def open_report(self) -> None:
        """Write the report of the case to Slicer's temporary folder and open it in the web browser."""
        case = self.case
        html = report_html(case) if case is not None else None
        if case is None or html is None:
            return
        if self._reports is None or not self._reports.path.is_dir():
            self._reports = HeldFolder(Path(temporary_folder() or tempfile.gettempdir()), FOLDER_PREFIX)
        path = self._reports.path / f"TomoRay_report_{case.synthetic.GetID()}.html"
        path.write_text(html, encoding="utf-8")
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))

    def come_back(self) -> None:
        """Show the case in TomoRay's layout again."""
        case = self.case
        if case is not None:
            self.views.come_back(case, self.parameters.segmentation)

    def delete_reports(self) -> None:
        """Delete the reports that were opened from Slicer's temporary folder."""
        if self._reports is not None:
            self._reports.remove()
            self._reports = None

    def _update_controls(self, case: CaseNodes) -> None:
        """Enable the controls of what the case has."""
        parameters, ui = self.parameters, self._ui
        has_difference = case.difference is not None
        for widget in (ui.differenceCheckBox, ui.differenceSlider):
            widget.enabled = has_difference and (widget is ui.differenceCheckBox or parameters.showDifference)
        for widget in (ui.truthSlider, ui.distanceCheckBox):
            widget.enabled = case.truth_surface is not None
        ui.syntheticSlider.enabled = case.synthetic_surface is not None
        has_ct = true_background.source_ct(case) is not None
        ui.trueBackgroundComboBox.enabled = has_ct
        ui.trueBackgroundComboBox.toolTip = (
            _("What the true slice views show: the vertebrae cut out of the CT, as compared, or the CT as it is.")
            if has_ct
            else _("The CT of this case is not in the scene: its vertebrae alone are shown, if it has any.")
        )
        ui.exportButton.enabled = ui.metricsTable.enabled = case.metrics is not None
        ui.metricsTable.visible = case.metrics is not None
        ui.reportButton.enabled = case.report is not None
        ui.outlineCheckBox.enabled = case.ap_outline is not None or case.lateral_outline is not None
        show_text(ui.agreementLabel, _agreement_text(case))
        show_text(ui.scoresLabel, _scores_text(case))
        ui.exportButton.toolTip = (
            _("Write the table of scores as a CSV file.") if case.metrics is not None else _scores_text(case)
        )

    def radiographs(self, case: CaseNodes) -> tuple[Any, Any]:
        """The AP and the lateral radiograph to show with a case: its own, else those chosen."""
        if case.ap is None and self.parameters.inputKind is InputKind.RADIOGRAPHS:
            return self.parameters.apRadiograph, self.parameters.lateralRadiograph
        return case.ap, case.lateral

    def _look(self, case: CaseNodes) -> Look:
        """The look that the controls ask for."""
        parameters = self.parameters
        return Look(
            layout=parameters.layout.value,
            window=parameters.windowPreset.value,
            linked=parameters.linkedViews,
            show_difference=parameters.showDifference,
            difference_opacity=parameters.differenceOpacity,
            truth_opacity=parameters.truthOpacity,
            synthetic_opacity=parameters.syntheticOpacity,
            show_distance=parameters.showDistance,
            radiographs=self.radiographs(case),
            show_outline=parameters.showOutline,
            show_names=parameters.showNames,
            own_segmentation=parameters.segmentation,
            true_background=parameters.trueBackground.value,
        )


def with_ending(path: str, ending: str) -> Path | None:
    """The path of a file to be written, with its ending if the user typed none; None if that file is there already, of
    which the dialog knew nothing, and the user keeps it."""
    typed = Path(path)
    if typed.suffix.lower() == ending:
        return typed
    target = typed.with_name(typed.name + ending)
    question = _("{path} exists. Overwrite it?").format(path=target)
    return None if target.exists() and not slicer.util.confirmYesNoDisplay(question) else target


def _agreement_text(case: CaseNodes) -> str:
    """How well the result fits its radiographs, and how certain it is; empty if the case states neither."""
    provenance = json.loads(case.synthetic.GetAttribute(PROVENANCE_KEY))
    stated, certainty = provenance.get("agreement") or {}, provenance.get("certainty")
    views = {"ap": _("AP {figure:.2f}"), "lateral": _("lateral {figure:.2f}")}
    figures = [text.format(figure=stated[view]) for view, text in views.items() if stated.get(view) is not None]
    said = []
    if figures:
        said.append(_("Agreement with the radiographs: {figures}").format(figures=", ".join(figures)))
    if certainty is not None:
        text = _("certainty {figure:.2f}") if figures else _("Certainty {figure:.2f}")
        said.append(text.format(figure=certainty))
    return "; ".join(said)


def _scores_text(case: CaseNodes) -> str:
    if case.metrics is not None:
        ahead, scores = counted_ahead(case.metrics)
        said = _(
            "Scores of this one case (n = 1), next to an empty volume and the mean spine atlas. Better than both in "
            "{ahead} of {scores}. {best}: best of its row. \N{UPWARDS ARROW}: higher is better, \N{DOWNWARDS ARROW}: "
            "lower."
        ).format(ahead=ahead, scores=scores, best=BEST)
        owner = labels_by(case.metrics)
        if owner is None:
            return said
        unchecked = _(
            "The truth rests on {owner}, found by a network and checked by nobody. For scores to be quoted, choose "
            "vertebrae of the CT, drawn or by TotalSegmentator."
        ).format(owner=owner)
        return f"{unchecked}\n{said}"
    if case.truth is not None:
        return _("No scores: they compare vertebrae, so they need a vertebra segmentation of the CT.")
    return _("No scores: there is no CT to compare with.")
