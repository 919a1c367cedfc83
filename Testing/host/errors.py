"""Everything that would land in Slicer's Python console: errors in slots, event handlers and VTK observers."""

from __future__ import annotations

import sys
import threading
import traceback
from dataclasses import dataclass

from PySide6 import QtCore


@dataclass(frozen=True)
class RaisedError:
    """An error that nothing caught, with its traceback as text."""

    kind: str
    message: str
    text: str


class Errors(list):
    """Uncaught errors, oldest first. Empty at the end of a good test."""

    def __init__(self) -> None:
        super().__init__()
        self.qt_messages: list[str] = []  # Qt's own warnings, such as a connection to a signal that does not exist

    def install(self) -> None:
        """Take over Python's and Qt's last resorts; errors are still printed."""
        sys.excepthook = self._take
        sys.unraisablehook = lambda raised: self._take(raised.exc_type, raised.exc_value, raised.exc_traceback)
        threading.excepthook = lambda raised: self._take(raised.exc_type, raised.exc_value, raised.exc_traceback)
        QtCore.qInstallMessageHandler(lambda kind, context, text: self.qt_messages.append(text))

    def _take(self, kind, error, trace) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        self.append(RaisedError(kind.__name__, str(error), text))
        print(text, file=sys.stderr)

    def text(self) -> str:
        """All of them, for a failing test to show."""
        return "\n".join(error.text for error in self)
