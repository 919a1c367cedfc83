"""The linked cursor's control: a check box, and a line that says how far the rays of two marks pass each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.panel.compare import CompareSection
from TomoRayLib.slicer.panel.parameters import Layout
from TomoRayLib.slicer.panel.texts import show_text
from TomoRayLib.slicer.scene.case_radiographs import case_radiographs
from TomoRayLib.slicer.views import display
from TomoRayLib.slicer.views.cursor_views import VOLUME, CursorViews, shows_radiographs
from TomoRayLib.slicer.views.outlines import set_outlines


class CursorSection:
    """Links a point of the current case with its radiographs while the box is ticked; nothing of it is saved."""

    def __init__(self, ui: Any, guard: Any, compare: CompareSection, starts: Callable[[], None]) -> None:
        self._ui, self._compare, self._starts = ui, compare, starts
        self.parameters: Any = None
        self.is_on = False
        self._busy = False
        self._shown: tuple = ()
        self.moved: Callable[[tuple[float, float, float]], None] = lambda _ras: None  # after each move
        self.views = CursorViews(guard(self._on_told))
        ui.cursorCheckBox.connect("toggled(bool)", guard(self._on_toggled))
        show_text(ui.cursorLabel, "")

    def stop(self) -> None:
        """Remove the cursor, and show the radiographs as before."""
        if not self.is_on:
            return
        self.is_on, self._shown = False, ()
        self.views.hide()
        self._ui.cursorCheckBox.checked = False
        show_text(self._ui.cursorLabel, "")
        case = self._compare.case if self.parameters is not None else None
        if case is not None and shows_radiographs():
            display.show_radiographs(*self._compare.radiographs(case))
            set_outlines(case, self.parameters.showOutline)

    def update(self) -> None:
        """Bring the cursor in line with the case and the layout."""
        if self._busy or not self.is_on:
            return
        case = self._compare.case
        if case is None or not shows_radiographs() or self.parameters.layout is not Layout.SYNTHETIC:
            self.stop()
        elif self._shown != self._key(case) or not self.views.complete:
            self._show(case)

    def _key(self, case: Any) -> tuple:
        return case.synthetic.GetID(), case.synthetic.GetAttribute("TomoRay.MadeAt")

    def _on_toggled(self, checked: bool) -> None:
        case = self._compare.case
        if not checked:
            self.stop()
        elif not self.is_on and case is not None:
            self._starts()
            self.is_on = self._busy = True
            try:
                self.parameters.layout = Layout.SYNTHETIC
                if not shows_radiographs():  # the user chose another layout by hand
                    self._compare.views.show_again()
                    self._compare.update()
            finally:
                self._busy = False
            self._show(case)

    def _show(self, case: Any) -> None:
        try:
            radiographs = case_radiographs(case)
        except InputError as error:
            self.stop()
            show_text(self._ui.cursorLabel, str(error))
            return
        self._shown = self._key(case)
        self.views.show(case, radiographs, self.parameters.showOutline)

    def _on_told(self, gap_mm: float | None) -> None:
        said = _("Drag the cross in a slice, or its mark in a radiograph.")
        if gap_mm is not None:
            said = _("The rays of both marks pass each other at {gap:.1f} mm.").format(gap=gap_mm)
        show_text(self._ui.cursorLabel, said)
        self.moved(self.views.place(VOLUME))
