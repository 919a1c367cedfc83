"""The Advanced section: model, device and log."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from TomoRayLib.slicer.panel.texts import show_text

MEASURED_KEY = "TomoRay/CpuSeconds"  # in Slicer's settings: how long the last synthesis took on this CPU


class AdvancedSection:
    """Fills the lists when the section is first opened, so that opening the module stays fast."""

    def __init__(self, ui: Any, guard: Any) -> None:
        self._ui = ui
        self.parameters: Any = None
        self._filled = False
        ui.advancedSection.connect("contentsCollapsed(bool)", guard(self._on_collapsed))
        ui.modelComboBox.connect("currentIndexChanged(int)", guard(self._on_model))
        ui.deviceComboBox.connect("currentIndexChanged(int)", guard(self._on_device))

    def update(self) -> None:
        """Show the parameter node's model and device."""
        if self.parameters is None or not self._filled:
            return
        ui = self._ui
        _select(ui.modelComboBox, self.parameters.model or self._default_model)
        _select(ui.deviceComboBox, self.parameters.device)
        entry = self._entries.get(self.parameters.model or self._default_model)
        if entry is not None:
            text = _(
                "Weights under {licence}. Trained on radiographs rendered from phantoms; scores and limits are in the "
                "README."
            )
            show_text(ui.modelLabel, text.format(licence=entry.licence))

    def fill(self) -> None:
        """Read the model registry and look for GPUs."""
        from TomoRayLib.slicer.worker.devices import devices
        from TomoRayLib.weights import read_registry

        if self._filled:
            return
        ui = self._ui
        self._default_model, self._entries = read_registry()
        for combo in (ui.modelComboBox, ui.deviceComboBox):
            combo.blockSignals(True)
            combo.clear()
        for name, entry in self._entries.items():
            words = [_("default")] if name == self._default_model else []
            words += [entry.described_as] if entry.described_as else []
            ui.modelComboBox.addItem(f"{name} ({'; '.join(words)})" if words else name, name)
        for device in devices(self.measured_cpu_seconds()):
            ui.deviceComboBox.addItem(device.label, device.name)
        for combo in (ui.modelComboBox, ui.deviceComboBox):
            combo.blockSignals(False)
        self._filled = True
        self.update()

    def measured_cpu_seconds(self) -> float | None:
        """Seconds that the last synthesis on the CPU took on this computer, None if there was none."""
        value = qt.QSettings().value(MEASURED_KEY)
        try:
            return float(value) if value else None
        except (TypeError, ValueError):
            return None

    def remember_cpu_seconds(self, seconds: float) -> None:
        """Keep the time of a synthesis on the CPU for the next estimate."""
        qt.QSettings().setValue(MEASURED_KEY, round(seconds, 1))

    def show_log(self, text: str) -> None:
        """Show the log of a run."""
        self._ui.logText.plainText = text

    def choose_cpu(self) -> None:
        """Choose the CPU."""
        self.parameters.device = "cpu"
        self.update()

    def _on_collapsed(self, collapsed: bool) -> None:
        if not collapsed:
            self.fill()

    def _on_model(self, index: int) -> None:
        if self.parameters is not None and index >= 0:
            name = self._ui.modelComboBox.itemData(index)
            self.parameters.model = "" if name == self._default_model else name

    def _on_device(self, index: int) -> None:
        if self.parameters is not None and index >= 0:
            self.parameters.device = self._ui.deviceComboBox.itemData(index)


def _select(combo: Any, data: str) -> None:
    """Choose the entry with this data without a signal; the first one if there is none."""
    combo.blockSignals(True)
    combo.currentIndex = max(combo.findData(data), 0)
    combo.blockSignals(False)
