"""The Measures section: a list of what was measured, which shows the chosen line in the views and says how far it can
be believed; the whole table, and its CSV file.

It is built here: its lines change with the case.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from TomoRayLib.slicer.panel.compare import CompareSection, with_ending
from TomoRayLib.slicer.panel.measure_list import Line, headline, lines_of, said_of
from TomoRayLib.slicer.panel.texts import show_text
from TomoRayLib.slicer.scene.case_nodes import CaseNodes, cases_in_scene
from TomoRayLib.slicer.scene.measure_markups import (
    KIND_KEY,
    KINDS,
    PART_KEY,
    is_synthetic,
    markups_of,
    markups_of_measure,
    show_angle,
    value_shown,
)
from TomoRayLib.slicer.scene.measure_table import MEASURES_KEY, export_measures, measures_of
from TomoRayLib.slicer.views.layouts import layout_node
from TomoRayLib.slicer.views.measures import hide_measures, show_measures

LINES_SHOWN = 10
TABLE_SIZE = (1100, 560)
MOVED = 0.05  # mm or degrees: what rounding does not explain


class MeasuresSection:
    """List, table and file of the measures of the current case. ``say(text)`` shows what was done."""

    def __init__(self, ui: Any, guard: Any, compare: CompareSection, say: Any) -> None:
        self._compare, self._say = compare, say
        self.parameters: Any = None
        self._shown: tuple = ()  # the case, its measures and the layout that the list is about
        self._lines: dict[int, Line] = {}  # by number of the list's item
        self._measures: dict[str, Any] = {}
        self._updating = False
        self._observed: list[tuple[Any, int]] = []
        self.box = ctk.ctkCollapsibleButton()
        self.box.text = _("Measures")
        self.box.objectName = "measuresSection"
        self.headline, self.said = qt.QLabel(), qt.QLabel()
        self.headline.objectName, self.said.objectName = "measuresLabel", "measureLabel"
        for label in (self.headline, self.said):
            label.wordWrap = True
        self.said.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
        self.list = qt.QTreeWidget()
        self.list.objectName = "measuresList"
        self.list.setHeaderLabels([_("Measure"), _("Synthetic"), _("True"), _("Error")])
        self.list.toolTip = _(
            "Choose a line to see it in the views. Error: between what synthetic minus true lay in 95 % of people whom "
            "the network was not trained on."
        )
        self.table, self.save = qt.QPushButton(_("Table")), qt.QPushButton(_("Save measures (CSV)..."))
        self.table.objectName, self.save.objectName = "measuresTableButton", "saveMeasuresButton"
        self.table.toolTip = _("Open all measures with units, usual values and errors in a window.")
        self.save.toolTip = _("Write the table of measures as a CSV file, in full precision.")
        self._window: Any = None
        self._view: Any = None  # the table in that window
        self._lay_out(ui.compareSection)
        self._on_dragged = guard(lambda *_arguments: self._follow())
        self.list.connect("itemSelectionChanged()", guard(self._on_chosen))
        self.table.connect("clicked()", guard(self.show_table))
        self.save.connect("clicked()", guard(self.export))

    def update(self) -> None:
        """Bring the list in line with the current case, and its markups with the layout."""
        case = self._compare.case if self.parameters is not None else None
        measured = case if case is not None and case.measures is not None else None
        self.box.enabled = measured is not None
        layout = layout_node().GetViewArrangement() if layout_node() is not None else 0
        shown = (measured.measures.GetID(), measured.measures.GetAttribute(MEASURES_KEY), layout) if measured else ()
        if shown == self._shown:
            return
        same_list, self._shown = shown[:2] == self._shown[:2], shown
        if same_list:
            self._show_chosen(center=True)
        else:
            self._list_lines(measured)

    def forget(self) -> None:
        """Follow nothing any more: the scene is closed, or the module."""
        self._observe(())
        if self._window is not None:
            self._window.close()
            self._window.deleteLater()
            self._window = self._view = None

    def show_table(self) -> None:
        """Open the table of all measures in a window of its own: it is wider than any panel."""
        case = self._compare.case
        if case is None or case.measures is None:
            return
        if self._window is None:
            self._window = qt.QDialog(self.box.window())
            self._view = slicer.qMRMLTableView()
            self._view.setMRMLScene(slicer.mrmlScene)
            qt.QVBoxLayout(self._window).addWidget(self._view)
            self._window.resize(*TABLE_SIZE)
        self._view.setMRMLTableNode(case.measures)
        self._view.resizeColumnsToContents()
        self._window.windowTitle = case.measures.GetName()
        self._window.show()

    def export(self) -> None:
        """Ask for a file and write the measures there."""
        case = self._compare.case
        if case is None or case.measures is None:
            return
        suggestion = str(Path.home() / "tomoray_measures.csv")
        path = qt.QFileDialog.getSaveFileName(None, _("Save measures"), suggestion, "CSV (*.csv)")
        path = path[0] if isinstance(path, (tuple, list)) else path
        target = with_ending(path, ".csv") if path else None
        if target is not None:
            export_measures(case.measures, target)
            self._say(_("The measures were written to {path}.").format(path=target))

    def _lay_out(self, compare_section: Any) -> None:
        buttons = qt.QHBoxLayout()
        for button in (self.table, self.save):
            buttons.addWidget(button)
        column = qt.QVBoxLayout(self.box)
        for widget in (self.headline, self.list, self.said):
            column.addWidget(widget)
        column.addLayout(buttons)
        line_px = self.list.fontMetrics().height() + 4
        self.list.setMinimumHeight(line_px * (LINES_SHOWN + 1))
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        sections = compare_section.parentWidget().layout()
        sections.insertWidget(sections.indexOf(compare_section), self.box)
        self.box.collapsed = True

    def _list_lines(self, case: CaseNodes | None) -> None:
        """List the lines of a case; the one that was chosen stays chosen if its place in the list is still there."""
        self._updating = True
        try:
            place, opened = self._place_of_chosen(), self._opened()
            self.list.clear()
            self._lines = {}
            self._measures = measures_of(case.measures) if case is not None else {}
            if case is None:
                show_text(self.headline, "")
                self.box.collapsed = True
            else:
                show_text(self.headline, headline(self._measures))
                compared = self._measures["truth"] is not None
                self.list.setColumnHidden(2, not compared)
                for line in lines_of(self._measures):
                    self.list.addTopLevelItem(self._item_of(line))
                self._open(opened)
                for column in (1, 2, 3):
                    self.list.resizeColumnToContents(column)
                self._choose(place)
                self.box.collapsed = False
        finally:
            self._updating = False
        self._show_chosen(center=False)

    def _item_of(self, line: Line) -> Any:
        item = qt.QTreeWidgetItem()
        for column, text in enumerate((line.title, line.synthetic, line.truth, line.error)):
            item.setText(column, text)
        number = len(self._lines)
        item.setData(0, qt.Qt.UserRole, number)
        self._lines[number] = line
        if len(line.rows) == 1:
            definition = self._measures["definitions"][line.rows[0]["key"]]["definition"]
            item.setToolTip(0, f"{line.title}: {definition}")
        if line.of_use:
            font = item.font(1)
            font.setBold(True)
            item.setFont(1, font)
        for inner in line.inside:
            item.addChild(self._item_of(inner))
        return item

    def _chosen(self) -> Line | None:
        items = self.list.selectedItems()
        return self._lines.get(int(items[0].data(0, qt.Qt.UserRole))) if items else None

    def _place_of_chosen(self) -> tuple[int, int] | None:
        """The place of the chosen line: among all, and inside that one (-1: itself)."""
        items = self.list.selectedItems()
        if not items:
            return None
        parent = items[0].parent()
        if parent is None:
            return self.list.indexOfTopLevelItem(items[0]), -1
        return self.list.indexOfTopLevelItem(parent), parent.indexOfChild(items[0])

    def _choose(self, place: tuple[int, int] | None) -> None:
        if place is None or place[0] >= self.list.topLevelItemCount:
            return
        item = self.list.topLevelItem(place[0])
        inner = item.child(place[1]) if 0 <= place[1] < item.childCount() else None
        self.list.setCurrentItem(inner or item)

    def _opened(self) -> list[int]:
        count = self.list.topLevelItemCount
        return [place for place in range(count) if self.list.topLevelItem(place).isExpanded()]

    def _open(self, places: list[int]) -> None:
        for place in places:
            if place < self.list.topLevelItemCount:
                self.list.topLevelItem(place).setExpanded(True)

    def _on_chosen(self) -> None:
        if not self._updating:
            self._show_chosen(center=True)

    def _show_chosen(self, center: bool) -> None:
        """Draw the markups of the chosen line, and say what is to be said of it."""
        case, line = self._compare.case, self._chosen()
        for other in cases_in_scene():
            if case is None or other.synthetic is not case.synthetic:
                hide_measures(markups_of(other.measures))
        if case is None or case.measures is None:
            show_text(self.said, "")
            self._observe(())
            return
        rows = line.rows if line is not None else ()
        if len(rows) == 1 and rows[0]["key"] == "wedge_ratio":  # its lines are the two heights
            of_body = ("height_anterior_mm", "height_posterior_mm")
            pairs = [(key, rows[0]["subject"]) for key in of_body]
        else:
            pairs = [(row["key"], row["subject"]) for row in rows]
        markups = [node for pair in pairs for node in markups_of_measure(case.measures, *pair)]
        show_measures(case, markups, center=center)
        self._observe(markups)
        self._say_chosen()

    def _observe(self, markups: Any) -> None:
        """Follow what is dragged of these markups, and of no others."""
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = [(node, node.AddObserver(node.PointModifiedEvent, self._on_dragged)) for node in markups]

    def _follow(self) -> None:
        """A markup was dragged: both lines of an angle show the angle between them, and the panel says it too."""
        if self._updating:
            return
        self._updating = True
        try:
            for kind in KINDS:
                pair = [node for node, _tag in self._observed if node.GetAttribute(KIND_KEY) == kind]
                if len(pair) == 2 and all(node.GetAttribute(PART_KEY) for node in pair):
                    show_angle(pair)
        finally:
            self._updating = False
        self._say_chosen()

    def _say_chosen(self) -> None:
        line = self._chosen()
        show_text(self.said, "" if line is None else said_of(self._measures, line, self._moved(line)))

    def _moved(self, line: Line) -> str:
        """What the markups of a line show, if somebody has dragged them; empty otherwise."""
        if len(line.rows) != 1 or line.rows[0]["key"] == "wedge_ratio":
            return ""
        (row,) = line.rows
        said = []
        for kind, text in zip(KINDS, (_("the synthetic one {value}"), _("the true one {value}")), strict=True):
            nodes = [node for node, _tag in self._observed if is_synthetic(node) == (kind == KINDS[0])]
            value = value_shown(nodes) if row[kind] is not None else None
            if value is not None and abs(abs(value) - abs(row[kind])) > MOVED:
                unit = row["unit"] if row["unit"] == "°" else f" {row['unit']}"
                said.append(text.format(value=f"{value:.1f}{unit}".replace("-", "\N{MINUS SIGN}")))
        return (
            _("As you moved it: {values}. The table keeps what was measured.").format(values=", ".join(said))
            if said
            else ""
        )
