"""Draws what the screen right of the panel would show: the views of the current layout, arranged as its XML says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from PySide6 import QtCore, QtGui

BAR_PX = 18  # a view's bar with its label, as thin as Slicer's
GAP_PX = 2
CAPTION_PX = 22

Place = tuple[ElementTree.Element, QtCore.QRect]


def places(description: str, area: QtCore.QRect) -> Iterator[Place]:
    """Each ``view`` element of a layout description with its rectangle. ``splitSize`` is a share of all of them."""
    yield from _places_in(ElementTree.fromstring(description), area)


def _places_in(layout: ElementTree.Element, area: QtCore.QRect) -> Iterator[Place]:
    items = layout.findall("item")
    sizes = [float(item.get("splitSize", 1)) for item in items]
    horizontal = layout.get("type") == "horizontal"
    length = area.width() if horizontal else area.height()
    begin = 0.0
    for item, size in zip(items, sizes, strict=True):
        end = begin + size / sum(sizes)
        first, last = round(begin * length), round(end * length)
        if horizontal:
            part = QtCore.QRect(area.x() + first, area.y(), last - first, area.height())
        else:
            part = QtCore.QRect(area.x(), area.y() + first, area.width(), last - first)
        for child in item:
            if child.tag == "view":
                yield child, part
            else:
                yield from _places_in(child, part)
        begin = end


def draw(manager, painter: QtGui.QPainter, area: QtCore.QRect, scale: float) -> None:
    """Draw all views of the layout manager's current layout into ``area``."""
    node = manager.layoutLogic().GetLayoutNode()
    widgets = {("vtkMRMLSliceNode", name): manager.sliceWidget(name) for name in manager.sliceViewNames()}
    for number in range(manager.threeDViewCount):
        widget = manager.threeDWidget(number)
        widgets["vtkMRMLViewNode", widget.mrmlViewNode().GetLayoutName()] = widget
    for number in range(manager.tableViewCount):
        widget = manager.tableWidget(number)
        widgets["vtkMRMLTableViewNode", widget.mrmlTableViewNode().GetLayoutName()] = widget
    for view, place in places(node.GetCurrentLayoutDescription(), area):
        inside = place.adjusted(GAP_PX, GAP_PX, -GAP_PX, -GAP_PX)
        _draw_bar(painter, inside, view)
        widget = widgets.get((view.get("class"), view.get("singletontag")))
        if widget is not None:
            _draw_view(painter, inside.adjusted(0, BAR_PX, 0, 0), widget, scale)


def _draw_bar(painter: QtGui.QPainter, place: QtCore.QRect, view: ElementTree.Element) -> None:
    texts = {item.get("name"): item.text or "" for item in view.findall("property")}
    color = QtGui.QColor(texts.get("viewcolor") or "#8f8fb5")
    bar = QtCore.QRect(place.x(), place.y(), place.width(), BAR_PX)
    painter.fillRect(bar, color)
    painter.setPen(QtGui.QColor("black"))
    painter.drawText(bar.adjusted(6, 0, -6, 0), int(QtCore.Qt.AlignVCenter), texts.get("viewlabel", ""))


def _draw_view(painter: QtGui.QPainter, place: QtCore.QRect, widget, scale: float) -> None:
    if hasattr(widget, "tableView"):
        table = widget.tableView()
        table.resize(place.size())
        table.resizeColumnsToContents()
        picture = QtGui.QPixmap(place.size() * scale)
        picture.setDevicePixelRatio(scale)
        table.render(picture)
        painter.drawPixmap(place.topLeft(), picture)
        return
    view = getattr(widget, "_slice_view", None) or widget._threed_view
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "view.png"
        view.render_png(path, round(place.width() * scale), round(place.height() * scale), scale)
        painter.drawImage(place, QtGui.QImage(str(path)))


def grab_window(app, manager, window, path: Path, width: int, height: int, scale: float, caption: str) -> Path:
    """The window's panel at the left, the views at the right, as a PNG of ``scale`` times the logical pixels given.

    ``caption`` is written below, if there is one.
    """
    panel_px = min(window.panel_width_px(), width // 2)
    views_height = height - (CAPTION_PX if caption else 0)
    picture = QtGui.QImage(round(width * scale), round(height * scale), QtGui.QImage.Format_RGB32)
    picture.setDevicePixelRatio(scale)
    picture.fill(app.palette().color(QtGui.QPalette.Window))
    painter = QtGui.QPainter(picture)
    window.resize(panel_px, views_height)
    for _ in range(5):
        app.processEvents()
    window.render(painter, QtCore.QPoint(0, 0))
    draw(manager, painter, QtCore.QRect(panel_px, 0, width - panel_px, views_height), scale)
    if caption:
        painter.setPen(app.palette().color(QtGui.QPalette.WindowText))
        line = QtCore.QRect(8, views_height, width - 16, CAPTION_PX)
        painter.drawText(line, int(QtCore.Qt.AlignVCenter), caption)
    painter.end()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not picture.save(str(path)):
        raise OSError(f"could not write {path}")
    return path
