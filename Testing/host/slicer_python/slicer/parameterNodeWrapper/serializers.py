"""Values of each type as parameters of a ``vtkMRMLScriptedModuleNode``, named and written as by Slicer."""

from __future__ import annotations

import pathlib
import types
import typing
from dataclasses import dataclass, field
from enum import Enum

import slicer

from .annotations import Validator


def split_annotations(annotated) -> tuple[typing.Any, tuple]:
    """The bare type and its annotations."""
    if typing.get_origin(annotated) is typing.Annotated:
        return typing.get_args(annotated)[0], annotated.__metadata__
    return annotated, ()


def union_members(kind) -> tuple:
    """The types of a Union, ``A | B`` or Optional; empty for any other type."""
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else ()


def is_node_type(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


@dataclass
class Serializer:
    """Writes ``kind`` values as one text parameter."""

    kind: typing.Any
    validators: list[Validator] = field(default_factory=list)

    def accepts(self, value) -> bool:
        wanted = (int, float) if self.kind is float else self.kind
        return isinstance(value, wanted)

    def check(self, value) -> None:
        if value is None:
            raise ValueError("Value must not be None")
        if not self.accepts(value):
            raise TypeError(f"Value must be of type {self.kind}, got {value!r} of type {type(value)}")
        for validator in self.validators:
            validator.validate(value)

    def default(self):
        return next(iter(self.kind)) if issubclass(self.kind, Enum) else self.kind()

    def present(self, node, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node, name: str, value) -> None:
        self.check(value)
        node.SetParameter(name, value.name if isinstance(value, Enum) else str(value))

    def read(self, node, name: str):
        text = node.GetParameter(name)
        if self.kind is bool:
            return text == "True"
        if issubclass(self.kind, Enum):
            if text not in self.kind.__members__:
                raise ValueError(f"Found {text!r} in the parameter node, which is not a name in {self.kind!r}")
            return self.kind[text]
        return self.kind(text)

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)


class NodeSerializer(Serializer):
    """A node reference, and an empty parameter that says that it was set."""

    def check(self, value) -> None:
        if value is not None and not self.accepts(value):
            raise TypeError(f"Value must be of type {self.kind}, got {type(value)}")
        for validator in self.validators:
            validator.validate(value)

    def default(self):
        return None

    def write(self, node, name: str, value) -> None:
        self.check(value)
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name: str):
        return node.GetNodeReference(name)

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class NoneSerializer(Serializer):
    """The None of an Optional."""

    def accepts(self, value) -> bool:
        return value is None

    def check(self, value) -> None:
        if value is not None:
            raise ValueError(f"Value must be None, got {value!r}")

    def default(self):
        return None

    def write(self, node, name: str, value) -> None:
        self.check(value)
        node.SetParameter(name, "None")

    def read(self, node, name: str):
        return None


class UnionSerializer(Serializer):
    """The member that fits, under ``name.<its number>``. As in Slicer, it takes None only if None is a member."""

    def __init__(self, kind, validators: list[Validator]) -> None:
        super().__init__(kind, validators)
        self.members = [serializer_for(member) for member in union_members(kind)]

    def _number_for(self, value) -> int:
        fitting = [number for number, member in enumerate(self.members) if member.accepts(value)]
        if not fitting:
            raise TypeError(f"Unable to write value {value!r} of type {type(value)} as {self.kind}")
        return fitting[0]

    def check(self, value) -> None:
        self.members[self._number_for(value)].check(value)
        for validator in self.validators:
            validator.validate(value)

    def default(self):
        optional = len(self.members) == 2 and isinstance(self.members[1], NoneSerializer)
        return None if optional else self.members[0].default()

    def present(self, node, name: str) -> bool:
        return any(member.present(node, f"{name}.{number}") for number, member in enumerate(self.members))

    def write(self, node, name: str, value) -> None:
        self.check(value)
        self.remove(node, name)
        number = self._number_for(value)
        self.members[number].write(node, f"{name}.{number}", value)

    def read(self, node, name: str):
        for number, member in enumerate(self.members):
            if member.present(node, f"{name}.{number}"):
                return member.read(node, f"{name}.{number}")
        raise KeyError(f"Unable to find a value for {name}")

    def remove(self, node, name: str) -> None:
        for number, member in enumerate(self.members):
            member.remove(node, f"{name}.{number}")


class ListSerializer(Serializer):
    """``name.len`` and ``name.0`` ...; read as a list whose changes are not written back (Slicer's are)."""

    def __init__(self, kind, validators: list[Validator]) -> None:
        super().__init__(kind, validators)
        self.element = serializer_for(typing.get_args(kind)[0])

    def check(self, value) -> None:
        for item in value:
            self.element.check(item)

    def accepts(self, value) -> bool:
        return isinstance(value, (list, tuple))

    def default(self) -> list:
        return []

    def _length(self, node, name: str) -> int:
        return int(node.GetParameter(f"{name}.len") or 0)

    def present(self, node, name: str) -> bool:
        return bool(node.HasParameter(f"{name}.len"))

    def write(self, node, name: str, value) -> None:
        self.check(value)
        self.remove(node, name)
        for number, item in enumerate(value):
            self.element.write(node, f"{name}.{number}", item)
        node.SetParameter(f"{name}.len", str(len(value)))

    def read(self, node, name: str) -> list:
        return [self.element.read(node, f"{name}.{number}") for number in range(self._length(node, name))]

    def remove(self, node, name: str) -> None:
        for number in range(self._length(node, name)):
            self.element.remove(node, f"{name}.{number}")
        node.UnsetParameter(f"{name}.len")


def serializer_for(annotated) -> Serializer:
    """The serializer of a possibly annotated type. TypeError for one that this stand-in does not know."""
    kind, annotations = split_annotations(annotated)
    validators = [item for item in annotations if isinstance(item, Validator)]
    if kind is type(None):
        return NoneSerializer(kind, validators)
    if union_members(kind):
        return UnionSerializer(kind, validators)
    if typing.get_origin(kind) is list:
        return ListSerializer(kind, validators)
    if is_node_type(kind):
        return NodeSerializer(kind, validators)
    if isinstance(kind, type) and (kind in (int, float, bool, str) or issubclass(kind, (Enum, pathlib.PurePath))):
        return Serializer(kind, validators)
    raise TypeError(f"Unable to create serializer for type: {kind}")
