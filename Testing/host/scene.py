"""Slicer's real MRML scene with its module logics, without the application: ``start_scene()``."""

from __future__ import annotations

import types

import slicer
import vtk

# Module name as in ``slicer.modules``, and the class of its logic in slicer-core.
LOGIC_OF_MODULE = {
    "colors": "vtkSlicerColorLogic",
    "cameras": "vtkSlicerCamerasModuleLogic",
    "units": "vtkSlicerUnitsLogic",
    "volumes": "vtkSlicerVolumesLogic",
    "models": "vtkSlicerModelsLogic",
    "tables": "vtkSlicerTablesLogic",
    "texts": "vtkSlicerTextsLogic",
    "transforms": "vtkSlicerTransformLogic",
    "markups": "vtkSlicerMarkupsLogic",
    "subjecthierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "terminologies": "vtkSlicerTerminologiesModuleLogic",
    "segmentations": "vtkSlicerSegmentationsModuleLogic",
    "volumerendering": "vtkSlicerVolumeRenderingLogic",
    "viewcontrollers": "vtkSlicerViewControllersLogic",
}
TITLE_OF_MODULE = {"volumerendering": "VolumeRendering", "subjecthierarchy": "SubjectHierarchy"}

FIRST = 10.0  # priority of an observer, as in qSlicerSubjectHierarchyPluginLogic


class Module:
    """``slicer.modules.<name>`` for a module of Slicer's own, with its real logic."""

    def __init__(self, name: str, logic) -> None:
        self.name = name
        self._logic = logic

    def logic(self):
        return self._logic


class SceneHost:
    """The scene, the application logic and the layout logic of one process."""

    def __init__(self) -> None:
        vtk.vtkObject.GlobalWarningDisplayOff()  # "no display" of every view; errors that matter raise in Python
        self.scene = slicer.vtkMRMLScene()
        self.application_logic = slicer.vtkSlicerApplicationLogic()
        self.application_logic.SetMRMLScene(self.scene)
        self.scene.AddNode(slicer.vtkMRMLSelectionNode())
        self.scene.AddNode(slicer.vtkMRMLInteractionNode())
        self.layout_logic = slicer.vtkMRMLLayoutLogic()
        self.layout_logic.SetMRMLApplicationLogic(self.application_logic)
        self.layout_logic.SetMRMLScene(self.scene)
        slicer.mrmlScene = self.scene
        if not hasattr(slicer, "modules"):
            slicer.modules = types.SimpleNamespace()
        for name, kind in LOGIC_OF_MODULE.items():
            self._add_logic(name, getattr(slicer, kind)())
        self._resolve_hierarchy()
        for event in (self.scene.EndImportEvent, self.scene.EndCloseEvent, self.scene.EndBatchProcessEvent):
            self.scene.AddObserver(event, self._resolve_hierarchy, FIRST)

    def _resolve_hierarchy(self, *_caller_and_event) -> None:
        """As Slicer's subject hierarchy does before anyone else hears of a loaded scene: views that ask for a parent
        earlier would never come to an end."""
        slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(self.scene)

    def _add_logic(self, name: str, logic) -> None:
        logic.SetMRMLApplicationLogic(self.application_logic)
        logic.SetMRMLScene(self.scene)
        self.application_logic.SetModuleLogic(TITLE_OF_MODULE.get(name, name.capitalize()), logic)
        if name == "colors":
            self.application_logic.SetColorLogic(logic)
            logic.AddDefaultColorNodes()
        setattr(slicer.modules, name, Module(name, logic))


_HOST: SceneHost | None = None


def scene_host() -> SceneHost:
    """The one scene host of this process, made at the first call."""
    global _HOST
    if _HOST is None:
        _HOST = SceneHost()
    return _HOST


def start_scene():
    """Slicer's scene with all that MRML needs; also ``slicer.mrmlScene`` and ``slicer.modules.<name>.logic()``."""
    return scene_host().scene
