"""SHA-256 of files and bytes, as hexadecimal text."""

from __future__ import annotations

import hashlib
from pathlib import Path

CHUNK_BYTES = 2**20


def sha256_of_bytes(content: bytes) -> str:
    """SHA-256 of ``content``: 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(*paths: Path) -> str:
    """SHA-256 of a file's content, or of several files' one after another. Raises OSError if one cannot be read."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
