"""Subjects that are never trained on, whatever the file: one patient has label maps, CTs, bodies and parts of scans."""

from __future__ import annotations

import re

# Label maps of held-out patients: the validation's phantoms are made of them.
VALIDATION_SPINES = ("verse024", "verse047", "verse645", "verse711")
# People whose real CTs a training is watched and chosen on, by their mean: never trained on, nor is a body of theirs.
VALIDATION_PEOPLE = ("verse005", "verse007", "verse008", "totalsegmentator_example")
VALIDATION_SUBJECTS = (*VALIDATION_SPINES, *VALIDATION_PEOPLE)
DEMONSTRATION_CASE = "LIDC-IDRI-0001"  # published figures are measured on it: never trained or selected on
SCOUT_CASE = "scouts/lumbar"  # a CT and real scouts of the same patient: likewise

_FOR_EVER = re.compile(r"LIDC[-_]IDRI[-_]0001(?!\d)|SCOUTS[-_/\\]+LUMBAR", re.IGNORECASE)


def is_held_out_for_ever(*names: str) -> bool:
    """True if a name, or the path of a file, is that of ``DEMONSTRATION_CASE`` or of ``SCOUT_CASE``."""
    return any(_FOR_EVER.search(name) is not None for name in names)
