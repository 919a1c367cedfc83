"""Disks that get full or read-only, or fail once, at each file operation of ``staged_folder`` and ``write_atomically``.

    python Testing/Faults/light_disks.py FOLDER STRIDE FAULT ...

prints JSON as light_kills.py does. ``FOLDER`` is a small disk of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from light_kills import NEW_FOLDER, SCENES, SINGLE_FILE, Scene, State, state_of, visible
from operations import FAULTS, FILLER, at_operation, fail_call, make_writable

from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.files import check_writable

DONE, REFUSED, WRONG, UNTOUCHED = 0, 2, 1, 9
CALLS = {"late": "replace", "unseen": "lstat"}
SENTENCES = {
    "fill": ("full disk",),
    "read-only": ("Read-only file system", "allowed to write"),
    **dict.fromkeys(("fail", *CALLS), ("Input/output error",)),
}
NOBODY = 65534


def in_process(act: Callable[[Path], None], out: Path, number: int, fault: str, disk: Path) -> int:
    """Do ``act`` in a process of its own, with a fault at its ``number``-th operation; return how it ended."""
    child = os.fork()
    if child == 0:
        code = WRONG
        try:
            left = _begin(fault, number, out.parent, disk)
            act(out)
            code = DONE if left[0] <= 0 else UNTOUCHED
        except OutputError as error:
            code = REFUSED if any(words in str(error) for words in SENTENCES[fault]) else WRONG
            if code == WRONG:
                os.write(2, f"{error}\n".encode())
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    return os.WEXITSTATUS(os.waitpid(child, 0)[1])


def _begin(fault: str, number: int, root: Path, disk: Path) -> list[int]:
    if fault in CALLS:
        return fail_call(CALLS[fault], number, root, is_done=fault == "late")
    return at_operation(number, root, lambda arguments: FAULTS[fault](disk, arguments))


def trial(scene: Scene, disk: Path, number: int, fault: str) -> tuple[bool, str]:
    """Let the disk fail at the ``number``-th operation; return whether it did, and a sentence if something was lost."""
    folder = disk / "trial"
    shutil.rmtree(folder, ignore_errors=True)
    out = folder / "out"
    scene.prepare(out)
    before, beside = state_of(out), {path.name for path in folder.iterdir()}
    code = in_process(scene.act, out, number, fault, disk)
    after = state_of(out)
    if fault == "read-only":
        make_writable(disk)
    else:
        (disk / FILLER).unlink(missing_ok=True)
    if code == UNTOUCHED:
        return False, ""
    name = f"{scene.kind}, {fault} at operation {number}"
    if code == WRONG:
        return True, f"{name}: no sentence"
    if fault == "read-only":  # nobody can clean there: the next run does
        check_writable(out)
        after = state_of(out)
        if visible(after) not in scene.allowed:
            return True, f"{name}: {after} is neither the earlier result nor the new one"
    elif visible(after) not in _allowed_after(code, scene, before, fault):
        return True, f"{name}: {after} after exit code {code}"
    elif fault not in ("fill", "read-only"):  # what failed may be to delete
        check_writable(out)
        after = state_of(out)
    around = {path.name for path in folder.iterdir()} - beside - {"out"}
    hidden = [one for one in after if one.startswith(".")]
    return True, f"{name}: {around or hidden} is left" if around or hidden else ""


def _allowed_after(code: int, scene: Scene, before: State, fault: str) -> tuple[State, ...]:
    if code == DONE:
        return (scene.allowed[1],)
    if fault in ("fail", "late") and scene.kind in (SINGLE_FILE, NEW_FOLDER):
        return tuple(visible(state) for state in scene.allowed)  # the new one is in its place before the last step
    return (visible(before),)


def without_permission(scene: Scene, folder: Path) -> str:
    """Do the scene as nobody in a folder that only others may write; return a sentence if something was lost."""
    shutil.rmtree(folder, ignore_errors=True)
    out = folder / "out"
    scene.prepare(out)
    folder.chmod(0o555)
    out.chmod(0o555) if out.exists() else None
    before = state_of(out)

    def as_nobody(place: Path) -> None:
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        scene.act(place)

    code = in_process(as_nobody, out, 10**9, "read-only", folder)
    same = state_of(out) == before
    folder.chmod(0o755)
    out.chmod(0o755) if out.exists() else None
    return "" if code == REFUSED and same else f"{scene.kind} without permission: exit code {code}"


def main() -> None:
    disk, stride, faults = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    scenes = [scene for scene in SCENES if "recovery" not in scene.kind]
    results = []
    for fault in faults:
        for scene in scenes:
            tried, lost, number = 0, [], 1
            while True:
                failed, sentence = trial(scene, disk, number, fault)
                if not failed:
                    break
                tried += 1
                lost += [sentence] if sentence else []
                number += stride
            results.append({"kind": f"{fault}: {scene.kind}", "tried": tried, "lost": lost})
    refused = [without_permission(scene, disk / "trial") for scene in scenes]
    results.append({"kind": "no permission", "tried": len(refused), "lost": [one for one in refused if one]})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
