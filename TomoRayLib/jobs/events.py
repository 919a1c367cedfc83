"""The events of a running job, as values here and as lines of JSON between processes, and how a job ends.

Only the standard library is imported: Slicer reads these events in its own process.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

# Environment variable of a worker whose standard input is a pipe: it ends when its parent's end of the pipe closes.
STOP_WITH_PARENT = "TOMORAY_STOP_WITH_PARENT"
DELETE_WITH_PARENT = "TOMORAY_DELETE_WITH_PARENT"  # a temporary folder that such a worker then deletes


class ExitCode(IntEnum):
    """The exit codes of ``tomoray`` and of the worker."""

    DONE = 0
    INTERNAL_ERROR = 1
    INPUT = 2  # an input or an output place that cannot be used
    OUT_OF_MEMORY = 3
    EMPTY = 4  # the results are written, but no vertebra is in them
    INCOMPLETE = 5  # the tables are written, but not every case has a score, and that was asked for
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True)
class StageBegun:
    """A stage begins: the ``number``-th ``of`` so many. ``seconds_left`` is for the whole job, None if unknown."""

    kind: ClassVar[str] = "stage"
    stage: str
    number: int
    of: int
    seconds_left: float | None = None


@dataclass(frozen=True)
class Note:
    """A sentence about how something was done. ``field`` as in ``InputError``."""

    kind: ClassVar[str] = "note"
    text: str
    field: str | None = None


@dataclass(frozen=True)
class Warned:
    """A sentence about something that may be wrong. ``field`` as in ``InputError``; ``details`` are for a log."""

    kind: ClassVar[str] = "warning"
    text: str
    field: str | None = None
    details: str | None = None


@dataclass(frozen=True)
class Finished:
    """The job is done. ``values`` are its results by name: folder, files, metrics, seconds, ..."""

    kind: ClassVar[str] = "result"
    values: Mapping[str, Any]

    @property
    def code(self) -> ExitCode:
        """``EMPTY`` for a synthetic CT without any bone, ``INCOMPLETE`` for a cohort that was to be scored whole
        and is not, else ``DONE``."""
        if self.values.get("incomplete"):
            return ExitCode.INCOMPLETE
        return ExitCode.EMPTY if self.values.get("empty") else ExitCode.DONE


@dataclass(frozen=True)
class Failed:
    """The job has failed: a sentence for the user, the exit code, the ``field`` to change, details for a report.

    ``package`` is the Python package that is not installed or cannot be loaded, if that is why, and ``fault`` what is
    wrong with it or with the GPU: a value of ``base.package_faults.Fault`` or ``base.gpu_faults.GpuFault``.
    """

    kind: ClassVar[str] = "error"
    message: str
    code: ExitCode
    field: str | None = None
    details: str = ""
    package: str | None = None
    fault: str | None = None


class Ending:
    """Passes events on to ``emit`` and keeps the exit code of the last ``Finished``."""

    def __init__(self, emit: Emit) -> None:
        self.emit, self.code = emit, ExitCode.DONE

    def __call__(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.code = event.code
        self.emit(event)


Event = StageBegun | Note | Warned | Finished | Failed
Emit = Callable[[Event], None]


def tell(emit: Emit, notes: Iterable[str], warnings: Iterable[str]) -> None:
    """Emit sentences as notes and as warnings."""
    for note in notes:
        emit(Note(note))
    for warning in warnings:
        emit(Warned(warning))


_KINDS: dict[str, type[StageBegun] | type[Note] | type[Warned] | type[Failed]] = {
    kind.kind: kind for kind in (StageBegun, Note, Warned, Failed)
}


def to_json(event: Event) -> str:
    """Return one event as one line of JSON. Values that are None or empty are left out."""
    if isinstance(event, Finished):
        return json.dumps({"event": event.kind, **event.values})
    values = {item.name: getattr(event, item.name) for item in dataclasses.fields(event)}
    always = ("seconds_left",) if isinstance(event, StageBegun) else ()
    kept = {name: value for name, value in values.items() if value not in (None, "") or name in always}
    return json.dumps({"event": event.kind, **kept})


def from_json(line: str) -> Event | None:
    """Return the event in a line, None for any other text that a process prints. Unknown keys are ignored."""
    try:
        content = json.loads(line)
    except json.JSONDecodeError:
        return None
    name = content.pop("event", None) if isinstance(content, dict) else None
    if name == Finished.kind:
        return Finished(content)
    if name not in _KINDS:
        return None
    kind: Any = _KINDS[name]
    known = {item.name for item in dataclasses.fields(kind)}
    try:
        values = {key: value for key, value in content.items() if key in known}
        if kind is Failed:
            values["code"] = ExitCode(values["code"])
        event: Event = kind(**values)
    except (TypeError, ValueError, KeyError):
        return None
    return event
