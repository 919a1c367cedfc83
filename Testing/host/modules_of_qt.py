"""The Python modules ``qt`` and ``ctk`` as Slicer has them: one flat namespace each."""

from __future__ import annotations

import sys
import types

from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

from host import ctk_widgets, mrml_widgets, pythonqt
from host.loader import QUiLoader

PARTS = (QtWidgets, QtGui, QtCore, QtNetwork, QtUiTools)


class FlatQt(types.ModuleType):
    """``qt``: PySide6's classes, looked up in its modules, without the names that only PySide6 has."""

    HIDDEN = frozenset({"Signal", "Slot", "Property", "QtMsgType", "ClassInfo"})

    def __getattr__(self, name: str):
        if name not in self.HIDDEN:
            for part in PARTS:
                if hasattr(part, name):
                    return getattr(part, name)
        raise AttributeError(f"module 'qt' has no attribute '{name}'")

    def __dir__(self):
        return sorted({name for part in PARTS for name in dir(part)} - self.HIDDEN)


def install() -> None:
    """Put ``qt`` and ``ctk`` into ``sys.modules``."""
    pythonqt.install(*PARTS)
    qt = FlatQt("qt", "Qt as PythonQt shows it, on PySide6")
    QUiLoader.classes = {**ctk_widgets.CLASSES, **mrml_widgets.CLASSES}
    qt.QUiLoader = QUiLoader
    ctk = types.ModuleType("ctk", "Stand-ins for CTK's widgets")
    for name, made in ctk_widgets.CLASSES.items():
        setattr(ctk, name, made)
    sys.modules["qt"], sys.modules["ctk"] = qt, ctk
