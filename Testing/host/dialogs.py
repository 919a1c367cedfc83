"""Windows that would wait for a person: recorded, and answered as the test says, without waiting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

BUTTON_ORDER = ("Ok", "Yes", "Retry", "Open", "Save", "Close", "Cancel", "No")  # what a hasty person presses


@dataclass(frozen=True)
class ShownDialog:
    """A message box that was shown, with the button that answered it."""

    title: str
    text: str
    details: str
    answer: int


class Dialogs(list):
    """Message boxes shown so far, oldest first. ``answer`` and ``answer_file`` say what the next ones return."""

    def __init__(self) -> None:
        super().__init__()
        self.opened_urls: list[str] = []
        self.file_requests: list[str] = []
        self._answers: list[int] = []
        self._files: list[str] = []

    def answer(self, *buttons) -> None:
        """Buttons of the next message boxes, e.g. ``qt.QMessageBox.No``; afterwards Ok, Yes, ... again."""
        self._answers.extend(int(button) for button in buttons)

    def answer_file(self, *paths: Path | str) -> None:
        """Set the answers of the next file dialogs; after these, "" as if cancelled."""
        self._files.extend(str(path) for path in paths)

    def forget(self) -> None:
        """Empty all records and answers."""
        self.clear()
        for record in (self.opened_urls, self.file_requests, self._answers, self._files):
            record.clear()

    def install(self) -> None:
        """Replace what waits: modal dialogs, file dialogs, the browser."""
        run = self._runner()
        QtWidgets.QDialog.exec = run
        QtWidgets.QMessageBox.exec = run
        for name in ("information", "warning", "critical", "question", "about"):
            setattr(QtWidgets.QMessageBox, name, staticmethod(self._static_box))
        for name in ("getSaveFileName", "getOpenFileName", "getExistingDirectory"):
            setattr(QtWidgets.QFileDialog, name, staticmethod(self._file_dialog(name)))
        QtGui.QDesktopServices.openUrl = staticmethod(self._open_url)

    def _take(self, title: str, text: str, details: str, default: int) -> int:
        answer = self._answers.pop(0) if self._answers else default
        self.append(ShownDialog(title.strip(), text, details, answer))
        return answer

    def _runner(self):
        dialogs = self

        def run(dialog) -> int:
            if isinstance(dialog, QtWidgets.QMessageBox):
                default = _likely_button(dialog.standardButtons)
                return dialogs._take(dialog.windowTitle, dialog.text, dialog.detailedText, default)
            return dialogs._take(dialog.windowTitle, "", "", int(QtWidgets.QDialog.Accepted))

        return run

    def _static_box(self, parent, title: str, text: str, buttons=QtWidgets.QMessageBox.Ok, *_default) -> int:
        return self._take(title, text, "", _likely_button(buttons))

    def _file_dialog(self, name: str):
        def ask(*_arguments) -> str:
            self.file_requests.append(name)
            return self._files.pop(0) if self._files else ""

        return ask

    def _open_url(self, url) -> bool:
        self.opened_urls.append(QtCore.QUrl(url).toString())
        return True


def _likely_button(buttons) -> int:
    """The affirmative one of the buttons shown; Ok if there is none."""
    for name in BUTTON_ORDER:
        button = getattr(QtWidgets.QMessageBox, name)
        if int(buttons) & int(button):
            return int(button)
    return int(QtWidgets.QMessageBox.Ok)
