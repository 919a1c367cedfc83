"""Room on the disk that is held until the end, so that the tables of what is done can be written when it is full."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

RESERVE_BYTES = 24 * 1024 * 1024


class DiskReserve:
    """``RESERVE_BYTES`` in a folder, until ``release`` or the end of the process, however it ends: the file has no
    name. Without room for it nothing is held."""

    def __init__(self, folder: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self._file: IO[bytes] | None = None
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, prefix=".reserve-", buffering=0)  # noqa: SIM115
            try:
                for _ in range(max(1, size_bytes // 2**20)):
                    self._file.write(os.urandom(2**20))  # a disk that compresses would hold nothing for zeros
            except OSError:
                self.release()
                raise

    @property
    def is_held(self) -> bool:
        """False after ``release``, and if there was no room."""
        return self._file is not None

    def release(self) -> None:
        """Give the room back."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()
