"""What the headers of two radiographs say that cannot be of one pair: other patients, other parts of the body."""

from __future__ import annotations

import re

from TomoRayLib.images.types import Radiograph, RadiographHeader

CERVICAL, THORACIC, LUMBAR = "cervical", "thoracic", "lumbar"
# Body Part Examined (0018,0015) by the words in it; the standard's terms (PS3.16 annex L) and those in use beside them.
_REGIONS = {
    CERVICAL: ("CSPINE", "CERVICAL", "NECK", "CTSPINE", "SKULL", "HEAD"),
    THORACIC: ("TSPINE", "THORA", "CHEST", "LUNG", "RIB", "DSPINE", "DORSAL", "TLSPINE", "CTSPINE", "STERNUM"),
    LUMBAR: ("LSPINE", "LSSPINE", "LUMB", "ABDOMEN", "PELVIS", "SACRUM", "TLSPINE", "HIP"),
}


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
    parts = _regions_of(ap.body_part), _regions_of(lateral.body_part)
    if not all(parts) or parts[0] & parts[1]:
        return []
    return [
        f"AP and lateral seem to show different parts of the body: Body Part Examined (0018,0015) is {ap.body_part} in "
        f"the AP and {lateral.body_part} in the lateral. Choose two radiographs of the same part."
    ]


def _regions_of(body_part: str | None) -> set[str]:
    """The regions of the spine that a body part shows; empty for one that says nothing of them, as SPINE."""
    letters = re.sub(r"[^A-Z]", "", (body_part or "").upper())
    return {region for region, words in _REGIONS.items() if any(word in letters for word in words)}
