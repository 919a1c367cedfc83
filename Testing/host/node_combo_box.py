"""Stand-in for ``qMRMLNodeComboBox``: a list of the scene's nodes that follows the scene."""

from __future__ import annotations

import slicer
from PySide6 import QtCore, QtWidgets

from host.ctk_widgets import slot_property
from host.observing import observe

Property, Signal = QtCore.Property, QtCore.Signal
REFRESH_EVENTS = (
    "NodeAddedEvent",
    "NodeRemovedEvent",
    "EndBatchProcessEvent",
    "EndCloseEvent",
    "EndImportEvent",
    "EndRestoreEvent",
)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Nodes of ``nodeTypes`` in the order of the scene. With ``noneEnabled`` an empty choice comes first; without it
    the first node that appears is chosen, as Qt's combo boxes do. The menu of Slicer's is not imitated, its slots are.
    """

    currentNodeChanged = Signal(object)
    currentNodeValid = Signal(bool)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    currentNodeRenamed = Signal(str)
    SIGNATURES = {  # noqa: RUF012
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "currentNodeValid",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "nodeAboutToBeRemoved",
        "currentNodeRenamed(QString)": "currentNodeRenamed",
    }

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._scene = None
        self._scene_tags: list[int] = []
        self._node_tags: list[tuple] = []
        self._attributes: list[tuple[str, str, str | None]] = []
        self._nodeTypes: list[str] = []
        self._hideChildNodeTypes: list[str] = []
        self._showHidden, self._showChildNodeTypes = False, True
        self._noneEnabled, self._addEnabled, self._removeEnabled = False, True, True
        self._editEnabled, self._renameEnabled, self._selectNodeUponCreation = False, False, True
        self._noneDisplay, self._baseName = "None", ""
        self._ids: list[str] = []  # per row; "" is the empty choice
        self._current_id = ""
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self._combo)
        self._combo.activated.connect(self._activated)

    # What the scene and the user do

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        if self._scene is not None:
            for tag in self._scene_tags:
                self._scene.RemoveObserver(tag)
        self._scene = scene
        self._scene_tags = []
        if scene is not None:
            events = [getattr(slicer.vtkMRMLScene, name) for name in REFRESH_EVENTS]
            self._scene_tags = [observe(scene, event, self._refresh) for event in events]
        self._refresh()

    def _activated(self, row: int) -> None:
        self._choose(self._ids[row])
        self.nodeActivated.emit(self.currentNode())

    def _accepts(self, node) -> bool:
        if node.GetHideFromEditors() and not self._showHidden:
            return False
        if any(node.IsA(kind) for kind in self._hideChildNodeTypes):
            return False
        kinds = [kind for kind in self._nodeTypes if node.IsA(kind)]
        if not self._showChildNodeTypes:
            kinds = [kind for kind in kinds if node.GetClassName() == kind]
        for kind, name, value in self._attributes:
            has = node.GetAttribute(name)
            if kind in kinds and (has is None or (value is not None and has != value)):
                return False
        return bool(kinds)

    def _refresh(self) -> None:
        """List the nodes anew; keeps the choice while its node is there."""
        scene = self._scene
        if scene is not None and (scene.IsBatchProcessing() or scene.IsClosing() or scene.IsImporting()):
            return
        nodes = []
        if scene is not None:
            found = scene.GetNodes()
            nodes = [found.GetItemAsObject(number) for number in range(found.GetNumberOfItems())]
            nodes = [node for node in nodes if self._accepts(node)]
        for node, tag in self._node_tags:
            node.RemoveObserver(tag)
        self._node_tags = [(node, observe(node, "ModifiedEvent", self._rename)) for node in nodes]
        self._ids = [""] * self._noneEnabled + [node.GetID() for node in nodes]
        self._fill()
        wanted = self._current_id if self._current_id in self._ids else (self._ids[0] if self._ids else "")
        self._choose(wanted)

    def _fill(self) -> None:
        self._combo.clear()
        for identifier in self._ids:
            self._combo.addItem(self._scene.GetNodeByID(identifier).GetName() if identifier else self._noneDisplay)
        self._combo.setCurrentIndex(self._ids.index(self._current_id) if self._current_id in self._ids else -1)

    def _rename(self) -> None:
        if self._scene is None or self._scene.IsClosing():
            return
        for row, identifier in enumerate(self._ids):
            node = self._scene.GetNodeByID(identifier) if identifier else None
            if node is None:
                continue
            if not self._accepts(node):
                self._refresh()
                return
            if self._combo.itemText(row) != node.GetName():
                self._combo.setItemText(row, node.GetName())
                if identifier == self._current_id:
                    self.currentNodeRenamed.emit(node.GetName())

    def _choose(self, identifier: str) -> None:
        self._combo.setCurrentIndex(self._ids.index(identifier) if identifier in self._ids else -1)
        if identifier == self._current_id:
            return
        self._current_id = identifier
        node = self.currentNode()
        self.currentNodeChanged.emit(node)
        self.currentNodeValid.emit(node is not None)
        self.currentNodeIDChanged.emit(identifier)

    # Slots

    def currentNode(self):
        return self._scene.GetNodeByID(self._current_id) if self._scene is not None and self._current_id else None

    def setCurrentNode(self, node) -> None:
        """A node, its id, or None. A node that is not listed is the empty choice."""
        identifier = node if isinstance(node, str) else (node.GetID() if node is not None else "")
        if identifier and identifier not in self._ids:
            self._refresh()
        self._choose(identifier if identifier in self._ids else "")

    def setCurrentNodeID(self, identifier: str) -> None:
        self.setCurrentNode(identifier or None)

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self.nodeFromIndex(index))

    def nodeCount(self) -> int:
        return len([identifier for identifier in self._ids if identifier])

    def nodeFromIndex(self, index: int):
        identifiers = [identifier for identifier in self._ids if identifier]
        return self._scene.GetNodeByID(identifiers[index]) if 0 <= index < len(identifiers) else None

    def addAttribute(self, node_type: str, name: str, value=None) -> None:
        self._attributes.append((node_type, name, None if value is None else str(value)))
        self._refresh()

    def removeAttribute(self, node_type: str, name: str) -> None:
        self._attributes = [kept for kept in self._attributes if kept[:2] != (node_type, name)]
        self._refresh()

    def addNode(self, node_type: str = ""):
        """A new node of the type given, or of the first of ``nodeTypes``; chosen if ``selectNodeUponCreation``."""
        kind = node_type or self._nodeTypes[0]
        node = self._scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetName(self._scene.GetUniqueNameByString(self._baseName or node.GetNodeTagName()))
        for owner, name, value in self._attributes:
            if node.IsA(owner):
                node.SetAttribute(name, value or "")
        node = self._scene.AddNode(node)
        self.nodeAdded.emit(node)
        self.nodeAddedByUser.emit(node)
        if self._selectNodeUponCreation:
            self.setCurrentNode(node)
        return node

    def removeCurrentNode(self) -> None:
        node = self.currentNode()
        if node is not None:
            self.nodeAboutToBeRemoved.emit(node)
            self._scene.RemoveNode(node)

    def _set(self, name: str, value) -> None:
        setattr(self, "_" + name, value)
        self._refresh()

    def setNodeTypes(self, kinds) -> None:
        self._set("nodeTypes", list(kinds))

    def setHideChildNodeTypes(self, kinds) -> None:
        self._set("hideChildNodeTypes", list(kinds))

    def setShowHidden(self, value: bool) -> None:
        self._set("showHidden", value)

    def setShowChildNodeTypes(self, value: bool) -> None:
        self._set("showChildNodeTypes", value)

    def setNoneEnabled(self, value: bool) -> None:
        self._set("noneEnabled", value)

    def setNoneDisplay(self, text: str) -> None:
        self._set("noneDisplay", text)

    def setAddEnabled(self, value: bool) -> None:
        self._addEnabled = value

    def setRemoveEnabled(self, value: bool) -> None:
        self._removeEnabled = value

    def setEditEnabled(self, value: bool) -> None:
        self._editEnabled = value

    def setRenameEnabled(self, value: bool) -> None:
        self._renameEnabled = value

    def setSelectNodeUponCreation(self, value: bool) -> None:
        self._selectNodeUponCreation = value

    def setBaseName(self, name: str, node_type: str = "") -> None:
        self._baseName = name

    nodeTypes = slot_property("QStringList", "nodeTypes")
    hideChildNodeTypes = slot_property("QStringList", "hideChildNodeTypes")
    showHidden = slot_property(bool, "showHidden")
    showChildNodeTypes = slot_property(bool, "showChildNodeTypes")
    noneEnabled = slot_property(bool, "noneEnabled")
    noneDisplay = slot_property(str, "noneDisplay")
    addEnabled = slot_property(bool, "addEnabled")
    removeEnabled = slot_property(bool, "removeEnabled")
    editEnabled = slot_property(bool, "editEnabled")
    renameEnabled = slot_property(bool, "renameEnabled")
    selectNodeUponCreation = slot_property(bool, "selectNodeUponCreation")
    baseName = slot_property(str, "baseName")
    currentNodeID = Property(str, lambda self: self._current_id, setCurrentNodeID)


class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """The colour nodes of the scene."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setShowHidden(True)
        self.setNodeTypes(["vtkMRMLColorNode"])
