"""The version of the code that computes a stage: a hash over the sources of the rooms that take part in it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import TomoRayLib
from TomoRayLib.base.hashes import sha256_of_bytes, sha256_of_file

PACKAGE = Path(TomoRayLib.__file__).parent
_LOWER = ("base", "anatomy", "geometry", "images")
# What each stage is computed by: rooms, and modules of rooms. A test compares it with what the modules import.
CODE_OF_STAGE: dict[str, tuple[str, ...]] = {
    "prepared": (
        *_LOWER,
        *("projector", "networks", "segmentation", "synthesis", "weights.py"),
        *("evaluation/prepared.py", "evaluation/case_facts.py", "evaluation/spine_shape.py"),
    ),
    "synthesis": (*_LOWER, "networks", "synthesis", "weights.py", "evaluation/synthetic.py"),
    "row": (*_LOWER, "metrics", "measures", "synthesis", "weights.py", "evaluation/rows.py", "evaluation/measured.py"),
    "picture": (*_LOWER, "report"),
    "prediction": (*_LOWER, "evaluation/predictions.py", "evaluation/prediction_files.py", "evaluation/array_files.py"),
}


@cache
def code_version(stage: str) -> str:
    """Return the hash of the code of a stage, one of ``CODE_OF_STAGE``."""
    return _hash_of(tuple(sorted(CODE_OF_STAGE[stage])))


@cache
def package_version() -> str:
    """Return the hash of the whole package's code: equal in two installations of the same sources."""
    return _hash_of(("",))


def _hash_of(places: tuple[str, ...]) -> str:
    files = sorted({file for place in places for file in _sources(PACKAGE / place)})
    lines = [f"{file.relative_to(PACKAGE).as_posix()} {sha256_of_file(file)}" for file in files]
    return sha256_of_bytes("\n".join(lines).encode())[:16]


def _sources(place: Path) -> list[Path]:
    return [place] if place.is_file() else list(place.rglob("*.py"))
