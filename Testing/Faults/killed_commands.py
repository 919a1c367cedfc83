"""Real commands with a fault at a file operation or signals at times, and what a user finds afterwards.

    python Testing/Faults/killed_commands.py FAULT NUMBER FOLDER COUNT ARGUMENT ...

runs ``tomoray ARGUMENT ...``; at its ``NUMBER``-th operation on a file in ``FOLDER`` a ``FAULT`` of operations.py
happens to it. If ``COUNT`` is a path, the number of operations is written there at the end.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from operations import FAULTS, NEVER, at_operation

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "Testing" / "Python")]
MANIFEST = ".tomoray-files.json"
LIMIT_S = 300


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Fault:
    """A fault at the ``number``-th operation in ``root``, 0 for never; ``count`` is a file for their number."""

    number: int
    root: Path
    kind: str = "kill"
    count: Path | None = None


def environment(folder: Path, models: Path | None) -> dict[str, str]:
    """Return an environment with a temporary folder of its own, and the models of a folder."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    values = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(folder / "tmp")}
    values["TOMORAY_CACHE"] = str(folder / "cache")
    return values if models is None else {**values, "TOMORAY_MODELS": str(models)}


def hear_interrupts() -> None:
    """A shell that runs a campaign in the background has its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run_command(
    arguments: Sequence[str],
    values: dict[str, str],
    signals: Sequence[tuple[float, int]] = (),
    fault_at: Fault | None = None,
) -> Ended:
    """Run ``tomoray``.

    Args:
        arguments: Its arguments.
        values: Its environment.
        signals: Signals to send, each so many seconds after the one before.
        fault_at: What happens to it.
    """
    command = [sys.executable, "-m", "TomoRayLib.cli", *arguments]
    if fault_at is not None:
        count = str(fault_at.count or "")
        command = [sys.executable, __file__, fault_at.kind, str(fault_at.number), str(fault_at.root), count, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"}
    with subprocess.Popen(command, env=values, preexec_fn=hear_interrupts, **pipes) as process:  # type: ignore[call-overload]
        for delay_s, number in signals:
            try:
                process.wait(delay_s)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT_S)
    return Ended(process.returncode, out, err)


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of each file in a folder that is not hidden, and of the manifest."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    named = {path.relative_to(folder).as_posix(): path for path in files}
    seen = {name: path for name, path in named.items() if not name.startswith(".") or name == MANIFEST}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(seen.items())}


def data_of(folder: Path) -> dict[str, str]:
    """Return the hashes of volumes, pictures and surfaces: equal in two runs of one command."""
    return {name: sha for name, sha in contents(folder).items() if name.endswith((".nrrd", ".png", ".vtp", ".stl"))}


def is_whole(folder: Path, users: Sequence[str] = ()) -> bool:
    """Return whether a folder holds what its manifest names, as it says, and nothing but that and ``users``."""
    try:
        stamps = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return False
    there = set(contents(folder)) - {MANIFEST, *users}
    return there == set(stamps) and all(_stamp(folder / name) == stamp for name, stamp in stamps.items())


def rubbish(folder: Path) -> list[str]:
    """Return the hidden names in and below a folder, apart from manifests."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob(".*"))
    return sorted(name for name in names if not name.endswith(MANIFEST))


def tidied(out: Path, values: dict[str, str]) -> list[str]:
    """Begin a next run into ``out`` in a process of its own; return the rubbish that is left then, anywhere."""
    code = (
        "import sys; from TomoRayLib.base.files import check_writable; "
        "from TomoRayLib.base.held_folders import private_folder\n"
        "check_writable(sys.argv[1])\nwith private_folder(): pass"
    )
    subprocess.run([sys.executable, "-c", code, str(out)], env=values, check=True, timeout=LIMIT_S)
    temporary = [f"tmp/{path.name}" for path in Path(values["TMPDIR"]).iterdir() if path.name.startswith("tomoray")]
    return [*rubbish(out.parent), *temporary]


def fresh_copy(earlier: Path | None, folder: Path) -> Path:
    """Return the output folder of a new trial in an empty ``folder``: a copy of an earlier result, or none yet."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    out = folder / "out"
    if earlier is not None:
        shutil.copytree(earlier, out)
        (out / "notes.txt").write_text("mine", encoding="utf-8")
    return out


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def main() -> None:
    kind, number, root, count = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    sys.argv = ["tomoray", *sys.argv[5:]]
    from TomoRayLib.cli.start import run

    left = at_operation(number or NEVER, root, lambda arguments: FAULTS[kind](root, arguments))
    if count:
        atexit.register(lambda: Path(count).write_text(str(NEVER - left[0]), encoding="utf-8"))
    run()


if __name__ == "__main__":
    main()
