"""Functions compiled by numba, kept on disk for later processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """``function`` compiled at its first call, and kept for later processes if there is a folder for that.

    It releases the interpreter's lock, and may join a product and a sum into one operation.
    """
    try:
        return njit(nogil=True, fastmath={"contract"}, cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return njit(nogil=True, fastmath={"contract"})(function)
