"""The public names of a package, imported when they are first used (PEP 562).

A package's ``__init__`` is its face: it lists the names that users need and the module each one is defined in.
Nothing is imported before a name is asked for, so ``import TomoRayLib.images`` does not load SimpleITK.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_face(
    package: str, names_of_module: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__all__``, ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: The package's ``__name__``.
        names_of_module: The public names of each module below the package:
            ``{"files": ["read_volume", "write_volume"]}``.
    """
    module_of_name = {name: module for module, names in names_of_module.items() for name in names}

    def get(name: str) -> Any:
        if name not in module_of_name:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{module_of_name[name]}"), name)
        setattr(sys.modules[package], name, value)  # the next access does not come here
        return value

    public = sorted(module_of_name)
    return public, get, lambda: public
