"""Whether two files are of one patient, without keeping who that is.

Patient ID and name are hashed with a key that this process makes up and keeps to itself: the tokens can be compared
here, and mean nothing anywhere else.
"""

from __future__ import annotations

import hashlib
import re
import secrets

import pydicom

from TomoRayLib.images.dicom.header import value_of

_KEY = secrets.token_bytes(32)
_IDENTITIES = {"PatientID": "Patient ID (0010,0020)", "PatientName": "Patient's Name (0010,0010)"}


def patient_tokens(dataset: pydicom.Dataset) -> tuple[tuple[str, bytes], ...]:
    """Return (attribute, token) for Patient ID and Patient's Name, as far as they are stated.

    Case, spaces and the separators of a name's parts do not count.
    """
    found = []
    for keyword, name in _IDENTITIES.items():
        text = re.sub(r"[\s^=]+", " ", str(value_of(dataset, keyword) or "")).strip().casefold()
        if text:
            found.append((name, hashlib.blake2b(text.encode("utf-8"), key=_KEY).digest()))
    return tuple(found)
