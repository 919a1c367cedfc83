"""The two errors that a user can act on. Each message says what was expected, what was got and what to do."""

from __future__ import annotations


class InputError(ValueError):
    """An input file or image that cannot be used."""


class OutputError(OSError):
    """A result that cannot be written: no such place, no right to write there, or no space left."""
