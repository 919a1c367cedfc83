"""Events as lines of JSON: the lines that Slicer and users of ``--json`` read."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.jobs.events import Event, ExitCode, Failed, Finished, Note, StageBegun, Warned, from_json, to_json
from TomoRayLib.jobs.failures import failed_by, run_guarded

LINES: list[tuple[Event, str]] = [
    (
        StageBegun("Reading", 1, 6, 24.5),
        '{"event": "stage", "stage": "Reading", "number": 1, "of": 6, "seconds_left": 24.5}',
    ),
    (
        StageBegun("Fetching", 1, 1),
        '{"event": "stage", "stage": "Fetching", "number": 1, "of": 1, "seconds_left": null}',
    ),
    (Note("resampled"), '{"event": "note", "text": "resampled"}'),
    (Warned("inverted?", "invert"), '{"event": "warning", "text": "inverted?", "field": "invert"}'),
    (
        Finished({"folder": "out", "files": ["ct.nrrd"], "metrics": None, "seconds": 1.5}),
        '{"event": "result", "folder": "out", "files": ["ct.nrrd"], "metrics": null, "seconds": 1.5}',
    ),
    (Failed("no file", ExitCode.INPUT), '{"event": "error", "message": "no file", "code": 2}'),
    (
        Failed("broken", ExitCode.INTERNAL_ERROR, None, "Traceback"),
        '{"event": "error", "message": "broken", "code": 1, "details": "Traceback"}',
    ),
]


@pytest.mark.parametrize(("event", "line"), LINES)
def test_an_event_is_one_line_of_json_and_comes_back_from_it(event: Event, line: str) -> None:
    assert json.loads(to_json(event)) == json.loads(line)
    assert "\n" not in to_json(event)
    assert from_json(line) == event


@pytest.mark.parametrize(
    "line",
    [
        "",
        "some library's chatter",
        "[1, 2]",
        "7",
        '{"no": "event"}',
        '{"event": "weather"}',
        '{"event": "note"}',
        '{"event": "error", "message": "m", "code": 99}',
    ],
)
def test_any_other_line_holds_no_event(line: str) -> None:
    assert from_json(line) is None


def test_keys_of_a_newer_worker_are_ignored() -> None:
    assert from_json('{"event": "note", "text": "t", "colour": "red"}') == Note("t")


@pytest.mark.parametrize(
    ("error", "code", "field"),
    [
        (InputError("wrong", field="isocenter_mm"), 2, "isocenter_mm"),
        (OSError("Input/output error"), 1, None),
        (MemoryError(), 3, "device"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), 3, "device"),
        (ValueError("high <= 0"), 1, None),
        (KeyboardInterrupt(), 130, None),
        (SystemExit(143), 143, None),
    ],
)
def test_every_failure_becomes_one_event_and_an_exit_code(error: BaseException, code: int, field: str | None) -> None:
    events: list[Event] = []

    def work() -> None:
        raise error

    assert run_guarded(work, events.append) == code
    (last,) = events
    assert isinstance(last, Failed)
    assert (last.code, last.field) == (code, field)


def test_a_failure_of_the_program_names_its_kind_and_keeps_the_traceback() -> None:
    failure = failed_by(ZeroDivisionError("somewhere deep"))
    assert "Internal error in TomoRay (ZeroDivisionError: somewhere deep)" in failure.message
    assert "ZeroDivisionError" in failure.details


def test_the_worker_can_report_without_any_package() -> None:
    code = "import sys; sys.modules.update(numpy=None, torch=None, SimpleITK=None); import TomoRayLib.worker"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_projection_beyond_memory_ends_with_the_code_for_memory() -> None:
    """The projector says in its own words what it needs; the exit code is that of memory, not of a wrong input."""

    def work() -> None:
        try:
            raise MemoryError("Unable to allocate 3.00 TiB")
        except MemoryError as error:
            raise InputError("Projecting needs some 3,145,728 MB.") from error

    events: list[Event] = []
    assert run_guarded(work, events.append) is ExitCode.OUT_OF_MEMORY
    assert events == [
        Failed("Projecting needs some 3,145,728 MB.", ExitCode.OUT_OF_MEMORY, None, "Unable to allocate 3.00 TiB")
    ]
