"""Which widget shows which type, and how its value is read and written. Classes are compared exactly, as in Slicer."""

from __future__ import annotations

import pathlib
from abc import ABC, abstractmethod
from enum import Enum

import ctk
import qt
import slicer

from .annotations import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange
from .serializers import is_node_type, split_annotations, union_members

LARGEST_INT = 2**31 - 1
_registered: list[type] = []


class GuiConnector(ABC):
    """One widget for one parameter."""

    @staticmethod
    @abstractmethod
    def canRepresent(widget, datatype) -> bool:
        """True if this widget can show a parameter of this type."""

    def __init__(self, widget, datatype) -> None:
        self._widget, self._callback = widget, None
        self.kind, self.annotations = split_annotations(datatype)

    @classmethod
    def create(cls, widget, datatype):
        return cls(widget, datatype)

    def annotation(self, kind: type):
        """The first annotation of a kind, or None."""
        return next((item for item in self.annotations if isinstance(item, kind)), None)

    @abstractmethod
    def signal(self):
        """The widget's signal that says that the user changed it; None for a widget that only shows."""

    def widget(self):
        return self._widget

    def changed(self) -> None:
        if self._callback is not None:
            self._callback()

    def onChanged(self, callback) -> None:
        """Call this at each change; None to end it."""
        self._callback = callback
        signal = self.signal()
        if signal is not None:
            (signal.disconnect if callback is None else signal.connect)(self.changed)

    @abstractmethod
    def read(self):
        """The value that the widget shows."""

    @abstractmethod
    def write(self, value) -> None:
        """Show a value."""


def parameterNodeGuiConnector(cls=None):
    """Class decorator: makes a connector known."""

    def register(made):
        _registered.append(made)
        return made

    return register if cls is None else register(cls)


def createGuiConnector(widget, datatype) -> GuiConnector:
    """The connector for a widget and a type. RuntimeError when none fits."""
    for kind in _registered:
        if kind.canRepresent(widget, datatype):
            return kind.create(widget, datatype)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{type(widget)}'")


@parameterNodeGuiConnector
class CheckConnector(GuiConnector):
    """bool: check boxes and push buttons that stay pressed."""

    @staticmethod
    def canRepresent(widget, datatype) -> bool:
        kinds = (qt.QCheckBox, ctk.ctkCheckBox, qt.QPushButton, ctk.ctkCheckablePushButton)
        return split_annotations(datatype)[0] is bool and type(widget) in kinds

    def __init__(self, widget, datatype) -> None:
        super().__init__(widget, datatype)
        if not widget.checkable:
            widget.checkable = True

    def signal(self):
        return self._widget.toggled

    def read(self) -> bool:
        return self._widget.checked

    def write(self, value: bool) -> None:
        self._widget.checked = value


@parameterNodeGuiConnector
class NumberConnector(GuiConnector):
    """int and float: spin boxes and sliders, which take their bounds from the annotations."""

    WHOLE = (qt.QSlider, qt.QSpinBox)
    SLIDERS = (qt.QSlider, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget)

    @classmethod
    def canRepresent(cls, widget, datatype) -> bool:
        kind = split_annotations(datatype)[0]
        decimal = (qt.QDoubleSpinBox, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget)
        decimal += (ctk.ctkDoubleSlider, ctk.ctkDoubleSpinBox, slicer.qMRMLSpinBox)
        return (kind is int and type(widget) in cls.WHOLE) or (kind in (int, float) and type(widget) in decimal)

    def __init__(self, widget, datatype) -> None:
        super().__init__(widget, datatype)
        whole = type(widget) in self.WHOLE
        decimals, step = self.annotation(Decimals), self.annotation(SingleStep)
        if not whole and self.kind is int:
            widget.decimals = 0
        elif not whole and decimals is not None:
            widget.decimals = decimals.value
        if step is not None:
            widget.singleStep = step.value
        bounds = self.annotation(WithinRange)
        low, high = self.annotation(Minimum) or bounds, self.annotation(Maximum) or bounds
        if type(widget) in self.SLIDERS and (low is None or high is None):
            raise RuntimeError("Cannot have a connection to a slider where the type is unbounded.")
        widget.minimum = low.minimum if low is not None else (-LARGEST_INT - 1 if whole else float("-inf"))
        widget.maximum = high.maximum if high is not None else (LARGEST_INT if whole else float("inf"))

    def signal(self):
        return self._widget.valueChanged

    def read(self):
        return self.kind(self._widget.value)

    def write(self, value) -> None:
        self._widget.value = int(value) if self.kind is int else value


