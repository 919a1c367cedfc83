"""Texts for results that are passed on: they name files, and not the folders that lead to them on this machine."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from TomoRayLib.base.settings import option_of

if TYPE_CHECKING:
    from TomoRayLib.report.cohort_result import CohortResult

Value = TypeVar("Value")
_TEXTS_OF_COHORT = ("failed", "refused", "left_out", "settings", "remarks", "case_remarks")


def without_folders(value: Value, job: Any) -> Value:
    """Return JSON-like values whose texts name what a job was given without the folders above it.

    Args:
        value: Texts, also within mappings, lists and tuples; anything else stays as it is.
        job: The job, one of ``jobs.job``, whose settings name files and folders.
    """
    above = {place for path in _paths_of(job) for place in _folders_above(Path(path))}
    places = [*sorted(above, key=len, reverse=True), tempfile.gettempdir() + os.sep]
    home = str(Path.home())
    changes = [(_pattern(place), "") for place in places]
    return _replaced(value, [*changes, (re.compile(re.escape(home) + r"(?![\w-])"), "~")] if len(home) > 1 else changes)


def cohort_without_folders(result: CohortResult, job: Any) -> CohortResult:
    """Return a cohort with its texts as ``without_folders`` gives them."""
    return replace(result, **{name: without_folders(getattr(result, name), job) for name in _TEXTS_OF_COHORT})


def _pattern(folder: str) -> re.Pattern[str]:
    """A folder with its separator; a relative one only where a path begins, for ``n/`` is in many a text."""
    return re.compile(re.escape(folder) if Path(folder).is_absolute() else rf"(?<![\w./\\~-]){re.escape(folder)}")


def _replaced(value: Any, changes: list[tuple[re.Pattern[str], str]]) -> Any:
    if isinstance(value, str):
        for pattern, text in changes:
            value = pattern.sub(text, value)
        return value
    if isinstance(value, Mapping):
        return {_replaced(key, changes): _replaced(one, changes) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(one, changes) for one in value)
    return value


def _paths_of(settings: Any) -> Iterator[str]:
    for item in fields(settings):
        value, option = getattr(settings, item.name), option_of(item)
        if is_dataclass(value):
            yield from _paths_of(value)
        elif option is not None and option.is_path:
            yield from [value] if isinstance(value, str) else value or ()


def _folders_above(path: Path) -> set[str]:
    """The folder that holds a path, with its separator, as it was given, absolute and without links."""
    ways = (path, path.absolute(), path.resolve())
    return {f"{one.parent}{os.sep}" for one in ways if one.parent not in (Path(), Path(one.anchor))}
