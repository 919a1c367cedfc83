"""What the headers of two radiographs say that cannot be of one pair: other patients, other parts of the body."""

from __future__ import annotations

import re

from TomoRayLib.images.types import Radiograph, RadiographHeader

CERVICAL, THORACIC, LUMBAR = "cervical", "thoracic", "lumbar"
# Body Part Examined (0018,0015), its words and their beginnings: the standard's terms (PS3.16 annex L) and those in use
# beside them.
_REGIONS = {
    CERVICAL: re.compile(r"CERVIC|NECK|SKULL|HEAD"),
    THORACIC: re.compile(r"THORA|DORSAL|DORSO|CHEST|LUNG|STERNUM|\bRIB"),
    LUMBAR: re.compile(r"LUMB|ABDOMEN|PELVIS|SACRUM|\bHIP"),
}
_LETTERS = {"C": CERVICAL, "T": THORACIC, "D": THORACIC, "L": LUMBAR, "S": LUMBAR}
_ABBREVIATION = re.compile(r"\b((?:[CTDLS] ?){1,4})SPINE\b")  # LSPINE, L SPINE, TLSPINE
_WHOLE = re.compile(r"\b(?:WHOLE|FULL|TOTAL|ENTIRE|COMPLETE) ?(?:SPINE|BODY)|SCOLIOSIS")
_BY_CT = re.compile(r"\bCT ")  # names the machine; CTSPINE is where neck and chest meet


def header_warnings(ap: Radiograph, lateral: Radiograph) -> list[str]:
    """Return a sentence if two radiographs are of different patients, and one if of different parts of the body.

    Neither Patient ID nor name is told, or known here: only whether they are the same.
    """
    return [*_patient_warnings(ap.header, lateral.header), *_body_part_warnings(ap.header, lateral.header)]


def _patient_warnings(ap: RadiographHeader, lateral: RadiographHeader) -> list[str]:
    known = dict(lateral.patient_tokens)
    different = [name for name, token in ap.patient_tokens if known.get(name, token) != token]
    if not different:
        return []
    differ = "differs" if len(different) == 1 else "differ"
    return [
        f"AP and lateral seem to be of different patients: {' and '.join(different)} {differ} between the two files. "
        "Choose two radiographs of one patient, or make sure that it is the same person."
    ]


def _body_part_warnings(ap: RadiographHeader, lateral: RadiographHeader) -> list[str]:
    parts = regions_of(ap.body_part), regions_of(lateral.body_part)
    if not all(parts) or parts[0] & parts[1]:
        return []
    return [
        f"AP and lateral seem to show different parts of the body: Body Part Examined (0018,0015) is {ap.body_part} in "
        f"the AP and {lateral.body_part} in the lateral. Choose two radiographs of the same part."
    ]


def regions_of(body_part: str | None) -> set[str]:
    """Return the regions of the spine that a body part shows; empty for one that says nothing of them, as SPINE."""
    text = _BY_CT.sub("", " ".join(re.findall("[A-Z]+", (body_part or "").upper())))
    if _WHOLE.search(text):
        return set(_REGIONS)
    abbreviated = {_LETTERS[letter] for found in _ABBREVIATION.findall(text) for letter in found.replace(" ", "")}
    return abbreviated | {region for region, words in _REGIONS.items() if words.search(text)}
