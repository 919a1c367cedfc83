"""The two errors that a user can act on. Each message says what was expected, what was got and what to do next."""

from __future__ import annotations

LONGEST_MESSAGE = 2000  # characters; values of a damaged header may have thousands


def shortened(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text itself, or its beginning and end if it is longer."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"


class InputError(ValueError):
    """An input or a setting that cannot be used.

    The message speaks of the thing itself ("the isocentre"), never of an option or a control. ``field`` names the
    setting as the jobs do (``"isocenter_mm"``, ``"device"``); the command line adds its option to the message and the
    panel its control. It is None if the message is about a file's content and no setting would help.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(shortened(message))
        self.field = field


class OutputError(OSError):
    """A result that cannot be written: no such place, no right to write there, or no space left."""
