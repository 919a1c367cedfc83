"""Stand-ins for Slicer's other MRML widgets, and ``qMRMLUtils``."""

from __future__ import annotations

import numpy as np
import slicer  # noqa: F401 (MRML before its widgets)
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from host.ctk_widgets import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget, slot_property
from host.node_combo_box import qMRMLColorTableComboBox, qMRMLNodeComboBox
from host.observing import observe

Property, Signal = QtCore.Property, QtCore.Signal


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that hands its scene on through ``mrmlSceneChanged``."""

    mrmlSceneChanged = Signal(object)
    SIGNATURES = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}  # noqa: RUF012

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLSliderWidget(ctkSliderWidget):
    """A slider that would take its unit from the scene; here it only keeps the quantity's name."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._scene = None
        self._quantity = ""

    quantity = slot_property(str, "quantity")

    def setQuantity(self, name: str) -> None:
        self._quantity = name

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        self._scene = scene


class qMRMLSpinBox(ctkDoubleSpinBox):
    """A spin box that would take its unit from the scene."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        self._scene = scene


class qMRMLRangeWidget(ctkRangeWidget):
    """Only its name: Slicer's parameterNodeWrapper compares classes with it."""


class qMRMLTableView(QtWidgets.QTableView):
    """The text of a table node, followed as it changes; not editable here."""

    mrmlSceneChanged = Signal(object)
    SIGNATURES = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}  # noqa: RUF012

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._scene, self._table, self._tag = None, None, None
        self.setModel(QtGui.QStandardItemModel(self))
        self.setEditTriggers(QtWidgets.QAbstractItemView.NoEditTriggers)

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlTableNode(self):
        return self._table

    def setMRMLTableNode(self, node) -> None:
        if self._table is not None:
            self._table.RemoveObserver(self._tag)
        self._table = node
        if node is not None:
            self._tag = observe(node, "ModifiedEvent", self._show)
        self._show()

    def resizeColumnsToContents(self) -> None:
        QtWidgets.QTableView.resizeColumnsToContents(self)

    def _show(self) -> None:
        model, node = self.model(), self._table
        model.clear()
        if node is None:
            return
        titles = [node.GetColumnName(number) or "" for number in range(node.GetNumberOfColumns())]
        rows = [
            [node.GetCellText(row, column) for column in range(len(titles))] for row in range(node.GetNumberOfRows())
        ]
        if node.GetUseColumnTitleAsColumnHeader():
            heads = titles
        else:  # as Slicer: letters above, titles as first row
            heads, rows = [chr(ord("A") + number % 26) for number in range(len(titles))], [titles, *rows]
        if node.GetUseFirstColumnAsRowHeader():
            model.setHorizontalHeaderLabels(heads[1:])
            names, rows = [row[0] for row in rows], [row[1:] for row in rows]
        else:
            model.setHorizontalHeaderLabels(heads)
            names = None
        for row in rows:
            model.appendRow([QtGui.QStandardItem(text) for text in row])
        if names is not None:
            model.setVerticalHeaderLabels(names)


class qMRMLSegmentationShow3DButton(QtWidgets.QPushButton):
    """Shows a segmentation in 3D: makes its closed surface when pressed, removes it when released."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._segmentation, self._locked = None, False
        self.text = "Show 3D"
        self.checkable = True
        self.toggled.connect(self._apply)

    locked = slot_property(bool, "locked")

    def setLocked(self, value: bool) -> None:
        self._locked = bool(value)

    def segmentationNode(self):
        return self._segmentation

    def setSegmentationNode(self, node) -> None:
        self._segmentation = node

    def _apply(self, pressed: bool) -> None:
        if self._segmentation is None:
            return
        if pressed:
            self._segmentation.CreateClosedSurfaceRepresentation()
        else:
            self._segmentation.RemoveClosedSurfaceRepresentation()


class qMRMLUtils:
    """Conversions between VTK's and Qt's images: VTK counts rows from the bottom, Qt from the top."""

    def vtkImageDataToQImage(self, image, picture) -> bool:
        """Fill ``picture`` (a QImage) from 8-bit colours with 3 or 4 components. False for an empty image."""
        columns, rows, _ = image.GetDimensions()
        scalars = image.GetPointData().GetScalars()
        if scalars is None or columns * rows == 0:
            return False
        values = vtk_to_numpy(scalars)
        if values.ndim != 2 or values.shape[1] not in (3, 4) or values.dtype != "uint8":
            raise ValueError(f"expected 8-bit colours with 3 or 4 components, got {values.dtype} {values.shape}")
        colors = values.reshape(rows, columns, -1)[::-1, :, :3].copy()
        made = QtGui.QImage(colors.data, columns, rows, 3 * columns, QtGui.QImage.Format_RGB888)
        picture.swap(made.convertToFormat(QtGui.QImage.Format_RGB32))
        return True

    def qImageToVtkImageData(self, picture, image) -> bool:
        """Fill ``image`` with the colours (8 bit, RGB) of a QImage."""
        flat = picture.convertToFormat(QtGui.QImage.Format_RGB888).mirrored(False, True)
        rows, columns = flat.height(), flat.width()
        values = np.frombuffer(flat.constBits(), np.uint8).reshape(rows, flat.bytesPerLine())[:, : 3 * columns]
        image.SetDimensions(columns, rows, 1)
        image.GetPointData().SetScalars(numpy_to_vtk(values.reshape(-1, 3).copy(), deep=True))
        return True


CLASSES = {
    kind.__name__: kind
    for kind in (
        qMRMLWidget,
        qMRMLNodeComboBox,
        qMRMLColorTableComboBox,
        qMRMLSliderWidget,
        qMRMLSpinBox,
        qMRMLRangeWidget,
        qMRMLTableView,
        qMRMLSegmentationShow3DButton,
    )
}
