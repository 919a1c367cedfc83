"""Names and sentences of others as plain text: nothing in them steers a terminal, or hides from who reads it."""

from __future__ import annotations

import unicodedata

# Marks that turn the direction of the text around them, and separators that end a line where none ends
_HIDDEN = frozenset("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def plain(text: str, newline: bool = False) -> str:
    """Return a text in which control characters, also those of C1, turned directions and halves of characters (bytes of
    a file name that are no UTF-8) are written out: an escape as ``\\x1b``. With ``newline`` the ends of lines stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if newline and letter == "\n" else _written_out(letter) for letter in text)


def _written_out(letter: str) -> str:
    if letter in _HIDDEN or unicodedata.category(letter) in ("Cc", "Cs"):
        return letter.encode("unicode_escape").decode("ascii")
    return letter
