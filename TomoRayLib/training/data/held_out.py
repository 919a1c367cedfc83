"""Subjects that are never trained on, whatever the file: one patient has label maps, CTs and parts of scans."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Cervical stretches have no matching body yet; these label maps are kept for validation.
VALIDATION_SPINES = ("verse024", "verse047", "verse645", "verse711")
DEMONSTRATION_CASE = "LIDC-IDRI-0001"  # published figures are measured on it: never trained or selected on

_VERSE = re.compile(r"verse\d+")
_PART = re.compile(r"_(?:split|dir)-")


def subject_of(name: str) -> str:
    """The subject of a label map, a case or a part of one: ``verse041`` for verse041_seg and sub-verse041_dir-iso.

    Of several VerSe numbers the first is the subject, the others are its scans (sub-verse401_split-verse253). Any other
    name is its own subject, but for VerSe's ``_split-`` and ``_dir-``.
    """
    numbers = _numbers(name)
    return numbers[0] if numbers else _PART.split(name)[0]


def is_demonstration_case(*names: str) -> bool:
    """True if a name of a case, or the path of one of its files, contains ``DEMONSTRATION_CASE``."""
    return any(DEMONSTRATION_CASE in name.upper() for name in names)


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
