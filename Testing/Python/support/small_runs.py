"""Runs that write a few words into a results folder."""

from __future__ import annotations

from pathlib import Path

from TomoRayLib.base.files import staged_folder


def run_of(out: Path, **contents: str) -> None:
    """Publish texts by file name; ``__`` in a name is a folder's slash."""
    with staged_folder(out) as folder:
        for name, text in contents.items():
            target = folder / name.replace("__", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
