"""Stand-in for ``slicer.app.coreIOManager()``: nodes and scenes through their real storage nodes."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import slicer
from PySide6 import QtCore

TYPE_BY_SUFFIX = {
    ".mrb": "SceneFile",
    ".mrml": "SceneFile",
    ".seg.nrrd": "SegmentationFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
    ".txt": "TextFile",
    ".vtp": "ModelFile",
    ".stl": "ModelFile",
    ".mrk.json": "MarkupsFile",
}
NODE_OF_TYPE = {
    "SegmentationFile": "vtkMRMLSegmentationNode",
    "TableFile": "vtkMRMLTableNode",
    "TextFile": "vtkMRMLTextNode",
    "ModelFile": "vtkMRMLModelNode",
    "TransformFile": "vtkMRMLLinearTransformNode",
}


class qSlicerCoreIOManager(QtCore.QObject):
    """Reads and writes volumes, segmentations, tables, texts, models and scenes; dialogs and plug-ins are missing."""

    newFileLoaded = QtCore.Signal(object)

    def fileType(self, path: str) -> str:
        name = Path(path).name.lower()
        return next((kind for suffix, kind in TYPE_BY_SUFFIX.items() if name.endswith(suffix)), "VolumeFile")

    def fileWriterFileType(self, node, extension: str = "") -> str:
        return node.GetClassName().removeprefix("vtkMRML").removesuffix("Node") + "File"

    def loadNodes(self, kind: str, properties: dict, loaded=None, messages=None) -> bool:
        path = Path(properties["fileName"])
        if kind == "SceneFile":
            return self.loadScene(str(path), properties.get("clear", False), messages)
        node = self._load_volume(path, properties) if kind == "VolumeFile" else self._load_node(kind, path, properties)
        if node is None:
            if messages is not None:
                messages.AddMessage(0x10000, f"'{path}' could not be read as {kind}")
            return False
        if loaded is not None:
            loaded.AddItem(node)
        self.newFileLoaded.emit(dict(properties))
        return True

    def _load_volume(self, path: Path, properties: dict):
        options = (
            bool(properties.get("labelmap"))
            + 2 * bool(properties.get("center"))
            + 4 * bool(properties.get("singleFile"))
            + 8 * bool(properties.get("autoWindowLevel", True))
            + 16 * bool(properties.get("discardOrientation"))
        )
        if not path.is_file():
            return None
        name = properties.get("name") or path.name.partition(".")[0]
        node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name, options)
        if node is not None and properties.get("show", True) and not properties.get("labelmap"):
            slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(node.GetID())
            slicer.app.applicationLogic().PropagateVolumeSelection()
        return node

    def _load_node(self, kind: str, path: Path, properties: dict):
        if kind not in NODE_OF_TYPE or not path.is_file():
            return None
        name = properties.get("name") or path.name.partition(".")[0]
        node = slicer.mrmlScene.AddNewNodeByClass(NODE_OF_TYPE[kind], slicer.mrmlScene.GetUniqueNameByString(name))
        node.AddDefaultStorageNode(str(path))
        if not node.GetStorageNode().ReadData(node):
            slicer.mrmlScene.RemoveNode(node)
            return None
        node.CreateDefaultDisplayNodes()
        return node

    def loadScene(self, path: str, clear: bool = True, messages=None) -> bool:
        scene = slicer.mrmlScene
        if not Path(path).is_file():
            return False
        if clear:
            scene.Clear(False)
        if path.endswith(".mrb"):
            with tempfile.TemporaryDirectory() as folder:
                with zipfile.ZipFile(path) as bundle:
                    bundle.extractall(folder)
                scene.SetURL(str(next(Path(folder).rglob("*.mrml"))))
                return bool(scene.Import(messages))
        scene.SetURL(path)
        return bool(scene.Import(messages))

    def saveNodes(self, kind: str, properties: dict, messages=None) -> bool:
        path = str(properties["fileName"])
        if kind == "SceneFile":
            if path.endswith(".mrb"):
                return bool(slicer.mrmlScene.WriteToMRB(path, None, messages))
            slicer.mrmlScene.SetURL(path)
            return bool(slicer.mrmlScene.Commit(path))
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode(path)
        node.GetStorageNode().SetFileName(path)
        return bool(node.GetStorageNode().WriteData(node))
