"""What libraries print is kept away from the terminal, and only within the block."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable

import PIL.Image
import pytest

from TomoRayLib.images.pictures.pillow_pixels import without_limit
from TomoRayLib.images.quiet import WhileAnyIsInside, no_stderr, no_warnings


def test_only_what_is_written_within_the_block_is_discarded(capfd: pytest.CaptureFixture[str]) -> None:
    with no_stderr():
        os.write(2, b"from a library")
    os.write(2, b"after it")
    assert capfd.readouterr().err == "after it"


def test_the_standard_error_comes_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="inside"), no_stderr():
        raise ValueError("inside")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_warnings_are_ignored_within_the_block_alone() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with no_warnings():
            warnings.warn("inside", stacklevel=1)
        warnings.warn("outside", stacklevel=1)
    assert [str(warning.message) for warning in heard] == ["outside"]


def one_within_the_other(block: WhileAnyIsInside, between: list[object], state: Callable[[], object]) -> None:
    """Enter the block, let another thread enter it, leave it first, note the ``state``, and let the other leave it."""
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with block():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with block():
        thread.start()
        assert entered.wait(10)
    between.append(state())
    leave.set()
    thread.join()


def test_the_last_thread_to_leave_brings_the_standard_error_back(capfd: pytest.CaptureFixture[str]) -> None:
    one_within_the_other(no_stderr, [], lambda: os.write(2, b"while the other reads"))
    os.write(2, b"after both")
    assert capfd.readouterr().err == "after both"


def test_the_last_thread_to_leave_brings_pillows_limit_back() -> None:
    limit, between = PIL.Image.MAX_IMAGE_PIXELS, []
    one_within_the_other(without_limit, between, lambda: PIL.Image.MAX_IMAGE_PIXELS)
    assert limit is not None
    assert (between, PIL.Image.MAX_IMAGE_PIXELS) == ([None], limit)


def test_the_last_thread_to_leave_brings_warnings_back() -> None:
    filters, between = list(warnings.filters), []
    one_within_the_other(no_warnings, between, lambda: warnings.filters[0][0])
    assert (between, list(warnings.filters)) == (["ignore"], filters)
