"""The process that reads damaged files, one after another, and prints what became of each as a line of JSON.

    python Testing/Faults/fuzz_child.py FOLDER SEED FIRST LAST STEP

Numbers FIRST, FIRST + STEP, ... below LAST are tried: each is one file, of the kind ``number % kinds``.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from mutations import mutated
from processes import cpu_seconds, peak_mb
from specimens import Specimen, specimens

from TomoRayLib.images import contained
from TomoRayLib.jobs.events import ExitCode
from TomoRayLib.jobs.failures import failed_by

MOST_ADDRESSES = 12 * 2**30  # bytes that the process may reserve, so that a fault of ours does not take the machine
CRASHED = "crashed on it"


def main() -> int:
    """Try the numbers that the command line names."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    first, last, step = (int(text) for text in sys.argv[3:6])
    _limit()
    place = folder / f"child-{first % step}"
    shutil.rmtree(place, ignore_errors=True)
    (place / "made").mkdir(parents=True)
    kinds = specimens(place / "made")
    print(json.dumps({"ready": len(kinds)}), flush=True)
    for number in range(first, last, step):
        one = kinds[number % len(kinds)]
        print(json.dumps({"begun": number, "kind": one.kind}), flush=True)
        begun, reader, reader_begun = time.process_time(), _reader(), cpu_seconds(_reader())
        outcome = tried(one, kinds, place / "tried", random.Random(f"{seed} {number}"))
        seconds = time.process_time() - begun
        if _reader() is not None and _reader() == reader:
            seconds += cpu_seconds(reader) - reader_begun
        seconds = round(seconds, 3)
        print(json.dumps({"number": number, "kind": one.kind, **outcome, "seconds": seconds, **_memory()}), flush=True)
    return 0


def tried(one: Specimen, kinds: list[Specimen], place: Path, dice: random.Random) -> dict[str, Any]:
    """Read a damaged copy of a specimen: ``read``, ``refused`` with a sentence, ``contained``, or ``lost``."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    others = [content for other in dice.sample(kinds, 3) for content in other.files.values()]
    victim = dice.choice(one.damaged)
    for name, content in one.files.items():
        (place / name).write_bytes(mutated(content, others, dice) if name == victim else content)
    try:
        one.read(place / one.first)
        return {"outcome": "read"}
    except Exception as error:
        failed = failed_by(error)
        if failed.code == ExitCode.INTERNAL_ERROR:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            return {"outcome": "lost", "why": f"{type(error).__name__} at {where}: {str(error)[:200]}"}
        if CRASHED in failed.message:
            library = failed.message.partition("the reader of ")[2].partition(" crashed")[0]
            return {"outcome": "contained", "library": f"{library} on {Path(one.first).suffix}"}
        return {"outcome": "refused"}


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _memory() -> dict[str, float]:
    """Most memory so far, in MB, of this process and of the one that reads for it."""
    reader = _reader()
    return {"mb": peak_mb("self"), "reader_mb": 0.0 if reader is None else peak_mb(str(reader))}


def _reader() -> int | None:
    """The number of the process that reads for this one, if there is one."""
    process = contained._process._process
    return None if process is None else process.pid


if __name__ == "__main__":
    sys.exit(main())
