"""Text given as a file: what might never end or fill memory is refused, and JSON that Python does not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.memory import available_memory_bytes
from TomoRayLib.base.text_files import json_value, read_text
from TomoRayLib.base.toml_files import toml_values

DEEP = 200_000


def test_text_is_read_without_the_mark_at_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfone")
    assert read_text(tmp_path / "names.txt") == "one"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="device, pipe or socket"):
        read_text(tmp_path / "pipe")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device on this system")
def test_a_device_that_never_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="device, pipe or socket"):
        read_text(tmp_path / "link.json")


def test_a_file_longer_than_any_text_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "long.txt").open("wb") as file:
        file.truncate(2 * 10**6)
    with pytest.raises(ValueError, match="2 MB, where at most 1 MB"):
        read_text(tmp_path / "long.txt", largest=10**6)


def test_json_nested_deeper_than_python_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        json_value("[" * DEEP + "]" * DEEP)


def test_a_number_of_more_digits_than_python_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="a number that cannot be read"):
        json_value("9" * 5000)


@pytest.mark.parametrize("text", ["a = " + "[" * DEEP, "a = " + "9" * 5000, 'a = "\xff"'])
def test_toml_that_cannot_be_read_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.toml is no TOML file"):
        toml_values(tmp_path / "a.toml")


def test_a_message_keeps_its_beginning_and_end_whatever_was_in_a_file() -> None:
    text = str(InputError("a.nrrd: expected a number, got " + "9" * 10**6 + "; export it again."))
    assert len(text) < 2100
    assert text.startswith("a.nrrd: expected a number")
    assert text.endswith("export it again.")


def test_available_memory_is_a_part_of_the_machines() -> None:
    free = available_memory_bytes()
    assert free is not None
    assert 10**7 < free < 2**44
