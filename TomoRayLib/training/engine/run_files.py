"""The files of a run, written whole or with a sentence: checkpoints, and tables that grow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.output_errors import output_error


def write_checkpoint(path: Path, content: Any) -> None:
    """Write ``content`` as torch does, in the place of an earlier file only if all of it could be written.

    Raises OutputError if it could not; the earlier file is then as it was.
    """
    # Through a file of Python's: of its own torch says neither that the disk is full nor any other reason
    with write_atomically(path) as partial, told(path), partial.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def append(path: Path, text: str) -> None:
    """Append a text; of one that could not be written whole nothing stays. Raises OutputError in that case."""
    left = text.encode("utf-8")
    with told(path), path.open("ab", buffering=0) as file:
        whole = file.tell()
        try:
            while left:
                left = left[file.write(left) :]
        except OSError:
            file.truncate(whole)
            raise


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn the operating system's errors in a block that writes ``path`` into OutputErrors."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error
