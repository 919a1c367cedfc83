"""The Compare section: layout, window, difference, surfaces, scores and report of the case on the screen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TomoRayLib.slicer.panel.parameters import InputKind, Layout
from TomoRayLib.slicer.panel.texts import show_text
from TomoRayLib.slicer.scene.case_nodes import CaseNodes, find_case, find_cases, report_html
from TomoRayLib.slicer.scene.tables import counted_ahead, export_metrics
from TomoRayLib.slicer.views import annotation, display, layouts

LAYOUT_ID = {Layout.COMPARE: layouts.COMPARE_ID, Layout.SYNTHETIC: layouts.SYNTHETIC_ID}


def later(function: Callable[[], None]) -> None:
    """Call a function when Qt is next idle."""
    qt.QTimer.singleShot(0, function)


class CompareSection:
    """Shows one case. What the user changes by hand in the views stays until the panel's own setting changes."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self.parameters: Any = None
        self._applied: dict[str, Any] = {}
        self._reports: set[Path] = set()
        self.annotations = annotation.start(later)
        ui.compareSection.enabled = False

    @property
    def case(self) -> CaseNodes | None:
        """The case on the screen, None without one."""
        return find_case(self.parameters.currentCase) if self.parameters is not None else None

    def update(self) -> None:
        """Bring the views in line with the parameter node, as far as it changed."""
        parameters, ui, case = self.parameters, self._ui, self.case
        ui.compareSection.enabled = case is not None
        if parameters is None or case is None:
            self._applied = {}
            ui.metricsTable.setMRMLTableNode(None)
            ui.metricsTable.visible = False
            show_text(ui.scoresLabel, "")
            return
        has_difference = case.difference is not None
        for widget in (ui.differenceCheckBox, ui.differenceSlider):
            widget.enabled = has_difference and (widget is ui.differenceCheckBox or parameters.showDifference)
        for widget in (ui.truthSlider, ui.distanceCheckBox):
            widget.enabled = case.truth_surface is not None
        ui.syntheticSlider.enabled = case.synthetic_surface is not None
        ui.exportButton.enabled = ui.metricsTable.enabled = case.metrics is not None
        ui.metricsTable.visible = case.metrics is not None
        ui.reportButton.enabled = case.report is not None
        show_text(ui.scoresLabel, _scores_text(case))
        ui.exportButton.toolTip = (
            _("Write the table of scores as a CSV file.") if case.metrics is not None else _scores_text(case)
        )
        identity = case.synthetic.GetID(), case.synthetic.GetAttribute("TomoRay.MadeAt")
        if self._changed("case", identity):
            self._applied = {"case": identity}
            ui.metricsTable.setMRMLTableNode(case.metrics)
            ui.metricsTable.resizeColumnsToContents()
            display.only_this_case(case, find_cases())
        if self._changed("layout", parameters.layout):
            self._show_layout(case, parameters.layout)
        if self._changed("window", parameters.windowPreset):
            display.set_window(case, parameters.windowPreset.value)
        if self._changed("linked", parameters.linkedViews):
            display.set_linked(case, parameters.linkedViews)
        if self._changed("difference", (parameters.showDifference, parameters.differenceOpacity)):
            display.set_difference(case, parameters.showDifference, parameters.differenceOpacity)
        surfaces = (parameters.truthOpacity, parameters.syntheticOpacity, parameters.showDistance)
        if self._changed("surfaces", surfaces):
            display.set_surfaces(case, *surfaces)
        self.annotations.refresh()

    def show_again(self) -> None:
        """Apply every setting again at the next update: the views are new, or the case is."""
        self._applied = {}

    def export_scores(self) -> str | None:
        """Ask for a file and write the scores there; returns what was done, None where the user chose none."""
        case = self.case
        if case is None or case.metrics is None:
            return None
        suggestion = str(Path.home() / "tomoray_scores.csv")
        path = qt.QFileDialog.getSaveFileName(None, _("Export scores"), suggestion, "CSV (*.csv)")
        path = path[0] if isinstance(path, (tuple, list)) else path
        if not path:
            return None
        export_metrics(case.metrics, Path(path))
        return _("The scores were written to {path}.").format(path=path)

    def open_report(self) -> None:
        """Write the report of the case to Slicer's temporary folder and open it in the web browser."""
        case = self.case
        html = report_html(case) if case is not None else None
        if case is None or html is None:
            return
        folder = Path(slicer.app.temporaryPath or tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"TomoRay_report_{case.synthetic.GetID()}.html"
        path.write_text(html, encoding="utf-8")
        self._reports.add(path)
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))

    def leave(self) -> None:
        """Give the views back: the layout before, and the user's own segmentations in it."""
        node = layouts.layout_node()
        if node is not None:
            layouts.restore(node)
        display.let_back()
        self.annotations.refresh()

    def come_back(self) -> None:
        """TomoRay's layout again, its views as they were left."""
        case, number = self.case, LAYOUT_ID.get(self._applied.get("layout", Layout.UNCHANGED))
        if case is not None and number is not None:
            layouts.show(layouts.layout_node(), number if case.truth is not None else layouts.SYNTHETIC_ID)
            display.keep_out(self.parameters.segmentation)
            self.annotations.refresh()

    def delete_reports(self) -> None:
        """Take the reports that were opened out of Slicer's temporary folder."""
        for path in self._reports:
            path.unlink(missing_ok=True)
        self._reports.clear()

    def _show_layout(self, case: CaseNodes, layout: Layout) -> None:
        number = LAYOUT_ID.get(layout)
        display.let_back()
        if number is None:
            layouts.restore(layouts.layout_node())
            for name in ("linked", "difference"):
                self._applied.pop(name, None)
            return
        if number == layouts.COMPARE_ID and case.truth is None:
            number = layouts.SYNTHETIC_ID
        layouts.show(layouts.layout_node(), number)
        slicer.app.processEvents()
        display.show_slices(case)
        display.keep_outlines_apart(case)
        display.keep_out(self.parameters.segmentation)
        ap, lateral = self._radiographs(case)
        display.show_radiographs(ap, lateral)
        display.set_table(case)
        for name in ("linked", "difference", "surfaces"):
            self._applied.pop(name, None)
        for window, node in annotation.views_of_application():
            if node.GetLayoutName() == layouts.THREE_D_VIEW:
                display.look_at_surfaces(case, window, node)

    def _radiographs(self, case: CaseNodes) -> tuple[Any, Any]:
        """The rendered radiographs of the case, or those that it was made from."""
        if case.ap is not None or self.parameters.inputKind is InputKind.CT:
            return case.ap, case.lateral
        return self.parameters.apRadiograph, self.parameters.lateralRadiograph

    def _changed(self, name: str, value: Any) -> bool:
        changed = name not in self._applied or self._applied[name] != value
        self._applied[name] = value
        return changed


def _scores_text(case: CaseNodes) -> str:
    if case.metrics is not None:
        ahead, scores = counted_ahead(case.metrics)
        return _(
            "Scores of this one case (n = 1), beside an empty volume and the mean spine atlas. Ahead of both in "
            "{ahead} of {scores}:"
        ).format(ahead=ahead, scores=scores)
    if case.truth is not None:
        return _("No scores: they compare vertebrae, which needs a vertebra segmentation of the CT.")
    return _("No scores: there is no CT to compare with.")
