"""Subjects that are never trained on, whatever the file: one patient has label maps, CTs, bodies and parts of scans."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Label maps of held-out patients: the validation's phantoms are made of them.
VALIDATION_SPINES = ("verse024", "verse047", "verse645", "verse711")
# People whose real CTs a training is watched and chosen on, by their mean: never trained on, nor is a body of theirs.
VALIDATION_PEOPLE = ("verse005", "verse007", "verse008", "totalsegmentator_example")
VALIDATION_SUBJECTS = (*VALIDATION_SPINES, *VALIDATION_PEOPLE)
DEMONSTRATION_CASE = "LIDC-IDRI-0001"  # published figures are measured on it: never trained or selected on
SCOUT_CASE = "scouts/lumbar"  # a CT and real scouts of the same patient: likewise

# People of whom a data folder has several files, each named by what it shows of them.
_OF_SEVERAL_FILES = ("acrin_flt_001", "totalsegmentator_example")
_FOR_EVER = re.compile(r"LIDC[-_]IDRI[-_]0001(?!\d)|SCOUTS[-_/\\]+LUMBAR", re.IGNORECASE)
_VERSE = re.compile(r"verse\d+")
_PART = re.compile(r"_(?:split|dir)-")


def subject_of(name: str) -> str:
    """The subject of a label map, a body, a case or a part: ``verse041`` for verse041_seg and sub-verse041_dir-iso.

    Of several VerSe numbers the first is the subject, the others are its scans (sub-verse401_split-verse253). A person
    with several bodies or with a body and a case is one: ``acrin_flt_001`` for acrin_flt_001_head_neck. Any other name
    is its own subject, but for VerSe's ``_split-`` and ``_dir-``.
    """
    numbers = _numbers(name)
    if numbers:
        return numbers[0]
    people = (one for one in _OF_SEVERAL_FILES if name.lower() == one or name.lower().startswith(f"{one}_"))
    return next(people, _PART.split(name)[0])


def is_held_out_for_ever(*names: str) -> bool:
    """True if a name, or the path of a file, is that of ``DEMONSTRATION_CASE`` or of ``SCOUT_CASE``."""
    return any(_FOR_EVER.search(name) is not None for name in names)


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
