"""Subjects: the person to whom a label map, a body, a case or a part of a scan belongs, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable

# People of whom a data folder has several files, each named by what it shows of them.
_OF_SEVERAL_FILES = ("acrin_flt_001", "totalsegmentator_example")
_VERSE = re.compile(r"verse\d+")
_BIDS = re.compile(r"sub-[^_/]+", re.IGNORECASE)
_PART = re.compile(r"_(?:split|dir)-")


def subject_of(name: str) -> str:
    """The subject of a label map, a body, a case or a part: ``verse041`` for verse041_seg and sub-verse041_dir-iso.

    Of several VerSe numbers the first is the subject, the others are its scans (sub-verse401_split-verse253). A person
    with several bodies or with a body and a case is one: ``acrin_flt_001`` for acrin_flt_001_head_neck. In BIDS names
    it is ``sub-`` with what follows up to the next underscore. Any other name is its own subject, but for VerSe's
    ``_split-`` and ``_dir-``.
    """
    numbers = _numbers(name)
    if numbers:
        return numbers[0]
    people = (one for one in _OF_SEVERAL_FILES if name.lower() == one or name.lower().startswith(f"{one}_"))
    found = _BIDS.match(name)
    return next(people, found[0] if found else _PART.split(name)[0])


def is_of_subjects(name: str, names: Iterable[str]) -> bool:
    """True if ``name`` and one of ``names`` belong to the same subject.

    Scans count as well, because VerSe's challenge layout knows sub-verse401_split-verse253 as verse253 alone.
    """
    return not _subjects(name).isdisjoint(subject for other in names for subject in _subjects(other))


def _subjects(name: str) -> set[str]:
    return {subject_of(name), *_numbers(name)}


def _numbers(name: str) -> list[str]:
    lower = name.lower()
    return _VERSE.findall(lower) if lower.startswith(("verse", "sub-verse")) else []
