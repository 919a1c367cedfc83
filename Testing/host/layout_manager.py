"""Stand-in for ``slicer.app.layoutManager()``: the real layout logic and the real views, without arranging them."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from host.mrml_widgets import qMRMLTableView, qMRMLWidget
from host.observing import observe
from host.scene import scene_host
from host.views import SliceView, ThreeDView

Property, Signal = QtCore.Property, QtCore.Signal
VIEW_SIZE_PX = (400, 320)


class _RenderedView(QtWidgets.QWidget):
    """The common part of slice and 3D views: a render window, drawn when asked."""

    def __init__(self, view, parent=None) -> None:
        super().__init__(parent)
        self._view = view
        self._due = False

    def renderWindow(self):
        return self._view.renderWindow()

    def interactor(self):
        return self._view.interactor

    def scheduleRender(self) -> None:
        """Draw once when the event loop is next idle."""
        if not self._due:
            self._due = True
            QtCore.QTimer.singleShot(0, self.forceRender)

    def forceRender(self) -> None:
        self._due = False
        self._view.render()

    def displayableManagers(self):
        group = self._view.group
        return [group.GetNthDisplayableManager(number) for number in range(group.GetDisplayableManagerCount())]

    def displayableManagerByClassName(self, name: str):
        return next((manager for manager in self.displayableManagers() if manager.IsA(name)), None)

    def mrmlScene(self):
        return slicer.mrmlScene


class qMRMLSliceView(_RenderedView):
    """The picture of a slice widget."""

    def mrmlSliceNode(self):
        return self._view.node


class qMRMLThreeDView(_RenderedView):
    """The picture of a 3D widget."""

    def mrmlViewNode(self):
        return self._view.node

    def resetFocalPoint(self) -> None:
        self._view.reset_focal_point()

    def resetCamera(self, *_what) -> None:
        self._view.reset_focal_point()

    def cameraNode(self):
        return slicer.modules.cameras.logic().GetViewActiveCameraNode(self._view.node)


class qMRMLSliceWidget(qMRMLWidget):
    """A slice view with its logic and nodes."""

    def __init__(self, view, parent=None) -> None:
        super().__init__(parent)
        self._slice_view, self._logic = view, view.logic
        self._picture = qMRMLSliceView(view, self)
        self._bar = QtWidgets.QWidget(self)

    def sliceView(self):
        return self._picture

    def sliceController(self):
        return self._bar

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._slice_view.node

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()


class qMRMLThreeDWidget(qMRMLWidget):
    """A 3D view with its node."""

    def __init__(self, view, parent=None) -> None:
        super().__init__(parent)
        self._threed_view = view
        self._picture = qMRMLThreeDView(view, self)
        self._bar = QtWidgets.QWidget(self)

    def threeDView(self):
        return self._picture

    def threeDController(self):
        return self._bar

    def mrmlViewNode(self):
        return self._threed_view.node


class qMRMLTableWidget(qMRMLWidget):
    """A table view that follows its view node."""

    def __init__(self, node, parent=None) -> None:
        super().__init__(parent)
        self._node = node
        self._table = qMRMLTableView(self)
        self._bar = QtWidgets.QWidget(self)
        self._tag = observe(node, "ModifiedEvent", self._follow)
        self._follow()

    def _follow(self) -> None:
        self._table.setMRMLTableNode(self._node.GetTableNode())

    def tableView(self):
        return self._table

    def tableController(self):
        return self._bar

    def mrmlTableViewNode(self):
        return self._node


class qSlicerLayoutManager(QtCore.QObject):
    """Views for the nodes of the current layout; a view lives from its first layout to the end of the process."""

    layoutChanged = Signal(int)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        host = scene_host()
        self._logic = host.layout_logic
        self._widgets: dict[str, QtWidgets.QWidget] = {}  # by id of the view node
        self._layout = -1
        self._tag = observe(self._logic.GetLayoutNode(), "ModifiedEvent", self._follow)
        self._follow()

    def _view_nodes(self, kind: str, everywhere: bool = False) -> list:
        nodes = self._logic.GetViewNodes()
        if nodes is None:
            return []
        nodes = [nodes.GetItemAsObject(number) for number in range(nodes.GetNumberOfItems())]
        return [node for node in nodes if node is not None and node.IsA(kind)]

    def _follow(self) -> None:
        for node in self._view_nodes("vtkMRMLAbstractViewNode"):
            self._widget_of(node)
        layout = self._logic.GetLayoutNode().GetViewArrangement()
        if layout != self._layout:
            self._layout = layout
            self.layoutChanged.emit(layout)

    def _widget_of(self, node):
        """The widget of a view node, made at the first call; None for kinds of view that this host has not."""
        widget = self._widgets.get(node.GetID())
        if widget is None:
            if node.IsA("vtkMRMLSliceNode"):
                widget = qMRMLSliceWidget(SliceView(node))
            elif node.IsA("vtkMRMLViewNode"):
                widget = qMRMLThreeDWidget(ThreeDView(node))
            elif node.IsA("vtkMRMLTableViewNode"):
                widget = qMRMLTableWidget(node)
            else:
                return None
            widget.setMRMLScene(slicer.mrmlScene)
            self._widgets[node.GetID()] = widget
        return widget

    def _nth(self, kind: str, which):
        nodes = self._view_nodes(kind)
        if isinstance(which, str):
            nodes = [node for node in nodes if node.GetLayoutName() == which]
            which = 0
        return self._widget_of(nodes[which]) if 0 <= which < len(nodes) else None

    def mrmlScene(self):
        return slicer.mrmlScene

    def layoutLogic(self):
        return self._logic

    def setLayout(self, layout: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(int(layout))

    layout = Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda self: len(self._view_nodes("vtkMRMLViewNode")))
    tableViewCount = Property(int, lambda self: len(self._view_nodes("vtkMRMLTableViewNode")))
    plotViewCount = Property(int, lambda self: 0)

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(node.GetLayoutName() for node in self._view_nodes("vtkMRMLSliceNode"))

    def sliceWidget(self, name: str):
        return self._nth("vtkMRMLSliceNode", name)

    def threeDWidget(self, which):
        return self._nth("vtkMRMLViewNode", which)

    def tableWidget(self, which: int):
        return self._nth("vtkMRMLTableViewNode", which)

    def viewWidget(self, node):
        return self._widgets.get(node.GetID())

    def mrmlSliceLogics(self):
        """The slice logics of the views that exist, as a vtkCollection."""
        logics = vtk.vtkCollection()
        for widget in self._widgets.values():
            if isinstance(widget, qMRMLSliceWidget):
                logics.AddItem(widget.sliceLogic())
        return logics

    def resetSliceViews(self) -> None:
        for widget in self._widgets.values():
            if isinstance(widget, qMRMLSliceWidget):
                widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for number in range(self.threeDViewCount):
            self.threeDWidget(number).threeDView().resetFocalPoint()

    def setRenderPaused(self, paused: bool) -> None:
        """Nothing here renders unasked."""

    def pauseRender(self) -> None:
        """Nothing here renders unasked."""

    def resumeRender(self) -> None:
        """Nothing here renders unasked."""
