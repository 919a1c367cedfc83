"""Text that is given as a file: read whole, or refused in a sentence before anything waits for it or fills memory."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

LARGEST_TEXT = 2**26  # bytes; the largest list or geometry in use has a hundredth of it


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """Return the text of a file in UTF-8, a mark at its beginning left out.

    Args:
        path: The file; a link to one is followed.
        largest: Bytes that it may have.

    Raises:
        OSError: For a file that is not there or cannot be read, and for what is no file: a device, pipe or socket,
            which might never end.
        ValueError: For a longer file, and for one in another encoding.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(21, "Is a directory", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"it is a device, pipe or socket and no file: {path}")
    if status.st_size > largest:
        raise ValueError(f"it has {status.st_size / 1e6:.0f} MB, where at most {largest / 1e6:.0f} MB are read")
    return path.read_text(encoding="utf-8-sig")


def json_value(text: str) -> Any:
    """Return the value in a JSON text.

    Raises ValueError for other text, for one nested deeper than Python reads, and for numbers that it does not read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise ValueError(f"it holds a number that cannot be read ({error})") from None


def read_json(path: Path) -> Any:
    """Return the value in a JSON file. Raises OSError and ValueError as ``read_text`` and ``json_value`` do."""
    return json_value(read_text(path))
