"""Stand-ins for the CTK widgets that panels use: their properties and signals, not their looks."""

from __future__ import annotations

import math
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

Property, Signal = QtCore.Property, QtCore.Signal
LARGEST = 1e9  # of a spin box that has no bound


def slot_property(kind, name: str):
    """A property kept in ``_<name>``, whose setter is the slot ``set<Name>``."""
    return Property(
        kind,
        lambda self: self.__dict__["_" + name],
        lambda self, value: getattr(self, "set" + name[0].upper() + name[1:])(value),
    )


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A section with a title line that hides its content."""

    contentsCollapsed = Signal(bool)
    HEADER_PX = 24

    def __init__(self, *arguments) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(arguments[-1] if arguments and not isinstance(arguments[-1], str) else None)
        self._shown: list = []
        self.text = text
        self.checkable = True
        self.checked = True
        self.setSizePolicy(QtWidgets.QSizePolicy.MinimumExpanding, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(0, self.HEADER_PX, 0, 0)
        self.toggled.connect(self._show)

    @Property(bool)
    def collapsed(self):
        return not self.checked

    @collapsed.setter
    def collapsed(self, value):
        self.setCollapsed(value)

    def setCollapsed(self, value: bool) -> None:
        self.setChecked(not value)

    def _show(self, expanded: bool) -> None:
        children = [child for child in self.children() if isinstance(child, QtWidgets.QWidget)]
        if expanded:
            for child in self._shown:
                child.setVisible(True)
        else:
            self._shown = [child for child in children if not child.isHidden()]
            for child in self._shown:
                child.setVisible(False)
        self.setMaximumHeight(16777215 if expanded else self.HEADER_PX)
        self.updateGeometry()
        self.contentsCollapsed.emit(not expanded)

    def childEvent(self, event) -> None:
        if event.added() and self.collapsed:  # the .ui loader may set ``collapsed`` before it adds the content
            QtCore.QTimer.singleShot(0, self._hide_late)
        super().childEvent(event)

    def _hide_late(self) -> None:
        if not self.collapsed:
            return
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget) and not child.isHidden():
                self._shown.append(child)
                child.setVisible(False)

    def hitButton(self, position) -> bool:
        return position.y() < self.HEADER_PX

    def sizeHint(self):
        inside = QtWidgets.QWidget.sizeHint(self)
        return QtCore.QSize(max(inside.width(), 120), self.HEADER_PX if self.collapsed else inside.height())

    def minimumSizeHint(self):
        inside = QtWidgets.QWidget.minimumSizeHint(self)
        return QtCore.QSize(inside.width(), self.HEADER_PX if self.collapsed else inside.height())

    def paintEvent(self, event) -> None:
        painter = QtGui.QPainter(self)
        head = QtCore.QRect(0, 0, self.width, self.HEADER_PX - 2)
        painter.fillRect(head, self.palette.button())
        painter.setPen(self.palette.buttonText().color())
        arrow = "\u25b8" if self.collapsed else "\u25be"
        painter.drawText(head.adjusted(6, 0, 0, 0), int(QtCore.Qt.AlignVCenter), f"{arrow}  {self.text}")
        painter.end()


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose content can be hidden."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._collapsed = False

    collapsed = slot_property(bool, "collapsed")

    def setCollapsed(self, value: bool) -> None:
        self._collapsed = bool(value)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not value)


class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    """Qt's spin box; CTK's extra options are not imitated."""


class ctkCheckBox(QtWidgets.QCheckBox):
    """Qt's check box under CTK's name."""


class ctkComboBox(QtWidgets.QComboBox):
    """Qt's combo box with the text that CTK shows when nothing is chosen."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._defaultText = ""

    defaultText = slot_property(str, "defaultText")

    def setDefaultText(self, text: str) -> None:
        self._defaultText = text
        self.setPlaceholderText(text)


class ctkPushButton(QtWidgets.QPushButton):
    """Qt's push button under CTK's name."""


class ctkCheckablePushButton(ctkPushButton):
    """A push button with a check box; the check box only."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._checkBoxControlsButtonToggleState = True

    checkBoxControlsButtonToggleState = slot_property(bool, "checkBoxControlsButtonToggleState")

    def setCheckBoxControlsButtonToggleState(self, value: bool) -> None:
        self._checkBoxControlsButtonToggleState = bool(value)


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """Qt's text browser; it does not fit its height to the text."""


