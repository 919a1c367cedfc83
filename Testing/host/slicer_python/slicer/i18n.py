"""Stand-in for Slicer's ``slicer.i18n``: texts in the language of the application."""

from __future__ import annotations

import inspect
import string
from pathlib import Path


def translate(context: str, text: str) -> str:
    """The text as the application translates it."""
    import slicer

    application = getattr(slicer, "app", None)
    return text if application is None else application.translate(context, text)


def getContext(sourceFile: str) -> str:
    """Name of the file, with its package in front if it is in one: the context of the translation tools."""
    path = Path(sourceFile)
    name = path.name.replace(".py", "")
    return f"{path.parent.name}.{name}" if (path.parent / "__init__.py").is_file() else name


def placeholders(text: str) -> set[str]:
    """The names in braces; nothing for a text that ``format`` could not read."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:
        return set()


def tr(text: str) -> str:
    """The text in the user's language; unchanged if the translation has other placeholders."""
    caller = inspect.currentframe().f_back
    translated = translate(getContext(caller.f_code.co_filename), text)
    return translated if placeholders(translated) == placeholders(text) else text
