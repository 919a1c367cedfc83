"""Makes PySide6 objects behave, and refuse, as PythonQt's do in Slicer. ``install()`` changes PySide6 for this process.

The classes stay PySide6's own, so ``type(widget) is qt.QCheckBox`` holds wherever a widget comes from. What changes:

* a Qt property is an attribute: ``label.text``; ``label.text()`` fails, as in Slicer. ``name`` is ``objectName``.
* an attribute that Qt does not know cannot be set, nor a slot or signal replaced. Python subclasses may have their own.
* ``connect("clicked(bool)", f)`` and ``disconnect`` by signature; callables get as many arguments as they take.
* a connection keeps its callable alive, as PythonQt does and PySide6 does not for bound methods.
* ``exec_()``, ``className()``, ``delete()``, ``findChild("QLabel", "name")``.

Classes of the ``host`` package stand for C++ classes of CTK and Slicer and are as strict; they keep their own state in
attributes that begin with an underscore, and say in ``SIGNATURES`` under which signatures Slicer knows their signals.
"""

from __future__ import annotations

import ctypes
import functools
import inspect
from collections.abc import Callable
from contextlib import contextmanager, suppress
from enum import Enum, auto

import shiboken6
from PySide6 import QtCore

VARIADIC = inspect.CO_VARARGS


class Kind(Enum):
    """The meaning of a name on a class, in the order in which PythonQt looks it up."""

    PROPERTY = auto()
    SIGNAL = auto()
    MEMBER = auto()  # a slot, a method, an enum, or anything of a Python subclass
    PYTHON = auto()  # defined by a Python subclass
    UNKNOWN = auto()


def is_native(cls: type) -> bool:
    """True if a class stands for a C++ one: PySide6's own, and the stand-ins of this package."""
    return cls.__module__.partition(".")[0] in ("PySide6", "Shiboken", "shiboken6", "host", "builtins")


def _owner(cls: type, name: str) -> type | None:
    return next((base for base in cls.__mro__ if name in base.__dict__), None)


@functools.cache
def kind_of(cls: type, name: str) -> Kind:
    """The meaning of ``name`` on instances of ``cls``."""
    owner = _owner(cls, name)
    if owner is not None and not is_native(owner):
        return Kind.PYTHON
    meta = getattr(cls, "staticMetaObject", None)
    if meta is not None and meta.indexOfProperty(name) >= 0:
        return Kind.PROPERTY
    if owner is None:
        return Kind.UNKNOWN
    return Kind.SIGNAL if isinstance(owner.__dict__[name], QtCore.Signal) else Kind.MEMBER


@functools.cache
def _accessor(cls: type, name: str, prefixes: tuple[str, ...]) -> Callable | None:
    """PySide6's method for a property: ``text``, ``isEnabled``, ``setText``; None if there is none."""
    capital = name[0].upper() + name[1:]
    for prefix in prefixes:
        candidate = prefix + capital if prefix else name
        owner = _owner(cls, candidate)
        if owner is not None and callable(owner.__dict__[candidate]):
            return owner.__dict__[candidate]
    return None


def _get_property(instance, name: str):
    cls = type(instance)
    declared = next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)
    if isinstance(declared, QtCore.Property):
        return declared.fget(instance)
    getter = _accessor(cls, name, ("", "is"))
    if getter is not None:
        try:
            return getter(instance)
        except TypeError:
            pass  # a method of the same name that wants arguments
    return QtCore.QObject.property(instance, name)


def _set_property(instance, name: str, value) -> None:
    cls = type(instance)
    declared = next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)
    if isinstance(declared, QtCore.Property):
        if declared.fset is None:
            raise AttributeError(f"Property '{name}' of {cls.__name__} is read-only")
        declared.fset(instance, value)
        return
    meta = cls.staticMetaObject
    if not meta.property(meta.indexOfProperty(name)).isWritable():
        raise AttributeError(f"Property '{name}' of {cls.__name__} is read-only")
    setter = _accessor(cls, name, ("set",))
    if setter is not None:
        try:
            setter(instance, value)
            return
        except TypeError:
            pass  # Qt's own conversion may know better, as in PythonQt
    if not QtCore.QObject.setProperty(instance, name, value):
        raise AttributeError(f"Property '{name}' of {cls.__name__} does not accept {value!r} ({type(value).__name__})")


# Connections: per sender (by its C++ address) the signal, the callable, and what PySide6 was given instead.
_connections: dict[int, list[tuple[str, Callable, Callable]]] = {}


