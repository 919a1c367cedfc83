"""The frame of every HTML page: one self-contained file with the marking on top, no scripts, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from TomoRayLib.base.notices import NOTICE
from TomoRayLib.report.markup import escape


def html_page(title: str, sections: Iterable[str]) -> str:
    """A page of ready-made HTML ``sections``; empty ones are left out. ``title`` is plain text."""
    css = Path(__file__).with_name("report.css").read_text(encoding="utf-8").replace("@@NOTICE@@", NOTICE)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n"
        f'<body>\n<div class="banner" role="note">{escape(NOTICE)}</div>\n<main>\n'
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )
