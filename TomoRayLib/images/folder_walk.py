"""A walk through a folder of data: through links, each folder once, and what is no file told apart by its kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """One folder of a walk, names in their order.

    ``below`` are the folders in it that will be walked; who takes a name out or clears the list prunes the walk.
    ``names`` are its files and broken links, ``odd`` its devices, pipes and sockets, which may never end if they are
    read.
    """

    path: Path
    below: list[str]
    names: list[str]
    odd: list[str]


def walked(folder: Path) -> Iterator[Place]:
    """Give ``folder`` and all folders below it, each once.

    Links to folders are followed, for data sets are often linked; hidden folders, and those that cannot be listed, are
    left out.
    """
    seen: set[str] = set()
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(path) as entries:
                place = _place(path, list(entries))
        except OSError:
            continue
        yield place
        waiting += [path / name for name in reversed(place.below)]


def _place(path: Path, entries: list[os.DirEntry[str]]) -> Place:
    place = Place(path, [], [], [])
    for entry in sorted(entries, key=lambda entry: entry.name):
        if entry.is_dir():
            if not entry.name.startswith("."):
                place.below.append(entry.name)
        elif entry.is_file() or not os.path.exists(entry.path):
            place.names.append(entry.name)
        else:
            place.odd.append(entry.name)
    return place