def accepted_arguments(function: Callable) -> int | None:
    """The number of positional arguments that PythonQt passes to a callable; None means all of the signal's."""
    code = getattr(function, "__code__", None)
    bound = 0
    if code is None and inspect.ismethod(function):
        code, bound = getattr(function.__func__, "__code__", None), 1
    elif inspect.ismethod(function):
        bound = 1
    if code is None or code.co_flags & VARIADIC:
        return None
    return code.co_argcount - bound


def _deliverer(function: Callable, most: int | None) -> Callable:
    wanted = accepted_arguments(function)
    limits = [limit for limit in (most, wanted) if limit is not None]
    limit = min(limits) if limits else None

    def deliver(*arguments):
        function(*arguments[:limit])

    return deliver


class BoundSignal:
    """A signal of one object: ``connect``, ``disconnect``, ``emit``; calling it emits."""

    def __init__(self, sender, name: str, signal) -> None:
        self._sender, self._name, self._signal = sender, name, signal

    def connect(self, function: Callable, most: int | None = None) -> bool:
        if not callable(function):
            raise TypeError(f"{self._name}: expected a function to connect to, got {function!r}")
        deliver = _deliverer(function, most)
        self._signal.connect(deliver)
        address = shiboken6.getCppPointer(self._sender)[0]
        if address not in _connections:
            _connections[address] = []
            _raw(self._sender, "destroyed").connect(functools.partial(_forget, address))
        _connections[address].append((self._name, function, deliver))
        return True

    def disconnect(self, function: Callable | None = None) -> bool:
        entries = _connections.get(shiboken6.getCppPointer(self._sender)[0], [])
        matching = [entry for entry in entries if entry[0] == self._name and function in (None, entry[1])]
        for entry in matching:
            self._signal.disconnect(entry[2])
            entries.remove(entry)
        return bool(matching)

    def emit(self, *arguments) -> None:
        self._signal.emit(*arguments)

    __call__ = emit


def _forget(address: int, *_destroyed) -> None:
    _connections.pop(address, None)


def _raw(instance, name: str):
    return _original_getattribute(instance)(instance, name)


def signal_by_signature(sender, signature: str) -> tuple[BoundSignal, int]:
    """The signal and its number of arguments for ``"clicked(bool)"``. ValueError for one that Qt does not know."""
    normalised = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    name, _, arguments = normalised.partition("(")
    count = 0 if arguments in (")", "") else arguments.count(",") + 1
    stated = getattr(type(sender), "SIGNATURES", {})
    known = normalised in stated if name in {key.partition("(")[0] for key in stated} else None
    if known is None:
        known = type(sender).staticMetaObject.indexOfSignal(normalised) >= 0
    if not known:
        raise ValueError(f"{type(sender).__name__} has no signal '{signature}'")
    raw = _raw(sender, stated.get(normalised, name))
    overload = arguments.rstrip(")")
    if normalised not in stated and overload:
        with suppress(KeyError, IndexError, TypeError):
            raw = raw[overload]
    return BoundSignal(sender, normalised, raw), count


def _connect(sender, signature: str, function, slot: str | None = None) -> bool:
    if slot is not None:
        function = getattr(function, slot.lstrip("1").partition("(")[0])
    signal, count = signal_by_signature(sender, signature)
    return signal.connect(function, count)


def _disconnect(sender, signature: str, function=None, slot: str | None = None) -> bool:
    if slot is not None:
        function = getattr(function, slot.lstrip("1").partition("(")[0])
    return signal_by_signature(sender, signature)[0].disconnect(function)


def _by_signature_or_raw(sender, name: str, ours: Callable):
    """``connect`` and ``disconnect``: PythonQt's form, or PySide6's own calls, which begin with "2"."""

    def either(*arguments):
        if arguments and isinstance(arguments[0], str) and not arguments[0].startswith("2"):
            return ours(sender, *arguments)
        return _raw(sender, name)(*arguments)

    return either


def _find(parent, first=None, name: str | None = None) -> list:
    """Children by class, class name or object name; PythonQt takes all three."""
    found = QtCore.QObject.findChildren(parent, QtCore.QObject)
    if isinstance(first, str) and name is None:
        known = [child for child in found if child.inherits(first)]
        return known or [child for child in found if child.objectName == first]
    if isinstance(first, str):
        found = [child for child in found if child.inherits(first)]
    elif first is not None:
        found = [child for child in found if isinstance(child, first)]
    return [child for child in found if name in (None, "") or child.objectName == name]


def _find_first(parent, *arguments):
    return next(iter(_find(parent, *arguments)), None)


