"""A slow import begun in a thread of its own, while this one reads files.

Python lets one thread at a time run, but others go on while they wait for a disk, unpack a file, work on an array or
open a library: that is what the import goes on beside. Threads take turns of 5 ms, which each of many short steps of
the reading would wait for; during the import turns are shorter.
"""

from __future__ import annotations

import importlib
import sys
import threading

TURN_S = 0.0005


def import_beside(*modules: str) -> None:
    """Begin to import modules, one after another, and return at once; whoever imports one next waits until it is there.

    numpy is imported first, in this thread, as two threads that meet in one package may block each other. A module that
    cannot be imported is left for the next import to complain about.
    """
    importlib.import_module("numpy")
    threading.Thread(target=_import_quietly, args=(modules,), name=f"import {modules[0]}", daemon=True).start()


def _import_quietly(modules: tuple[str, ...]) -> None:
    turn_s = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        _import_all(modules)
    finally:
        sys.setswitchinterval(turn_s)


def _import_all(modules: tuple[str, ...]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception:  # broken installations raise anything; the next import raises it again, where it is told
            return
