"""Texts of the panel: labels that wrap, with the height that they need, and several problems in one message."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

MOST_LINES = 6  # of a message; the rest is scrolled to


def show_text(label: Any, text: str) -> None:
    """Put a text on a word-wrapped label and reserve its height.

    A scroll area asks its content for a minimum height that takes no account of wrapped lines: without the reserve, a
    long sentence squeezes the widgets below it.
    """
    if label.text != text:
        label.text = text
        label.setMinimumHeight(_needed_height(label, label.width))


def show_message(area: Any, label: Any, text: str) -> None:
    """Put a text on the label in a scroll area that is as high as the text, up to ``MOST_LINES`` lines."""
    if label.text != text:
        label.text = text
    line = label.fontMetrics().lineSpacing()
    needed = max(_needed_height(label, area.width - area.verticalScrollBar().sizeHint.width()), line)
    label.setMinimumHeight(needed)
    area.setFixedHeight(min(needed, MOST_LINES * line + line // 2))


def _needed_height(label: Any, width: int) -> int:
    """The height of a label's text at a width; Qt would give no less than the reserve of the text before."""
    label.setMinimumHeight(0)
    return int(label.heightForWidth(max(width, 1))) if label.text else 0


def listed(problems: list[str]) -> str:
    """All problems in one text; one alone as it is, none as an empty text."""
    if len(problems) < 2:
        return "".join(problems)
    return "\n".join((_("Before you can synthesize:"), *(f"\N{BULLET} {problem}" for problem in problems)))