EXTRAS: dict[str, Callable] = {
    "connect": lambda instance: _by_signature_or_raw(instance, "connect", _connect),
    "disconnect": lambda instance: _by_signature_or_raw(instance, "disconnect", _disconnect),
    "findChild": lambda instance: functools.partial(_find_first, instance),
    "findChildren": lambda instance: functools.partial(_find, instance),
    # Not PySide6's metaObject(): the object that it returns dies with the widget, and with it the class's own.
    "metaObject": lambda instance: lambda: type(instance).staticMetaObject,
    "className": lambda instance: lambda: type(instance).staticMetaObject.className(),
    "delete": lambda instance: lambda: shiboken6.delete(instance),
    "exec_": lambda instance: _raw(instance, "exec"),
}
_originals: dict[type, Callable] = {}
_loading: list[bool] = []
_reading: set[tuple[int, str]] = set()  # Qt asks Python for sizeHint while Python asks Qt


def _original_getattribute(instance) -> Callable:
    return next(_originals[base] for base in type(instance).__mro__ if base in _originals)


def _getattribute(original: Callable) -> Callable:
    def getattribute(self, name: str):
        if name.startswith("__"):
            return original(self, name)
        cls = type(self)
        kind = kind_of(cls, name)
        if kind is Kind.PYTHON:
            return original(self, name)
        if name in EXTRAS:
            return EXTRAS[name](self)
        if name == "name" and kind is Kind.UNKNOWN:
            return _get_property(self, "objectName")
        if kind is Kind.PROPERTY:
            if (id(self), name) in _reading:
                return original(self, name)
            _reading.add((id(self), name))
            try:
                return _get_property(self, name)
            finally:
                _reading.discard((id(self), name))
        if kind is Kind.SIGNAL:
            return BoundSignal(self, name, original(self, name))
        if kind is Kind.UNKNOWN and not name.startswith("_") and name not in original(self, "__dict__"):
            if name.encode() in [bytes(known.data()) for known in original(self, "dynamicPropertyNames")()]:
                return original(self, "property")(name)
            raise AttributeError(f"{cls.__name__} has no attribute named '{name}'")
        return original(self, name)

    return getattribute


@contextmanager
def loading_ui():
    """Meanwhile PySide6's loader, which hangs each child on its root as an attribute, is let run without effect."""
    _loading.append(True)
    try:
        yield
    finally:
        _loading.pop()


def _setattr(self, name: str, value) -> None:
    cls = type(self)
    if isinstance(value, QtCore.SignalInstance):  # PySide6 itself, which keeps signals it has looked up
        _raw(self, "__dict__")[name] = value
        return
    if _loading and isinstance(value, QtCore.QObject) and not name.startswith("_"):
        return
    kind = kind_of(cls, name)
    if name == "name" and kind is Kind.UNKNOWN:
        name, kind = "objectName", Kind.PROPERTY
    if kind is Kind.PROPERTY:
        _set_property(self, name, value)
    elif kind is Kind.SIGNAL or (kind is Kind.MEMBER and not name.startswith("_")):
        raise AttributeError(f"'{name}' of {cls.__name__} is a slot, method or signal and cannot be replaced")
    elif not is_native(cls) or (cls.__module__.startswith("host") and name.startswith("_")):
        _set_python(self, name, value)
    elif name.encode() in [bytes(known.data()) for known in QtCore.QObject.dynamicPropertyNames(self)]:
        QtCore.QObject.setProperty(self, name, value)
    else:
        raise AttributeError(
            f"{cls.__name__} has no attribute '{name}': creating new attributes on C++ objects is not allowed"
        )


def _set_python(instance, name: str, value) -> None:
    """Python's own assignment; ``object.__setattr__`` refuses on these types."""
    owner = _owner(type(instance), name)
    descriptor = owner.__dict__[name] if owner is not None else None
    if hasattr(type(descriptor), "__set__"):
        descriptor.__set__(instance, value)
    else:
        _raw(instance, "__dict__")[name] = value


def _keep_booleans() -> None:
    """PySide6 gives back one reference to True too many at each disconnect; before Python 3.12 that ends us."""
    for constant in (True, False):
        ctypes.c_ssize_t.from_address(id(constant)).value |= 1 << 29


def install(*modules) -> None:
    """Give all QObject classes of these PySide6 modules PythonQt's manners. Safe to call again."""
    if QtCore.QObject in _originals:
        return
    _keep_booleans()
    classes = {QtCore.QObject}
    for module in modules:
        for name in dir(module):
            candidate = getattr(module, name)
            if isinstance(candidate, type) and issubclass(candidate, QtCore.QObject):
                classes.add(candidate)
    for cls in classes:
        if "__getattribute__" in cls.__dict__:
            _originals[cls] = cls.__dict__["__getattribute__"]
    for cls, original in _originals.items():
        cls.__getattribute__ = _getattribute(original)
    for cls in classes:
        if cls is QtCore.QObject or "__setattr__" in cls.__dict__:
            cls.__setattr__ = _setattr
