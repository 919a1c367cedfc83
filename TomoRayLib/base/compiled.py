"""Functions compiled by numba, kept on disk for later processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """``function`` compiled at its first call, and kept for later processes if there is a folder for that.

    It releases the interpreter's lock, and may join a product and a sum into one operation.
    """
    return _kept(function, {})


def compiled_for_vectors(function: Callable[..., Any]) -> Any:
    """``compiled`` for loops over many numbers: a division by zero gives infinity or NaN in place of an error, whose
    check would keep the loop from vector instructions."""
    return _kept(function, {"error_model": "numpy"})


def _kept(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    try:
        return njit(nogil=True, fastmath={"contract"}, cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return njit(nogil=True, fastmath={"contract"}, **options)(function)
