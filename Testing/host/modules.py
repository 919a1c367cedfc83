"""Scripted modules and their manager: what ``slicer.modules.<name>`` and ``moduleManager()`` give."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from host.ctk_widgets import slot_property
from host.mrml_widgets import qMRMLWidget

Property, Signal = QtCore.Property, QtCore.Signal


def load_source(name: str, path: Path):
    """Execute a module file as ``name`` in ``sys.modules``, as Slicer does."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """The C++ side of a scripted module: the ``parent`` that the module's class fills in."""

    TEXTS = ("title", "helpText", "acknowledgementText")
    LISTS = ("categories", "contributors", "dependencies", "associatedNodeTypes")

    def __init__(self, path: Path, parent=None) -> None:
        super().__init__(parent)
        self._path = str(path)
        for name in self.TEXTS:
            setattr(self, "_" + name, "")
        for name in self.LISTS:
            setattr(self, "_" + name, [])
        self._icon, self._hidden, self._index = QtGui.QIcon(), False, -1
        self._widgetRepresentationCreationEnabled = True
        self._widget = None
        self.setObjectName(path.stem)

    def __getattr__(self, name: str):  # the plain setters, one for each property
        if name.startswith("set") and "_" + name[3:4].lower() + name[4:] in self.__dict__:
            return lambda value: setattr(self, "_" + name[3].lower() + name[4:], value)
        raise AttributeError(f"qSlicerScriptedLoadableModule has no attribute named '{name}'")

    name = Property(str, lambda self: Path(self._path).stem)
    path = Property(str, lambda self: self._path)
    title = slot_property(str, "title")
    helpText = slot_property(str, "helpText")
    acknowledgementText = slot_property(str, "acknowledgementText")
    categories = slot_property("QStringList", "categories")
    contributors = slot_property("QStringList", "contributors")
    dependencies = slot_property("QStringList", "dependencies")
    associatedNodeTypes = slot_property("QStringList", "associatedNodeTypes")
    icon = slot_property(QtGui.QIcon, "icon")
    hidden = slot_property(bool, "hidden")
    index = slot_property(int, "index")
    widgetRepresentationCreationEnabled = slot_property(bool, "widgetRepresentationCreationEnabled")

    def widgetRepresentation(self):
        """The module's panel, made and set up at the first call."""
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget

    def createNewWidgetRepresentation(self):
        widget = qSlicerScriptedLoadableModuleWidget()
        widget.setMRMLScene(slicer.mrmlScene)
        widget.setPythonSource(self._path)
        widget.setup()
        return widget

    def logic(self):
        """Scripted modules have no C++ logic of their own."""
        return (
            slicer.vtkSlicerScriptedLoadableModuleLogic()
            if hasattr(slicer, "vtkSlicerScriptedLoadableModuleLogic")
            else None
        )

    def mrmlScene(self):
        return slicer.mrmlScene


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The C++ side of a module's panel: the ``parent`` of the module's widget class."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._self, self._source, self._entered = None, "", False
        self._layout = QtWidgets.QVBoxLayout(self)

    moduleName = Property(str, lambda self: Path(self._source).stem)
    isEntered = Property(bool, lambda self: self._entered)

    def self(self):
        return self._self

    def setPythonSource(self, path: str) -> bool:
        name = Path(path).stem
        module = sys.modules.get(name) or load_source(name, Path(path))
        self._source = path
        self._self = getattr(module, name + "Widget")(self)
        setattr(slicer.modules, name + "Widget", self._self)
        return True

    def setup(self) -> None:
        self._self.setup()

    def reload(self) -> None:
        self.setPythonSource(self._source)
        self.setup()

    def enter(self) -> None:
        self._entered = True
        if hasattr(self._self, "enter"):
            self._self.enter()

    def exit(self) -> None:
        self._entered = False
        if hasattr(self._self, "exit"):
            self._self.exit()


class FactoryManager:
    """The little of Slicer's module factory that ``slicer.util`` asks for."""

    def __init__(self, manager) -> None:
        self._manager = manager

    def loadedModuleNames(self) -> list[str]:
        return self._manager.modulesNames()


class qSlicerModuleManager(QtCore.QObject):
    """Modules by name: the scripted ones loaded here, and Slicer's own that the scene host made."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)
    SIGNATURES = {  # noqa: RUF012
        "moduleLoaded(QString)": "moduleLoaded",
        "moduleAboutToBeUnloaded(QString)": "moduleAboutToBeUnloaded",
    }

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._scripted: dict[str, qSlicerScriptedLoadableModule] = {}
        self._factory = FactoryManager(self)

    def modulesNames(self) -> list[str]:
        return [name for name in vars(slicer.moduleNames) if not name.startswith("__")]

    def scripted_names(self) -> list[str]:
        """The modules that were loaded from files here."""
        return list(self._scripted)

    def factoryManager(self):
        return self._factory

    def module(self, name: str):
        return getattr(slicer.modules, name.lower(), None)

    def load(self, path: Path) -> qSlicerScriptedLoadableModule:
        """Load a module file, as at Slicer's start; the module of that name if it is loaded already."""
        name = path.stem
        if name in self._scripted:
            return self._scripted[name]
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        made = qSlicerScriptedLoadableModule(path)
        source = load_source(name, path)
        instance = getattr(source, name)(made)
        setattr(slicer.modules, name.lower(), made)
        setattr(slicer.modules, name + "Instance", instance)
        setattr(slicer.moduleNames, name, name)
        self._scripted[name] = made
        self.moduleLoaded.emit(name)
        return made

    def unload(self, name: str) -> None:
        """Let the panel clean up and forget the module."""
        module = self._scripted.pop(name)
        if module._widget is not None:
            if module._widget.isEntered:
                module._widget.exit()
            self.moduleAboutToBeUnloaded.emit(name)
            module._widget.deleteLater()
            module._widget = None
        for attribute in (name.lower(), name + "Instance", name + "Widget"):
            if hasattr(slicer.modules, attribute):
                delattr(slicer.modules, attribute)
        delattr(slicer.moduleNames, name)
        sys.modules.pop(name, None)


class ModuleSelector:
    """Which module is shown: leaves the old one, enters the new one."""

    def __init__(self, manager: qSlicerModuleManager, show) -> None:
        self._manager, self._show = manager, show
        self.selectedModule = ""

    def selectModule(self, name: str) -> None:
        """Show a module's panel; any other name (one of Slicer's own, or "") only leaves the one that was shown."""
        if name == self.selectedModule:
            return
        before, self.selectedModule = self.selectedModule, name
        self.leave(before)
        module = self._manager._scripted.get(name)
        if module is not None:
            widget = module.widgetRepresentation()
            self._show(widget)
            widget.enter()

    def leave(self, name: str) -> None:
        module = self._manager._scripted.get(name)
        if module is not None and module._widget is not None and module._widget.isEntered:
            module._widget.exit()
