"""Room on the disk that is held until the end, so that the tables of what is done can be written when it is full."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

RESERVE_BYTES = 24 * 1024 * 1024
_NAME = ".reserve"


class DiskReserve:
    """A file of ``RESERVE_BYTES`` in a folder, until ``release``. Without room for it nothing is held."""

    def __init__(self, folder: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self.path: Path | None = folder / f"{_NAME}-{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self.path.open("wb") as file:
                for _ in range(max(1, size_bytes // 2**20)):
                    file.write(os.urandom(2**20))  # a disk that compresses would hold nothing for zeros
        except OSError:
            self.release()

    def release(self) -> None:
        """Give the room back."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
        self.path = None