class ctkMessageBox(QtWidgets.QMessageBox):
    """Qt's message box with the key of "do not show again"."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._dontShowAgainSettingsKey = ""

    dontShowAgainSettingsKey = slot_property(str, "dontShowAgainSettingsKey")

    def setDontShowAgainSettingsKey(self, key: str) -> None:
        self._dontShowAgainSettingsKey = key


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box for a decimal number. As CTK's it starts at 0 to 99."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    STEPS = 10000

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._spin = QtWidgets.QDoubleSpinBox(self)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal, self)
        self._slider.setRange(0, self.STEPS)
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self._slider, 1)
        line.addWidget(self._spin)
        self._tracking = True
        self._spin.setRange(0.0, 99.0)
        self._slider.valueChanged.connect(self._slid)
        self._spin.valueChanged.connect(self._spun)

    def _slid(self, step: int) -> None:
        self._spin.value = self.minimum + step / self.STEPS * (self.maximum - self.minimum)

    def _spun(self, value: float) -> None:
        self._place_slider()
        self.valueChanged.emit(value)

    def _place_slider(self) -> None:
        span = self.maximum - self.minimum
        self._slider.blockSignals(True)
        self._slider.value = round((self.value - self.minimum) / span * self.STEPS) if span > 0 else 0
        self._slider.blockSignals(False)

    def setValue(self, value: float) -> None:
        self._spin.setValue(value)

    def setMinimum(self, value: float) -> None:
        self._spin.setMinimum(max(value, -LARGEST))
        self._place_slider()

    def setMaximum(self, value: float) -> None:
        self._spin.setMaximum(min(value, LARGEST))
        self._place_slider()

    def setRange(self, minimum: float, maximum: float) -> None:
        self.setMinimum(minimum)
        self.setMaximum(maximum)

    def setDecimals(self, count: int) -> None:
        self._spin.setDecimals(count)

    def setSingleStep(self, step: float) -> None:
        self._spin.setSingleStep(step)

    def setPageStep(self, step: float) -> None:
        self._slider.setPageStep(max(1, math.ceil(step)))

    def setTracking(self, value: bool) -> None:
        self._tracking = bool(value)

    def setSuffix(self, text: str) -> None:
        self._spin.setSuffix(text)

    def setPrefix(self, text: str) -> None:
        self._spin.setPrefix(text)

    value = Property(float, lambda self: self._spin.value, setValue)
    minimum = Property(float, lambda self: self._spin.minimum, setMinimum)
    maximum = Property(float, lambda self: self._spin.maximum, setMaximum)
    decimals = Property(int, lambda self: self._spin.decimals, setDecimals)
    singleStep = Property(float, lambda self: self._spin.singleStep, setSingleStep)
    pageStep = Property(float, lambda self: float(self._slider.pageStep), setPageStep)
    tracking = Property(bool, lambda self: self._tracking, setTracking)
    suffix = Property(str, lambda self: self._spin.suffix, setSuffix)
    prefix = Property(str, lambda self: self._spin.prefix, setPrefix)


class ctkDoubleSlider(ctkSliderWidget):
    """Here the same as ctkSliderWidget."""


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a button that asks for one."""

    currentPathChanged = Signal(str)
    SIGNATURES = {"currentPathChanged(QString)": "currentPathChanged"}  # noqa: RUF012
    Dirs, Files, Readable, Writable = 0x001, 0x002, 0x010, 0x020

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._line = QtWidgets.QLineEdit(self)
        self._browse = QtWidgets.QToolButton(self)
        self._browse.text = "..."
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self._line, 1)
        line.addWidget(self._browse)
        self._filters = self.Files
        self._nameFilters: list[str] = []
        self._settingKey = ""
        self._line.textChanged.connect(self.currentPathChanged.emit)
        self._browse.clicked.connect(self.browse)

    def browse(self) -> None:
        ask = QtWidgets.QFileDialog.getExistingDirectory if self._filters & self.Dirs else None
        path = (ask or QtWidgets.QFileDialog.getOpenFileName)(self)
        if path:
            self.setCurrentPath(path)

    def setCurrentPath(self, path: str) -> None:
        self._line.setText(path)

    def setNameFilters(self, filters: list[str]) -> None:
        self._nameFilters = list(filters)

    def setFilters(self, filters) -> None:
        self._filters = int(filters)

    def setSettingKey(self, key: str) -> None:
        self._settingKey = key

    currentPath = Property(str, lambda self: self._line.text, setCurrentPath)
    nameFilters = Property("QStringList", lambda self: self._nameFilters, setNameFilters)
    filters = Property(int, lambda self: self._filters, setFilters)
    settingKey = slot_property(str, "settingKey")


class ctkDirectoryButton(QtWidgets.QPushButton):
    """A button that shows and asks for a folder."""

    directoryChanged = Signal(str)
    SIGNATURES = {"directoryChanged(QString)": "directoryChanged"}  # noqa: RUF012

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._directory = str(Path.cwd())
        self.clicked.connect(self.browse)

    def browse(self) -> None:
        path = QtWidgets.QFileDialog.getExistingDirectory(self)
        if path:
            self.setDirectory(path)

    def setDirectory(self, path: str) -> None:
        if path != self._directory:
            self._directory = path
            self.directoryChanged.emit(path)

    directory = slot_property(str, "directory")


class ctkRangeWidget(QtWidgets.QWidget):
    """Only its name: Slicer's parameterNodeWrapper compares classes with it."""


class ctkDoubleRangeSlider(QtWidgets.QWidget):
    """Only its name, likewise."""


class ctkColorPickerButton(QtWidgets.QPushButton):
    """Only its name, likewise."""


CLASSES = {
    name: value
    for name, value in list(globals().items())
    if name.startswith("ctk") and isinstance(value, type) and issubclass(value, QtCore.QObject)
}
