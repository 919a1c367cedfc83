"""Standard output and error that outlive their reader, and a full disk: what cannot be written is dropped."""

from __future__ import annotations

import io
import sys
from typing import Any, TextIO


class _Lasting(io.RawIOBase):
    """Writes to ``raw`` until that fails; then to nothing, and keeps the error."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def write(self, data: Any) -> int | None:
        if self.error is None:
            try:
                count: int | None = self._raw.write(data)
            except BlockingIOError:
                raise
            except OSError as error:
                self.error = error
            else:
                return count
        return len(data)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self._raw.isatty())

    def fileno(self) -> int:
        return int(self._raw.fileno())


_lasting: list[_Lasting] = []


def make_lasting() -> None:
    """Let a job go on if nobody reads its output any more, or a full disk takes none: its results are files."""
    sys.stdout, sys.stderr = _wrapped(sys.stdout), _wrapped(sys.stderr)


def lost_output() -> OSError | None:
    """Return why standard output could not be written; None if it was, or nobody wanted to read it."""
    error = _lasting[0].error if _lasting else None
    return None if isinstance(error, BrokenPipeError) else error


def _wrapped(stream: TextIO) -> TextIO:
    buffer = getattr(stream, "buffer", None)
    if buffer is None:  # closed, or a stand-in
        return stream
    stream.flush()
    raw = _Lasting(getattr(buffer, "raw", buffer))
    _lasting.append(raw)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=getattr(stream, "line_buffering", False),
        write_through=getattr(stream, "write_through", False),
    )
