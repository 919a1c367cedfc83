"""Count what a synthesis, a cohort's case and a click cross: files and rooms, and calls from one room into another.

    python Testing/Benchmarks/rooms.py [--flow synthesize|evaluate|click] [--calls] [--library FOLDER]

Each flow runs for real, on the built-in phantom. A room is a package of TomoRayLib (in ``slicer`` and ``training`` the
packages below), or a file of the top level. A room's floor is 1 above the highest room that it imports. A crossing is a
pair of functions in two rooms of which the first was seen to call the second; it goes up if the called room has the
higher floor, as a callback does. ``--library`` names another checkout to look at, for a comparison.
"""

from __future__ import annotations

import argparse
import ast
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

HOUSE = Path(__file__).resolve().parents[2]
WITH_ROOMS = ("slicer", "training")


class Call(NamedTuple):
    """One function that called another one: the files (relative to TomoRayLib) and the functions' names."""

    caller_file: str
    caller: str
    file: str
    function: str


def room_of(file: str) -> str:
    """The room of a file: ``jobs/synthesis.py`` -> ``jobs``, ``slicer/panel/panel.py`` -> ``slicer/panel``."""
    parts = Path(file).parts
    if len(parts) == 1:
        return Path(file).stem
    return "/".join(parts[:2]) if parts[0] in WITH_ROOMS and len(parts) > 2 else parts[0]


def floors_of(library: Path) -> dict[str, int]:
    """The floor of every room, from the imports of all files, those inside functions included."""
    below: dict[str, set[str]] = {}
    for path in library.rglob("*.py"):
        if path.name == "__init__.py":
            continue
        mine = below.setdefault(room_of(str(path.relative_to(library))), set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("TomoRayLib"):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                mine |= {room for name in names if (room := _room_of_import(library, name))}

    @cache
    def floor(room: str) -> int:
        return 1 + max((floor(other) for other in below.get(room, ()) if other != room), default=0)

    return {room: floor(room) for room in below}


def _room_of_import(library: Path, name: str) -> str | None:
    parts = name.split(".")[1:]
    for end in range(len(parts), 0, -1):
        stem = library.joinpath(*parts[:end])
        if stem.with_suffix(".py").is_file():
            return room_of(str(stem.with_suffix(".py").relative_to(library)))
    return None


@contextmanager
def watched(library: Path, calls: set[Call]) -> Any:
    """While the block runs, add every call from one function of ``library`` to another one to ``calls``."""
    prefix = str(library) + "/"
    names: dict[CodeType, str | None] = {}

    def file_of(code: CodeType) -> str | None:
        if code not in names:
            inside = code.co_filename.startswith(prefix) and "__init__" not in code.co_filename
            names[code] = code.co_filename.removeprefix(prefix) if inside else None
        return names[code]

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or (file := file_of(frame.f_code)) is None:
            return
        above = frame.f_back
        while above is not None and file_of(above.f_code) is None:  # through Qt, contextlib, a worker's main
            above = above.f_back
        if above is not None and "<module>" not in (above.f_code.co_name, frame.f_code.co_name):
            caller_file = file_of(above.f_code)
            calls.add(Call(str(caller_file), above.f_code.co_name, file, frame.f_code.co_name))

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


def synthesize(folder: Path, watch: Callable[[], Any]) -> None:
    """The command: a CT and its vertebrae to a results folder with report."""
    from TomoRayLib.cli.commands import app

    ct, labels = _phantom(folder)
    command = ["synthesize", "--ct", ct, "--segmentation", labels, "--out", str(folder / "out"), "--json"]
    with redirect_stdout(StringIO()), watch():
        app(args=command, standalone_mode=False)


def evaluate(folder: Path, watch: Callable[[], Any]) -> None:
    """The command: a cohort of one case to its tables."""
    from TomoRayLib.cli.commands import app

    cohort = folder / "cohort"
    cohort.mkdir()
    for path, name in zip(_phantom(folder), ("case_ct.nrrd", "case_seg.nrrd"), strict=True):
        Path(path).rename(cohort / name)
    command = ["evaluate", str(cohort), "--out", str(folder / "tables"), "--json"]
    with redirect_stdout(StringIO()), watch():
        app(args=command, standalone_mode=False)


def click(folder: Path, watch: Callable[[], Any]) -> None:
    """The panel, in Slicer's process: from the click on Synthesize to the case in the scene. The worker is another
    process, whose flow is ``synthesize``."""
    sys.path[:0] = [str(HOUSE / "Testing"), str(HOUSE / "Testing" / "Python")]
    from support import panel_driver as drive

    host = drive.host()
    host.window.show()
    panel = host.open_module("TomoRay")
    drive.click(panel.ui.sampleButton)
    drive.wait_for_end(panel, 600)
    with watch():
        drive.click(panel.ui.synthesizeButton)
        said = drive.wait_for_end(panel, 600)
    host.close_module("TomoRay")
    if not said.startswith("Done"):
        raise SystemExit(said)


def _phantom(folder: Path) -> tuple[str, str]:
    from TomoRayLib.images.writing import write_volume
    from TomoRayLib.jobs.demonstration_phantom import phantom_volumes

    paths = str(folder / "ct.nrrd"), str(folder / "labels.nrrd")
    for path, volume in zip(paths, phantom_volumes(), strict=True):
        write_volume(path, volume)
    return paths


FLOWS = {"synthesize": synthesize, "evaluate": evaluate, "click": click}


def main() -> None:
    """Run the flows asked for and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flow", choices=FLOWS, action="append", help="only this one; may be given several times")
    parser.add_argument("--calls", action="store_true", help="print every crossing too")
    parser.add_argument("--library", type=Path, default=HOUSE / "TomoRayLib", help="another checkout's TomoRayLib")
    arguments = parser.parse_args()
    library = arguments.library.resolve()
    sys.path.insert(0, str(library.parent))
    floors = floors_of(library)
    for name in arguments.flow or FLOWS:
        calls: set[Call] = set()
        with tempfile.TemporaryDirectory() as folder:
            FLOWS[name](Path(folder), lambda calls=calls: watched(library, calls))
        report(name, calls, floors, arguments.calls)


def report(name: str, calls: set[Call], floors: dict[str, int], every: bool) -> None:
    """Print what one flow crossed."""
    files = {call.file for call in calls} | {call.caller_file for call in calls}
    crossings = sorted(call for call in calls if room_of(call.file) != room_of(call.caller_file))
    up = [call for call in crossings if floors[room_of(call.file)] > floors[room_of(call.caller_file)]]
    pairs = {(room_of(call.caller_file), room_of(call.file)) for call in crossings}
    print(
        f"{name}: {len(files)} files in {len({room_of(file) for file in files})} rooms; {len(crossings)} crossings "
        f"between {len(pairs)} pairs of rooms, {len(up)} of them up"
    )
    for call in crossings if every else ():
        mark = "up  " if call in up else "    "
        print(f"  {mark}{call.caller_file}:{call.caller} -> {call.file}:{call.function}")


if __name__ == "__main__":
    main()
