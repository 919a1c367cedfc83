"""What libraries print is kept away from the terminal, and only within the block."""

from __future__ import annotations

import os
import warnings

import pytest

from TomoRayLib.images.quiet import no_stderr, no_warnings


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
