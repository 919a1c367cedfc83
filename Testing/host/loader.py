"""``qt.QUiLoader``: makes this host's CTK and Slicer widgets, and connects MRML signals as the .ui file says."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools

from host.pythonqt import loading_ui


class QUiLoader(QtUiTools.QUiLoader):
    """Qt's loader with ``classes`` (name to class) known to it. Unknown custom classes are refused.

    Connections whose arguments are VTK objects mean nothing to PySide6: they are taken out and made here, exactly those
    that the file lists, so that a selector without its connection stays without scene, as in Slicer.
    """

    classes: dict[str, type] = {}  # noqa: RUF012 (filled by the host)

    def createWidget(self, class_name, parent=None, name=""):
        made = self.classes.get(class_name)
        if made is not None:
            widget = made(parent)
            widget.setObjectName(name)
            return widget
        if class_name.startswith(("ctk", "qMRML", "qSlicer")):
            raise RuntimeError(f"The .ui file uses {class_name}; this host has {', '.join(sorted(self.classes))}.")
        return super().createWidget(class_name, parent, name)

    def load(self, device, parent=None):
        tree = ElementTree.fromstring(bytes(device.readAll().data()))
        own = _take_mrml_connections(tree)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        with loading_ui():
            widget = super().load(buffer, parent)
        if widget is not None:
            for connection in own:
                _connect(widget, connection)
        return widget


def _take_mrml_connections(tree) -> list[dict[str, str]]:
    taken = []
    for connections in tree.iter("connections"):
        for connection in list(connections):
            parts = {part.tag: part.text or "" for part in connection}
            if "vtk" in parts["signal"] + parts["slot"]:
                connections.remove(connection)
                taken.append(parts)
    return taken


def _connect(root, parts: dict[str, str]) -> None:
    ends = []
    for end in ("sender", "receiver"):
        name = parts[end]
        found = root if root.objectName == name else root.findChild(QtCore.QObject, name)
        if found is None:
            raise RuntimeError(f"The .ui file connects '{name}', which it does not contain.")
        ends.append(found)
    ends[0].connect(parts["signal"], getattr(ends[1], parts["slot"].partition("(")[0]))
