"""How two radiographs were taken: the numbers with their origins, folded to those that are missing."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from TomoRayLib.slicer.panel.inputs import InputsSection
from TomoRayLib.slicer.panel.numbers import NUMBERS, PLACE, UNIT_OF_NUMBER, parameter_of
from TomoRayLib.slicer.panel.parameters import InputKind
from TomoRayLib.slicer.panel.texts import show_text
from TomoRayLib.slicer.scene.geometry_origins import detail_of, mark_of, word_of

VIEWS = ("ap", "lateral")
DISTANCES = ("Sid", "Sad")


class AcquisitionSection:
    """The rows of numbers, their fold, and the line that tells them while they are folded."""

    def __init__(self, ui: Any, guard: Any, inputs: InputsSection) -> None:
        self._ui, self._inputs = ui, inputs
        self.parameters: Any = None
        self.is_placing = False  # the rulers are in use
        self._tips: dict[str, str] = {}  # the own tooltip of each box
        ui.acquisitionButton.connect("toggled(bool)", guard(lambda _checked: self.update()))

    def update(self) -> None:
        """Show each number with its origin, and the rows that are unfolded or needed."""
        if self.parameters is None or self.parameters.inputKind is not InputKind.RADIOGRAPHS:
            return
        for view in VIEWS:
            for name in NUMBERS:
                self._update_box(view, name)
        unfolded = bool(self._ui.acquisitionButton.checked)
        self._ui.acquisitionButton.arrowType = qt.Qt.DownArrow if unfolded else qt.Qt.RightArrow
        for name in NUMBERS:
            self._show_row(name, unfolded or self._is_needed(name))
        self._show_row("Ruler", unfolded or self.is_placing)
        self._ui.presetRow.visible = unfolded or any(self._is_needed(name) for name in DISTANCES)
        summary = "" if unfolded else self._summary()
        show_text(self._ui.acquisitionLabel, summary)
        self._ui.acquisitionLabel.visible = bool(summary)

    def _show_row(self, name: str, shown: bool) -> None:
        ui = self._ui
        for widget in (getattr(ui, f"{name.lower()}Label"), *(getattr(ui, f"{v}{name}SpinBox") for v in VIEWS)):
            widget.visible = shown

    def _is_needed(self, name: str) -> bool:
        """True if a number is missing, or cannot be right: what keeps Synthesize from starting."""
        for view in VIEWS:
            read = self._inputs.read(view)
            if read is None or name not in (*DISTANCES, "Spacing"):
                continue
            shown = self._inputs.edited(view)
            if name == "Spacing" and (shown.pixel_spacing_mm is None or read[1].field == "pixel_spacing_mm"):
                return True
            wrong = shown.sid_mm is not None and shown.sad_mm is not None and not 0.0 < shown.sad_mm <= shown.sid_mm
            if name in DISTANCES and (wrong or read[1].field in ("sid_mm", "sad_mm")):
                return True
        return False

    def _update_box(self, view: str, name: str) -> None:
        """Show after a number its unit and its origin in brackets, and the origin at length in the tooltip."""
        box, read = getattr(self._ui, f"{view}{name}SpinBox"), self._inputs.read(view)
        origin = self._inputs.origins(view).get(name, "")
        unit = UNIT_OF_NUMBER[name]
        box.suffix = f" {unit} ({mark_of(origin)})" if origin else f" {unit}"
        tip = self._tips.setdefault(f"{view}{name}", box.toolTip)
        if origin and read is not None:
            tip = _("{tip} From: {origin}.").format(tip=tip, origin=detail_of(origin, read[1].source_format))
        box.toolTip = tip
        box.specialValueText = _("not set") if name in NUMBERS[:3] and read is not None else ""
        parallel = read is not None and name in DISTANCES and read[0].sid_mm is None
        box.enabled = read is not None and not parallel
        if parallel:
            box.specialValueText = _("none (parallel)")

    def _summary(self) -> str:
        """A line for each image: its numbers, each with where it comes from."""
        lines = []
        for view, title in zip(VIEWS, (_("AP"), _("Lateral")), strict=True):
            if self._inputs.read(view) is not None:
                told = self._told(view)
                lines.append(_("{view}: {numbers}").format(view=title, numbers=", ".join(told)))
        return "\n".join(lines)

    def _told(self, view: str) -> list[str]:
        """The numbers of a view that are known, those of one origin together."""
        origins, shown = self._inputs.origins(view), self._inputs.edited(view)
        words = {
            "Sid": _("SID {mm:.0f} mm"),
            "Sad": _("SAD {mm:.0f} mm"),
            "Spacing": _("pixels {mm:.3g} mm"),
            "Angle": _("angle {deg:.0f}°"),
            "Down": _("middle {mm:.0f} mm down"),
            "Right": _("middle {mm:.0f} mm right"),
        }
        told: list[tuple[str, str]] = [("", _("parallel rays"))] if shown.sid_mm is None else []
        for name in NUMBERS:
            value = float(getattr(self.parameters, parameter_of(view, name)))
            is_unknown = value == 0.0 and name in (*DISTANCES, "Spacing", *PLACE)
            if not is_unknown and not (name in DISTANCES and shown.sid_mm is None):
                told.append((word_of(origins.get(name, "")), words[name].format(mm=value, deg=value)))
        grouped: dict[str, list[str]] = {}
        for origin, text in told:
            grouped.setdefault(origin, []).append(text)
        return [f"{', '.join(texts)} ({origin})" if origin else ", ".join(texts) for origin, texts in grouped.items()]
