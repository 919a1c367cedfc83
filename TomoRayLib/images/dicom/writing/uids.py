"""UIDs of new DICOM objects: of the root 2.25 (a UUID, PS3.5 B.2), made from the content that they name."""

from __future__ import annotations

import hashlib
import uuid

from pydicom.uid import UID

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://tomoray/dicom")


def seed_of(*content: bytes) -> str:
    """Return a hash of everything that the objects of one result hold.

    The time of making belongs to the content: then two objects have one UID exactly if they are the same byte by byte.
    """
    digest = hashlib.sha256()
    for part in content:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def uid_from(seed: str, role: str) -> UID:
    """Return the UID of what plays ``role`` ("study", "ct/17") in the result with this seed."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, f'{seed}/{role}').int}")
