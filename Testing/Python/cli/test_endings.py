"""The command's ends: Ctrl-C and termination from its first moments, a reader that goes away, a full output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes as POSIX has them")

REPOSITORY = Path(__file__).resolve().parents[3]
TOMORAY = (sys.executable, "-m", "TomoRayLib.cli")


def hear_interrupts() -> None:
    """A shell that runs the tests in the background has their children ignore Ctrl-C, and ``nohup`` SIGHUP."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("number", "sentence", "code"),
    [
        (signal.SIGINT, "Interrupted; nothing was written.", 130),
        (signal.SIGTERM, "Terminated; nothing was written.", 143),
        (signal.SIGHUP, "Terminated; nothing was written.", 143),
    ],
)
def test_a_signal_while_modules_are_imported_ends_it_with_a_sentence(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, number: int, sentence: str, code: int, as_json: bool
) -> None:
    """Sent as soon as the process hears signals; typer's import takes as long as that needs."""
    slow = tmp_path_factory.mktemp("slow")
    (slow / "typer.py").write_text("import time; time.sleep(600)\n", encoding="utf-8")
    command = [*TOMORAY, "demo", "--offline", "--out", str(tmp_path / "out"), *(["--json"] if as_json else [])]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(slow), str(REPOSITORY)])},
    ) as process:
        heard = 1 << (signal.SIGHUP - 1)  # the last one that it begins to hear
        while not int(status_of(process.pid)["SigCgt"], 16) & heard:
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    if as_json:
        assert [json.loads(line) for line in out.splitlines()] == [
            {"event": "error", "message": sentence, "code": code}
        ]
    else:
        assert (out, err) == ("", f"{sentence}\n")
    assert list(tmp_path.iterdir()) == []


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_a_reader_that_goes_away_ends_nothing() -> None:
    process = subprocess.Popen([*TOMORAY, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    assert (process.wait(60), err.strip()) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [("models",), ("models", "--json"), ("--help",)])
def test_an_output_that_is_full_is_a_sentence(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*TOMORAY, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 120
    assert done.stderr.strip().startswith("Standard output could not be written")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_error_output_that_is_full_changes_nothing() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [*TOMORAY, "project", os.devnull, "--out", os.devnull]
        refused = subprocess.run(command, stderr=full, capture_output=False, timeout=60, check=False)
    assert refused.returncode == 2
