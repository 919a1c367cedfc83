"""Pictures of widgets, in Qt's Fusion style, light or dark."""

from __future__ import annotations

from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

LIGHT = {
    "Window": "#efefef",
    "WindowText": "#000000",
    "Base": "#ffffff",
    "AlternateBase": "#f5f5f5",
    "Text": "#000000",
    "Button": "#e6e6e6",
    "ButtonText": "#000000",
    "Highlight": "#308cc6",
    "HighlightedText": "#ffffff",
    "ToolTipBase": "#ffffdc",
    "ToolTipText": "#000000",
    "PlaceholderText": "#707070",
}
DARK = {
    "Window": "#353535",
    "WindowText": "#ffffff",
    "Base": "#2a2a2a",
    "AlternateBase": "#424242",
    "Text": "#ffffff",
    "Button": "#454545",
    "ButtonText": "#ffffff",
    "Highlight": "#2a82da",
    "HighlightedText": "#ffffff",
    "ToolTipBase": "#353535",
    "ToolTipText": "#ffffff",
    "PlaceholderText": "#a0a0a0",
}
DISABLED_TEXT = "#8c8c8c"
STYLES = {"light": LIGHT, "dark": DARK}


def palette_of(style: str) -> QtGui.QPalette:
    """The colours of "light" or "dark"."""
    palette = QtGui.QPalette()
    for role, color in STYLES[style].items():
        palette.setColor(getattr(QtGui.QPalette, role), QtGui.QColor(color))
    for role in ("WindowText", "Text", "ButtonText"):
        palette.setColor(QtGui.QPalette.Disabled, getattr(QtGui.QPalette, role), QtGui.QColor(DISABLED_TEXT))
    return palette


def apply(app, style: str) -> None:
    """Give the whole application a style, as Slicer's settings do."""
    app.setStyle("Fusion")
    app.setPalette(palette_of(style))


def grab(app, widget, path: Path, width: int, height: int, scale: float, style: str) -> Path:
    """Draw ``widget`` at ``width`` x ``height`` logical pixels into a PNG of ``scale`` times as many."""
    before = widget.size
    apply(app, style)
    if widget.isWindow():
        widget.resize(width, height)
    else:
        width, height = before.width(), before.height()
    widget.show()
    for _ in range(5):  # layouts with wrapped labels settle after a few rounds
        app.processEvents()
    picture = QtGui.QImage(round(width * scale), round(height * scale), QtGui.QImage.Format_RGB32)
    picture.setDevicePixelRatio(scale)
    picture.fill(QtGui.QColor(STYLES[style]["Window"]))
    widget.render(picture, QtCore.QPoint(0, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not picture.save(str(path)):
        raise OSError(f"could not write {path}")
    widget.resize(before)
    if style != "light":
        apply(app, "light")
    QtWidgets.QApplication.processEvents()
    return path
