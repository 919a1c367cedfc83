"""Text on a label that wraps, with the height that it needs."""

from __future__ import annotations

from typing import Any


def show_text(label: Any, text: str) -> None:
    """Put a text on a word-wrapped label and reserve its height.

    A scroll area asks its content for a minimum height that takes no account of wrapped lines: without the reserve, a
    long sentence squeezes the widgets below it.
    """
    if label.text != text:
        label.text = text
        label.setMinimumHeight(label.heightForWidth(label.width) if text else 0)
