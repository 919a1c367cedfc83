"""Libraries that a damaged file can crash read in a process of their own, whose end is a sentence here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.dicom_syntaxes import a_picture_file
from TomoRayLib.base.errors import InputError
from TomoRayLib.images import contained
from TomoRayLib.images.contained import close_reading_process, read_contained
from TomoRayLib.images.files import read_radiograph
from TomoRayLib.images.simpleitk_files import read_image, read_information

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes to wait on")


@pytest.fixture
def a_file(tmp_path: Path) -> Path:
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetMetaData("TomoRay.note", "kept")
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    return tmp_path / "ct.nrrd"


def pid_of_reader() -> int:
    process = contained._process._process
    assert process is not None
    return process.pid


def test_an_image_comes_back_whole(a_file: Path) -> None:
    image = read_image(a_file)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).ravel(), np.arange(60))
    assert image.GetSpacing() == (1.0, 2.0, 3.0)
    assert image.GetMetaData("TomoRay.note") == "kept"
    assert read_information(a_file).size == (5, 4, 3)


def test_one_process_serves_many_files(a_file: Path) -> None:
    read_image(a_file)
    first = pid_of_reader()
    read_image(a_file)
    assert pid_of_reader() == first != os.getpid()


@pytest.mark.parametrize("reader", ["image", "gdcm"])
def test_a_crash_of_a_library_is_a_sentence_and_the_next_file_is_read(
    a_file: Path, tmp_path: Path, reader: str
) -> None:
    """The reader waits on a pipe, and gets the signal that a fault in its memory would send."""
    os.mkfifo(tmp_path / "waits.nrrd")
    read_image(a_file)
    victim = pid_of_reader()
    timer = threading.Timer(0.5, lambda: os.kill(victim, signal.SIGSEGV))
    timer.start()
    with pytest.raises(InputError, match=rf"waits\.nrrd: .*crashed on it \(signal {int(signal.SIGSEGV)}\)"):
        read_contained(reader, tmp_path / "waits.nrrd")
    assert read_image(a_file).GetSize() == (5, 4, 3)
    assert pid_of_reader() != victim


def test_a_reader_that_does_not_end_is_ended(a_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contained, "LONGEST_S", 0.5)
    os.mkfifo(tmp_path / "waits.nrrd")
    with pytest.raises(InputError, match="did not end"):
        read_contained("image", tmp_path / "waits.nrrd")


def test_a_compressed_radiograph_is_decoded_outside_of_this_process(tmp_path: Path) -> None:
    path = a_picture_file(tmp_path / "ap.dcm", "JPEG Lossless")
    close_reading_process()
    read_radiograph(path)
    assert pid_of_reader() != os.getpid()


def test_the_process_ends_with_its_last_owner(a_file: Path) -> None:
    read_image(a_file)
    victim = pid_of_reader()
    close_reading_process()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and Path(f"/proc/{victim}").exists():
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(victim, 0)


def test_a_forked_process_reads_while_another_thread_of_its_parent_is_reading(a_file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "waits.nrrd")
    code = """
import os, signal, sys, threading
from pathlib import Path
from TomoRayLib.images import contained
from TomoRayLib.images.simpleitk_files import read_image
signal.alarm(100)
good, waits = map(Path, sys.argv[1:])
read_image(good)
threading.Thread(target=contained.read_contained, args=("image", waits), daemon=True).start()
while not contained._process._lock.locked(): pass
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if read_image(good).GetSize() == (5, 4, 3) else 1)
status = os.waitpid(child, 0)[1]
os._exit(os.waitstatus_to_exitcode(status) & 127)
"""
    command = [sys.executable, "-c", code, str(a_file), str(tmp_path / "waits.nrrd")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_does_not_end_is_ended_though_nobody_is_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "waits.nrrd")
    code = "from TomoRayLib.images import reading_process; reading_process.LONGEST_S = 1; reading_process.main()"
    request = json.dumps({"reader": "image", "path": str(tmp_path / "waits.nrrd")}) + "\n"
    done = subprocess.run([sys.executable, "-c", code], input=request.encode(), check=False, timeout=60)
    assert done.returncode == -signal.SIGALRM


@pytest.mark.skipif(os.name != "posix", reason="names of bytes that are no text")
def test_a_name_that_is_no_text_is_refused_and_not_called_damaged(a_file: Path, tmp_path: Path) -> None:
    named = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.nrrd"))
    try:
        named.write_bytes(a_file.read_bytes())
    except OSError:
        pytest.skip("this disk takes no such name")
    with pytest.raises(InputError, match="expected a name in UTF-8 for ITK"):
        read_contained("image", named)