class ComboConnector(GuiConnector):
    """Combo boxes: ``options`` are pairs of label and value."""

    def __init__(self, widget, datatype) -> None:
        super().__init__(widget, datatype)
        self.options = self.make_options()
        widget.clear()
        for label, _ in self.options:
            widget.addItem(label)

    @abstractmethod
    def make_options(self) -> list[tuple[str, object]]:
        """Label and value of each entry."""

    def signal(self):
        return self._widget.currentIndexChanged

    def read(self):
        return self.options[self._widget.currentIndex][1]

    def write(self, value) -> None:
        for index, (_, option) in enumerate(self.options):
            if option == value:
                self._widget.currentIndex = index
                return
        raise ValueError(f"Unable to find value {value!r} in choices {[option for _, option in self.options]}")


@parameterNodeGuiConnector
class ChoiceConnector(ComboConnector):
    """int, float, bool and str with a ``Choice``."""

    @staticmethod
    def canRepresent(widget, datatype) -> bool:
        kind = split_annotations(datatype)[0]
        return type(widget) in (qt.QComboBox, ctk.ctkComboBox) and kind in (int, float, str, bool)

    def make_options(self) -> list[tuple[str, object]]:
        choice = self.annotation(Choice)
        if choice is None:
            raise RuntimeError("A combo box requires the Choice annotation to be used.")
        return [(str(option), option) for option in choice.choices]


@parameterNodeGuiConnector
class EnumConnector(ComboConnector):
    """Enums, under their ``label()`` or name."""

    @staticmethod
    def canRepresent(widget, datatype) -> bool:
        kind = split_annotations(datatype)[0]
        is_enum = isinstance(kind, type) and issubclass(kind, Enum)
        return type(widget) in (qt.QComboBox, ctk.ctkComboBox) and is_enum

    def make_options(self) -> list[tuple[str, object]]:
        label = getattr(self.kind, "label", lambda option: option.name)
        return [(label(option), option) for option in self.kind]


@parameterNodeGuiConnector
class TextConnector(GuiConnector):
    """str: line edits, labels, text edits."""

    @staticmethod
    def canRepresent(widget, datatype) -> bool:
        return split_annotations(datatype)[0] is str and type(widget) in (qt.QLineEdit, qt.QLabel, qt.QTextEdit)

    def signal(self):
        return None if type(self._widget) is qt.QLabel else self._widget.textChanged

    def read(self) -> str:
        return self._widget.toPlainText() if type(self._widget) is qt.QTextEdit else self._widget.text

    def write(self, value: str) -> None:
        if type(self._widget) is qt.QTextEdit:
            self._widget.setPlainText(value)
        elif value != self._widget.text:
            self._widget.text = value


@parameterNodeGuiConnector
class PathConnector(GuiConnector):
    """Paths: ctkPathLineEdit and ctkDirectoryButton."""

    @staticmethod
    def canRepresent(widget, datatype) -> bool:
        kind = split_annotations(datatype)[0]
        is_path = isinstance(kind, type) and issubclass(kind, pathlib.PurePath)
        return type(widget) in (ctk.ctkPathLineEdit, ctk.ctkDirectoryButton) and (is_path or kind is str)

    def _is_line(self) -> bool:
        return type(self._widget) is ctk.ctkPathLineEdit

    def signal(self):
        return self._widget.currentPathChanged if self._is_line() else self._widget.directoryChanged

    def read(self):
        return self.kind(self._widget.currentPath if self._is_line() else self._widget.directory)

    def write(self, value) -> None:
        if self._is_line():
            self._widget.currentPath = str(value)
        else:
            self._widget.directory = str(value)


@parameterNodeGuiConnector
class NodeConnector(GuiConnector):
    """Nodes and Unions of them: node selectors, whose ``nodeTypes`` it sets."""

    @staticmethod
    def canRepresent(widget, datatype) -> bool:
        kind = split_annotations(datatype)[0]
        members = [member for member in union_members(kind) if member is not type(None)] or [kind]
        return type(widget) is slicer.qMRMLNodeComboBox and all(is_node_type(member) for member in members)

    def __init__(self, widget, datatype) -> None:
        super().__init__(widget, datatype)
        members = [member for member in union_members(self.kind) if member is not type(None)] or [self.kind]
        widget.nodeTypes = [split_annotations(member)[0].__name__ for member in members]

    def signal(self):
        return self._widget.currentNodeChanged

    def read(self):
        return self._widget.currentNode()

    def write(self, value) -> None:
        self._widget.setCurrentNode(value)
