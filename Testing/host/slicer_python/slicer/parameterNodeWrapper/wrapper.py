"""The class decorator ``parameterNodeWrapper``."""

from __future__ import annotations

import typing
import weakref

import qt
import slicer
import vtk

from .annotations import Default
from .connectors import GuiConnector, createGuiConnector
from .serializers import serializer_for, split_annotations

SlicerParameterNamePropertyName = "SlicerParameterName"


class Declared:
    """One parameter of a wrapper class."""

    def __init__(self, owner: type, name: str, datatype) -> None:
        self.name, self.datatype, self.unalteredType = name, datatype, datatype
        self.serializer = serializer_for(datatype)
        annotated = [item for item in split_annotations(datatype)[1] if isinstance(item, Default)]
        if name in vars(owner):
            self.default = Default(vars(owner)[name])
        else:
            self.default = annotated[0] if annotated else Default(self.serializer.default())


class Kept:
    """A parameter's value in one node. As Slicer's it is read when the node says that it was modified, not before: a
    node that was deleted without that stays visible."""

    def __init__(self, declared: Declared, node) -> None:
        self.declared, self.node, self._writing = declared, node, False
        if not declared.serializer.present(node, declared.name):
            declared.serializer.write(node, declared.name, declared.default.value)
        self.value = declared.serializer.read(node, declared.name)
        weak = weakref.ref(self)
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: weak() and weak().modified())

    def __del__(self) -> None:
        self.node.RemoveObserver(self._tag)

    def modified(self) -> None:
        if self._writing:
            return
        serializer = self.declared.serializer
        if not serializer.present(self.node, self.declared.name):
            serializer.write(self.node, self.declared.name, self.declared.default.value)
        self.value = serializer.read(self.node, self.declared.name)

    def write(self, value) -> None:
        self._writing = True
        try:
            with slicer.util.NodeModify(self.node):
                self.declared.serializer.write(self.node, self.declared.name, value)
                self.value = self.declared.serializer.read(self.node, self.declared.name)
        finally:
            self._writing = False


class WrapperMethods:
    """The methods of each wrapper class, with Slicer's names."""

    _is_parameter_node_wrapper = True
    allParameters: typing.ClassVar[dict[str, Declared]] = {}

    def __init__(self, parameterNode, prefix: str | None = None) -> None:
        if prefix:
            raise ValueError(f"this stand-in keeps parameters without prefix only, got the prefix {prefix!r}")
        self.parameterNode = parameterNode
        self._kept = {name: Kept(declared, parameterNode) for name, declared in self.allParameters.items()}
        self._connected: dict[int, dict[str, GuiConnector]] = {}
        self._observers: dict[int, int] = {}
        self._next_tag, self._showing = 0, False

    def _check(self, name: str) -> None:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}")

    def default(self, name: str) -> Default:
        self._check(name)
        return self.allParameters[name].default

    def isCached(self, name: str) -> bool:
        self._check(name)
        return True

    @classmethod
    def dataType(cls, name: str):
        return cls.allParameters[name].datatype

    def getValue(self, name: str):
        self._check(name)
        return self._kept[name].value

    def setValue(self, name: str, value) -> None:
        self._check(name)
        self._kept[name].write(value)

    def connectGui(self, gui) -> int:
        """Bind all widgets whose property SlicerParameterName names a parameter; returns a tag for disconnectGui."""
        is_widget = getattr(gui, "isWidgetType", lambda: False)()
        widgets = gui.findChildren(qt.QWidget) if is_widget else vars(gui).values()
        named = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping: dict) -> int:
        for name in mapping:
            self._check(name)
        connectors = {
            name: target if isinstance(target, GuiConnector) else createGuiConnector(target, self.dataType(name))
            for name, target in mapping.items()
        }
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        self._connected[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.onChanged(self._taker(name, connector))
        self._observers[tag] = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show())
        return tag

    def _taker(self, name: str, connector: GuiConnector):
        def take() -> None:
            with slicer.util.NodeModify(self):
                if not self._showing:
                    self.setValue(name, connector.read())

        return take

    def _show(self) -> None:
        if self._showing:
            return
        self._showing = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in self._connected.values():
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._showing = False

    def disconnectGui(self, tag: int) -> None:
        for connector in self._connected.pop(tag, {}).values():
            connector.onChanged(None)
        if tag in self._observers:
            self.RemoveObserver(self._observers.pop(tag))

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified) -> None:
        self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def _property(name: str) -> property:
    return property(lambda self: self._kept[name].value, lambda self, value: self._kept[name].write(value))


def _wrap(cls: type) -> type:
    declared = {
        name: Declared(cls, name, datatype)
        for name, datatype in typing.get_type_hints(cls, include_extras=True).items()
    }
    for name in [*declared, *vars(cls)]:
        if hasattr(WrapperMethods, name) and not name.startswith("__"):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    for name in declared:
        setattr(cls, name, _property(name))
    for name, method in vars(WrapperMethods).items():
        if name == "__init__" or not name.startswith("__"):
            setattr(cls, name, method)
    cls.allParameters = declared
    return cls


def parameterNodeWrapper(classtype=None):
    """Class decorator: typed attributes that live in a parameter node."""
    return _wrap if classtype is None else _wrap(classtype)


def isParameterNodeWrapper(classOrObject) -> bool:
    return getattr(classOrObject, "_is_parameter_node_wrapper", False)


def findChildWidgetForParameter(widget, parameter: str):
    """The child whose property SlicerParameterName is this, or None."""
    children = widget.findChildren(qt.QWidget)
    return next((child for child in children if child.property(SlicerParameterNamePropertyName) == parameter), None)
