"""VTK observers that end with the widget they belong to."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import shiboken6


def observe(subject, event, method: Callable) -> int:
    """Call a widget's method, without arguments, at a VTK event while the widget lives; returns the observer's tag."""
    weak = weakref.WeakMethod(method)

    def notify(*_caller_and_event) -> None:
        alive = weak()
        if alive is not None and shiboken6.isValid(alive.__self__):
            alive()

    return subject.AddObserver(event, notify)
