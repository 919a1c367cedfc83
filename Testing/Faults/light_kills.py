"""Kills at each file operation of ``staged_folder`` and ``write_atomically``, each in a process of its own.

    python Testing/Faults/light_kills.py FOLDER STRIDE

prints JSON: for each scene its trials, and a sentence for each that lost something. A process is forked for a trial and
kills itself at the n-th operation on a file; then the folder is read as a user would, and run into again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from operations import NEVER, at_operation, kill_self

from TomoRayLib.base.files import MANIFEST_NAME, recovered, staged_folder, write_atomically

State = dict[str, str]


@dataclass(frozen=True)
class Scene:
    """What is there before, what the killed process does, what may be there then, the next run and what that leaves:
    if not given, its own files and a user's."""

    kind: str
    prepare: Callable[[Path], None]
    act: Callable[[Path], None]
    allowed: tuple[State, ...]
    next_run: Callable[[Path], None]
    after_next_run: State | None = None


def killed(
    act: Callable[[Path], None], out: Path, number: int, only: Callable[[str], bool] = lambda event: True
) -> bool:
    """Do ``act`` in a process that is killed at its ``number``-th operation; False if it ended before."""
    child = os.fork()
    if child == 0:
        try:
            at_operation(number, out.parent, kill_self, only)
            act(out)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the process failed by itself")
    return os.WIFSIGNALED(status)


def write_run(out: Path, **contents: str) -> None:
    """A run that writes small files, some as the library does and some plainly; ``__`` in a name is a folder."""
    with staged_folder(out) as folder:
        for place, (name, text) in enumerate(contents.items()):
            target = folder / name.replace("__", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if place % 2:
                target.write_text(text, encoding="utf-8")
            else:
                with write_atomically(target) as partial:
                    partial.write_text(text, encoding="utf-8")


def state_of(out: Path) -> State:
    """What a user sees in a folder, with ``hidden`` for names that begin with a dot and are not the manifest's."""
    if not out.exists():
        return {}
    found = {}
    for path in out.rglob("*"):
        name = path.relative_to(out).as_posix()
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_file() and path.name != MANIFEST_NAME:
            found[name] = path.read_text(encoding="utf-8")
    return found


def visible(state: State) -> State:
    return {name: text for name, text in state.items() if not name.startswith(".")}


def _nothing(out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)


def _earlier_result(out: Path) -> None:
    write_run(out, ct="old", mask="old", deep__view="old", gone="old")
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    (out / "mask").write_text("mine, corrected", encoding="utf-8")
    (out / "report").write_text("mine", encoding="utf-8")
    (out.parent / "elsewhere").mkdir()
    (out / "dicom").symlink_to("../elsewhere")
    (out / "link").symlink_to("nowhere")


def _new_result(out: Path) -> None:
    write_run(out, ct="new", mask="new", report="new", deep__view="new", dicom__1="new", link="new")


def _third_result(out: Path) -> None:
    write_run(out, ct="third", mask="third")


MINE = {"notes.txt": "mine"}
BEFORE = {
    **MINE,
    **dict.fromkeys(("ct", "deep/view", "gone"), "old"),
    "mask": "mine, corrected",
    "report": "mine",
    "dicom": "-> ../elsewhere",
    "link": "-> nowhere",
}
KEPT = {
    **MINE,
    "mask.kept-1": "mine, corrected",
    "report.kept-1": "mine",
    "dicom.kept-1": "-> ../elsewhere",
    "link.kept-1": "-> nowhere",
}
FRESH = dict.fromkeys(("ct", "mask", "report", "deep/view", "dicom/1", "link"), "new")
THIRD = dict.fromkeys(("ct", "mask"), "third")


def _old_file(out: Path) -> None:
    out.mkdir(parents=True)
    (out / "file").write_text("old", encoding="utf-8")


def _one_file(out: Path) -> None:
    with write_atomically(out / "file") as partial:
        partial.write_text("new", encoding="utf-8")


def _recovery(out: Path) -> None:
    recovered(out)


def _half_published(out: Path) -> None:
    """A folder into which files were being moved when the process was killed: before the sixth of them."""
    _earlier_result(out)
    killed(_new_result, out, 6, lambda event: event == "os.rename" and any(out.glob(".partial-*/journal.json")))


EITHER = (BEFORE, {**FRESH, **KEPT})
NEW_FOLDER, SINGLE_FILE = "a new folder", "a single file"
OVER, AGAIN = "a folder with an earlier result and a user's files", "the recovery of a result that was half published"
SCENES = (
    Scene(NEW_FOLDER, _nothing, _new_result, ({}, FRESH), _third_result, THIRD),
    Scene(OVER, _earlier_result, _new_result, EITHER, _third_result),
    Scene(AGAIN, _half_published, _recovery, EITHER, _third_result),
    Scene(SINGLE_FILE, _old_file, _one_file, ({"file": "old"}, {"file": "new"}), _one_file, {"file": "new"}),
)


def trial(scene: Scene, folder: Path, number: int) -> tuple[bool, str]:
    """Kill a process at its ``number``-th operation; return whether it was, and a sentence if something was lost."""
    shutil.rmtree(folder, ignore_errors=True)
    out = folder / "out"
    scene.prepare(out)
    beside = {path.name for path in folder.iterdir()} - {"out"}
    if not killed(scene.act, out, number):
        return False, ""
    recovered(out)
    seen = visible(state_of(out))
    if seen not in scene.allowed:
        return True, f"{scene.kind}, operation {number}: {seen} is neither the earlier result nor the new one"
    killed(scene.next_run, out, NEVER)
    wanted = scene.after_next_run or {**THIRD, **MINE, **_users(seen)}
    left = state_of(out)
    if left != wanted:
        return True, f"{scene.kind}, operation {number}: {left} after the next run, expected {wanted}"
    around = {path.name for path in folder.iterdir()} - {"out"} - beside
    return True, f"{scene.kind}, operation {number}: {around} is left beside the folder" if around else ""


def _users(seen: State) -> State:
    """What is the user's after one more run: what was kept, or is kept by that run."""
    if any(name.endswith(".kept-1") for name in seen):
        return KEPT
    return {"report": "mine", "dicom": "-> ../elsewhere", "link": "-> nowhere", "mask.kept-1": "mine, corrected"}


def main() -> None:
    folder, stride = Path(sys.argv[1]), int(sys.argv[2])
    results = []
    for scene in SCENES:
        tried, lost, number = 0, [], 1
        while True:
            was_killed, sentence = trial(scene, folder / "trial", number)
            if not was_killed:
                break
            tried += 1
            lost += [sentence] if sentence else []
            number += stride
        results.append({"kind": scene.kind, "tried": tried, "lost": lost})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
