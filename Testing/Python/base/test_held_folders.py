"""Temporary folders are swept by the next process once theirs is dead, and never those of a live one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a killed process is made by a signal")

HOLDER = """
import sys, time
from TomoRayLib.base.held_folders import private_folder
with private_folder() as folder:
    (folder / "mask.nrrd").write_text("a patient")
    print(folder, flush=True)
    if sys.argv[1:]:
        time.sleep(600)
"""


def holder(temporary: Path, *arguments: str) -> tuple[subprocess.Popen[str], Path]:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_the_folder_of_a_killed_process_goes_and_that_of_a_live_one_stays(tmp_path: Path) -> None:
    (tmp_path / "tomoray-private-results").mkdir()  # a user's, whatever its name
    killed, left = holder(tmp_path, "stay")
    live, used = holder(tmp_path, "stay")
    assert left.is_dir()
    killed.kill()
    killed.wait(20)
    assert left.is_dir()
    third, gone = holder(tmp_path)
    third.wait(20)
    assert {path.name for path in tmp_path.iterdir()} == {"tomoray-private-results", used.name}
    assert not gone.exists()
    assert (used / "mask.nrrd").is_file()
    live.kill()
    live.wait(20)


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    process, folder = holder(tmp_path, "stay")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    process.kill()
    process.wait(20)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a second user")
def test_that_of_another_user_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "tomoray-private-1-0123abcd"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    process, _ = holder(tmp_path)
    process.wait(20)
    assert [path.name for path in tmp_path.iterdir()] == [theirs.name]


def test_a_link_with_such_a_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "x").write_text("x", encoding="utf-8")
    (tmp_path / "tomoray-private-1-0123abcd").symlink_to("precious")
    process, _ = holder(tmp_path)
    process.wait(20)
    assert (tmp_path / "precious" / "x").is_file()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forked")
def test_a_lock_that_is_released_is_free_though_a_forked_process_inherited_it(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from TomoRayLib.base.folder_locks import FolderLock
folder = Path(sys.argv[1])
lock = FolderLock(folder)
child = os.fork()
if child == 0:
    signal.pause()
try:
    lock.release()
    FolderLock(folder).release()
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
