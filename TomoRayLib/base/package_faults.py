"""What is wrong with a Python package that cannot be loaded, told from the error in which its import ended.

Only the standard library is imported: Slicer reads this in its own process, and the package may be numpy.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

OURS = "TomoRayLib"


class Fault(Enum):
    """What is wrong with an installed package; the values are what events and stored results hold."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"  # files are missing, cut off or of another version
    LIBRARY = "library"  # a shared library that it needs is missing or cannot be loaded
    SYSTEM = "system"  # built for a newer operating system
    NUMPY = "numpy"  # compiled for another numpy than the one that is there
    ARCHITECTURE = "architecture"  # built for another processor
    FORBIDDEN = "forbidden"  # the operating system refuses to load it
    OLD = "old"  # a version that is too old
    CRASH = "crash"  # loading it ends the process

    @property
    def words(self) -> str:
        """What is wrong, as the second half of a sentence on the package."""
        return _WORDS[self]


_WORDS = {
    Fault.MISSING: "is not installed",
    Fault.INCOMPLETE: "is installed, but damaged: files of it are missing, cut off or of another version",
    Fault.LIBRARY: "is installed, but a shared library that it needs is missing or cannot be loaded",
    Fault.SYSTEM: "is installed, but built for a newer operating system than this one",
    Fault.NUMPY: "is installed, but built for another version of numpy than the one that is there",
    Fault.ARCHITECTURE: "is installed, but built for another kind of processor",
    Fault.FORBIDDEN: "is installed, but the operating system does not allow it to be loaded",
    Fault.OLD: "is installed, but too old",
    Fault.CRASH: "is installed, but ends the program that loads it",
}

# What Python, numpy, PyTorch and the loaders of Linux, macOS and Windows say. The first that fits counts.
_SAID: tuple[tuple[Fault, tuple[str, ...]], ...] = (
    (
        Fault.NUMPY,
        (
            "compiled using numpy 1",
            "numpy is not available",
            "_array_api not found",
            "multiarray failed to import",
            "umath failed to import",
            "compiled against abi version",
            "compiled against api version",
            "may indicate binary incompatibility",  # numpy.dtype size changed, ...
        ),
    ),
    (Fault.SYSTEM, ("version `glibc", "version 'glibc", "version `cxxabi", "built for macos", "built for newer macos")),
    (
        Fault.FORBIDDEN,
        (
            "operation not permitted",
            "permission denied",
            "winerror 5]",
            "winerror 4551",  # an application control policy
            "application control policy",
            "library load disallowed by system policy",
            "code signature",
        ),
    ),
    (
        Fault.ARCHITECTURE,
        ("incompatible architecture", "wrong architecture", "wrong elf class", "winerror 193]", "not a valid win32"),
    ),
    (Fault.INCOMPLETE, ("file too short", "invalid elf header", "no such file or directory: '", "c extensions")),
    (
        Fault.LIBRARY,
        (
            "cannot open shared object file",
            "undefined symbol",
            "symbol not found",
            "version `glibcxx",
            "library not loaded",
            "image not found",
            "dll load failed",
            'error loading "',
            "winerror 126]",
            "winerror 127]",
            "winerror 1114]",
            "cannot load library",
        ),
    ),
)


@dataclass(frozen=True)
class PackageFault:
    """A package that cannot be loaded.

    Args:
        package: Its import name.
        fault: What is wrong with it.
        said: The last line of the error that tells, for a log.
    """

    package: str
    fault: Fault
    said: str = ""


def fault_of_text(text: str) -> Fault | None:
    """Return the fault that an error's text tells, None if it tells none."""
    lower = text.lower()
    return next((fault for fault, said in _SAID if any(words in lower for words in said)), None)


def package_fault(error: BaseException) -> PackageFault | None:
    """Return which package cannot be loaded, and why, if that is what an error says; None for any other error.

    An error counts if it was raised while a package that is not TomoRay's was being imported, whatever its class: a
    damaged package raises nearly anything. Of packages that import each other the innermost is named.
    """
    for one in _causes(error):
        found = _of_one(one)
        if found is not None:
            return found
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error's causes from the first one on, then the error itself."""
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return reversed(chain)


def _of_one(error: BaseException) -> PackageFault | None:
    said = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith(OURS):
        package, _, part = error.name.partition(".")
        missing = not part and not _has_metadata(package)
        return PackageFault(package, Fault.MISSING if missing else Fault.INCOMPLETE, said)
    text = str(error)
    if isinstance(error, RuntimeError) and "numpy is not available" in text.lower():
        return PackageFault("torch", Fault.NUMPY, said)
    found = _empty_package(error) or _being_imported(error)
    if found is None:
        return None
    if not isinstance(error, ImportError) and (beneath := _broken_beneath(found)) is not None:
        return beneath
    return PackageFault(found, fault_of_text(f"{type(error).__name__}: {text}") or Fault.INCOMPLETE, said)


def _broken_beneath(package: str) -> PackageFault | None:
    """The broken package beneath one that hides why it could not be loaded, and goes on into an error of its own."""
    for name in _HIDDEN_BENEATH.get(package, ()):
        try:
            importlib.import_module(name)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # of any class; what led here is among its causes
            return _of_one(error)
    return None


_HIDDEN_BENEATH = {"pydicom": ("PIL.Image",)}


def pip_name(package: str) -> str:
    """Return the name by which pip knows a package, from its import name."""
    return _PIP_NAMES.get(package, package)


_PIP_NAMES = {"PIL": "pillow", "skimage": "scikit-image", "vtkmodules": "vtk", "yaml": "PyYAML"}


def _empty_package(error: BaseException) -> str | None:
    """The package that is no more than a folder: its names are asked for in vain."""
    name = getattr(error, "name", None) if isinstance(error, ImportError) else None
    if isinstance(error, AttributeError):
        name = getattr(getattr(error, "obj", None), "__name__", None)
    if not isinstance(name, str) or name.startswith(OURS):
        return None
    package = name.partition(".")[0]
    return package if _is_empty(package) else None


def _is_empty(package: str) -> bool:
    """True for a package that was imported, but has none of what its own file would define."""
    import sys

    module = sys.modules.get(package)
    return module is not None and package in _WITH_VERSION and not hasattr(module, "__version__")


_WITH_VERSION = frozenset(("torch", "numpy", "scipy", "safetensors", "pydicom"))


def _being_imported(error: BaseException) -> str | None:
    """The innermost package, not TomoRay's, whose own file was being run when the error was raised."""
    found = None
    if isinstance(error, SyntaxError) and error.filename:
        found = _package_of_path(error.filename)
    if found is not None:
        return found
    for frame, _line in traceback.walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__", ""))
        if frame.f_code.co_name == "<module>" and name not in ("", "__main__") and not name.startswith(OURS):
            found = name.partition(".")[0]
    return found


def _package_of_path(path: str) -> str | None:
    """The package of a file in a folder of installed packages."""
    parts = Path(path).parts
    places = [number for number, part in enumerate(parts[:-1]) if part in ("site-packages", "dist-packages")]
    return Path(parts[places[-1] + 1]).stem if places else None


def _has_metadata(package: str) -> bool:
    """True if an installer has left word of a package of this name: it was there, and its files are gone."""
    try:
        version(package)
    except (PackageNotFoundError, ValueError, OSError):
        return False
    except Exception:  # damaged metadata are metadata
        return True
    return True
