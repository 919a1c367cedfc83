"""Names and sentences of others as text of a page: neither markup nor control characters, nor turned directions."""

from __future__ import annotations

import html

from TomoRayLib.base.plain_text import plain


def escape(text: str) -> str:
    """Return a text as it can stand in HTML, also between quotes; the ends of lines stay."""
    return html.escape(plain(text, newline=True))
