"""A slow import begun in a thread of its own, while this one reads files.

Python allows one thread at a time to import or compute, but not while it waits for a disk, unpacks a file, works on an
array or opens a library: these are what the import goes on beside.
"""

from __future__ import annotations

import importlib
import threading


def import_beside(*modules: str) -> None:
    """Begin to import modules, one after another, and return at once; whoever imports one next waits until it is there.

    numpy is imported first, in this thread, as two threads that meet in one package may block each other. A module that
    cannot be imported is left for the next import to complain about.
    """
    importlib.import_module("numpy")
    threading.Thread(target=_import_quietly, args=(modules,), name=f"import {modules[0]}", daemon=True).start()


def _import_quietly(modules: tuple[str, ...]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception:  # broken installations raise anything; the next import raises it again, where it is told
            return
