"""The names of vertebrae in the panel: whether the views show them, how sure the count is, and renaming all from one.

The row is built here: which vertebrae can be named, and as what, changes with the case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from TomoRayLib.anatomy.vertebra_naming import SURE, nearest_number, new_numbers
from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER, LABEL_OF_NAME, NAME_OF_LABEL
from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.fingerprint import fingerprint
from TomoRayLib.slicer.panel.compare import CompareSection
from TomoRayLib.slicer.panel.cursor import CursorSection
from TomoRayLib.slicer.panel.texts import show_text
from TomoRayLib.slicer.request import Request
from TomoRayLib.slicer.scene.case_nodes import CaseNodes
from TomoRayLib.slicer.scene.renaming import anchor_of, named_vertebrae, rename_vertebrae, report_is_old
from TomoRayLib.slicer.scene.vertebra_names import UNSURE_MARK, count_is_unsure, shown_name

ROW = 7  # of the Compare section, in which the check box and the row below it stand


class NamingSection:
    """The check box for names in the views, and the row that renames all vertebrae of the current case."""

    def __init__(self, ui: Any, guard: Any, compare: CompareSection, cursor: CursorSection) -> None:
        self._compare = compare
        self.parameters: Any = None
        self._updating = False
        self.renamed: Callable[[], None] = lambda: None  # after each renaming
        self._shown: tuple = ()  # the case and the numbers that the boxes list
        self.box = qt.QWidget()
        self.show_names = qt.QCheckBox(_("Names of vertebrae"))
        self.show_names.objectName = "namesCheckBox"
        self.show_names.toolTip = _(
            "Write the names of the vertebrae into the views: true ones where the true CT is, synthetic ones where the "
            "synthetic CT is. A question mark: the count is unsure."
        )
        self.count = qt.QLabel()
        self.count.objectName = "countLabel"
        self.count.wordWrap = True
        self.row = qt.QWidget()
        self.vertebra, self.name = qt.QComboBox(), qt.QComboBox()
        self.vertebra.objectName, self.name.objectName = "vertebraComboBox", "newNameComboBox"
        self.vertebra.toolTip = _(
            "A vertebra by the name that it has now. Moving the crosshair to one (Shift and the mouse in a view), or "
            "the linked cursor, chooses it."
        )
        self.name.toolTip = _("The name that it should have. All others are counted from it.")
        self.rename = qt.QPushButton(_("Rename all"))
        self.rename.objectName = "renameButton"
        self.rename.toolTip = _("Rename this vertebra, and count all others from it, without another run.")
        self._lay_out(ui.compareSection.layout())
        self.show_names.connect("toggled(bool)", guard(self._on_toggled))
        self.vertebra.connect("currentIndexChanged(int)", guard(lambda *_arguments: self._list_names()))
        self.rename.connect("clicked()", guard(self._on_rename))
        cursor.moved = self.choose
        self._on_crosshair = guard(lambda *_arguments: self._choose_nearest())
        self._crosshair: tuple[Any, int] | None = None

    def update(self) -> None:
        """Bring check box and row in line with the current case."""
        case = self._compare.case
        has_names = case is not None and (case.vertebra_names is not None or case.truth_names is not None)
        self.show_names.enabled = has_names
        if self.parameters is not None and self.show_names.checked != self.parameters.showNames:
            self.show_names.checked = self.parameters.showNames
        spine = named_vertebrae(case) if case is not None else None
        self.row.visible = spine is not None
        if case is None or spine is None:
            self._shown = ()
            show_text(self.count, "")
            self._follow_crosshair(False)
            return
        self._follow_crosshair(True)
        show_text(self.count, count_text(spine))
        shown = case.synthetic.GetID(), tuple(one["number"] for one in spine["vertebrae"]), spine["numbering"]
        if shown != self._shown:
            self._shown = shown
            self._list_vertebrae(spine)

    def stop(self) -> None:
        """Follow the crosshair no more: the scene or the module is left."""
        self._follow_crosshair(False)

    def choose(self, ras: tuple[float, float, float]) -> None:
        """Choose the vertebra whose centre is nearest to a place in RAS mm."""
        case = self._compare.case
        nearest = nearest_number(_places(case), ras) if case is not None else None
        if nearest is not None:
            place = self.vertebra.findData(nearest)
            if place >= 0:
                self.vertebra.currentIndex = place

    def asked_again(self, request: Request, made: tuple[str, tuple] | None) -> Request:
        """Return a request with the vertebra that the user named in the current case, if it asks for that case again.

        With other images or settings the name may be wrong. ``made`` is the last case of this panel: the id of its
        synthetic CT, and the fingerprint of its request.
        """
        case = self._compare.case
        if case is None or made != (case.synthetic.GetID(), fingerprint(request)):
            return request
        return replace(request, settings=replace(request.settings, anchor=anchor_of(case)))

    def _lay_out(self, section: Any) -> None:
        """Put the check box and the row into the form of the Compare section."""
        row = qt.QHBoxLayout(self.row)
        row.setContentsMargins(0, 0, 0, 0)
        for widget, share in ((self.vertebra, 1), (qt.QLabel(_("is")), 0), (self.name, 1), (self.rename, 0)):
            row.addWidget(widget, share)
        column = qt.QVBoxLayout(self.box)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.count, self.row):
            column.addWidget(widget)
        section.insertRow(ROW, "", self.show_names)
        section.insertRow(ROW + 1, self.box)

    def _list_vertebrae(self, spine: Mapping[str, Any]) -> None:
        """List the vertebrae, the one at the same place chosen as before."""
        place, unsure = self.vertebra.currentIndex, count_is_unsure(spine)
        self._updating = True
        try:
            self.vertebra.clear()
            for one in spine["vertebrae"]:
                self.vertebra.addItem(shown_name(one["number"], unsure), one["number"])
            self.vertebra.currentIndex = place if 0 <= place < self.vertebra.count else self.vertebra.count // 2
        finally:
            self._updating = False
        self._list_names()

    def _list_names(self) -> None:
        """List the names that the chosen vertebra can get, its own one chosen."""
        chosen = self.vertebra.currentData
        if self._updating or chosen is None:
            return
        present = [self.vertebra.itemData(place) for place in range(self.vertebra.count)]
        self.name.clear()
        for number in CRANIOCAUDAL_ORDER:
            if _is_possible(present, chosen, number):
                self.name.addItem(NAME_OF_LABEL[number], number)
        self.name.currentIndex = self.name.findData(chosen)

    def _on_rename(self) -> None:
        case, was, becomes = self._compare.case, self.vertebra.currentData, self.name.currentData
        if case is None or was is None or becomes is None:
            return
        rename_vertebrae(case, was, becomes)
        self._shown = ()
        self.update()
        self.renamed()

    def _on_toggled(self, checked: bool) -> None:
        if self.parameters is not None:
            self.parameters.showNames = checked

    def _choose_nearest(self) -> None:
        if self._crosshair is not None:
            self.choose(tuple(self._crosshair[0].GetCrosshairRAS()))

    def _follow_crosshair(self, follow: bool) -> None:
        node = slicer.mrmlScene.GetSingletonNode("default", "vtkMRMLCrosshairNode") if follow else None
        if self._crosshair is not None:
            if self._crosshair[0] is node:
                return
            self._crosshair[0].RemoveObserver(self._crosshair[1])
            self._crosshair = None
        if node is not None:
            self._crosshair = (node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_crosshair))


def count_text(spine: Mapping[str, Any]) -> str:
    """Return how sure the numbers of a case's vertebrae are, in a sentence."""
    named = spine.get("named_by_you")
    if named:
        said = _("Count: named by you ({name}).").format(name=named["name"])
        if report_is_old(spine):
            said += " " + _("The report keeps the names of its run until you press Synthesize again.")
        return said
    certainty = 100 * float(spine["numbering_certainty"])
    if spine["numbering"] == SURE:
        return _("Count: sure, {certainty:.0f} %.").format(certainty=certainty)
    return _(
        "Count unsure ({certainty:.0f} %): all names may be one or more off. Name one vertebra, and all follow."
    ).format(certainty=certainty)


def _places(case: CaseNodes) -> dict[int, tuple[float, float, float]]:
    """Where the names of the synthetic vertebrae are in RAS mm, by VerSe number, transforms included."""
    node, places = case.vertebra_names, {}
    for place in range(node.GetNumberOfControlPoints() if node is not None else 0):
        label = LABEL_OF_NAME.get(node.GetNthControlPointLabel(place).removesuffix(UNSURE_MARK))
        if label is not None:
            ras = [0.0] * 3
            node.GetNthControlPointPositionWorld(place, ras)
            places[label] = (ras[0], ras[1], ras[2])
    return places


def _is_possible(present: list[int], was: int, becomes: int) -> bool:
    try:
        new_numbers(present, was, becomes)
    except InputError:
        return False
    return True
