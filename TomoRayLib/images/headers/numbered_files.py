"""Names of files by a pattern with numbers, as NRRD's ``data file`` and MetaImage's ``ElementDataFile`` give them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from TomoRayLib.base.errors import InputError

MOST_FILES = 100_000  # of one volume
_PLACE = re.compile(r"%0?\d{0,3}[diu]")  # what C's printf puts one whole number into


def numbered_names(path: Path, data: str, numbers: Sequence[str], key: str) -> Iterator[str]:
    """Give the names that a pattern with first number, last number and step makes, the last among them.

    Args:
        path: The header's file, for messages.
        data: The field, which begins with the pattern.
        numbers: First, last and step.
        key: The field's name, for messages.

    Raises:
        InputError: For a pattern that holds no number, and for numbers that are none.
    """
    pattern = data.split()[0]
    try:
        first, last, step = (int(number) for number in numbers)
        numbered = range(first, last + (step > 0) - (step < 0), step)
        if not _PLACE.search(pattern) or _PLACE.sub("", pattern, count=1).count("%"):
            raise ValueError("a pattern of another form")
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: expected a pattern with first number, last number and step for its files of voxels ({key}), got "
            f"{data!r} ({error}); correct the header."
        ) from None
    return (pattern % number for number in islice(numbered, MOST_FILES))
