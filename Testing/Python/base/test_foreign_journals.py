"""A folder of results from somebody else may hold any journal of moves, and any link: nothing is moved through one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.files import check_writable, recovered

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links as POSIX has them")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("part", ["new", "old", "new/deep", "old/deep"])
def test_a_journal_whose_folders_are_links_moves_nothing(tmp_path: Path, part: str) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    run = out / ".partial-1-0123abcd"
    (run / part).parent.mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "key").write_text("precious", encoding="utf-8")
    (run / part).symlink_to(elsewhere)
    name = "deep/key" if "deep" in part else "key"
    (out / name).parent.mkdir(exist_ok=True)
    if part.startswith("old"):
        (out / name).with_name("start").write_text("theirs", encoding="utf-8")
        name = name.replace("key", "start")
    journal = {"ours": {name: None}, "new": []} if part.startswith("old") else {"ours": {}, "new": [name]}
    (run / "journal.json").write_text(json.dumps(journal), encoding="utf-8")
    with pytest.raises(OutputError, match="names that lead elsewhere"):
        recovered(out)
    assert {path.name: text_of(path) for path in elsewhere.iterdir()} == {"key": "precious"}


def test_a_result_is_put_back_around_a_link_and_never_through_it(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "key").write_text("precious", encoding="utf-8")
    run, before = out / ".partial-1-0123abcd", out / ".previous-999999999"
    for folder in (run / "new", run / "old" / "deep", before / "deep"):
        folder.mkdir(parents=True)
    (out / "deep").symlink_to(elsewhere)
    (run / "old" / "deep" / "start").write_text("theirs", encoding="utf-8")
    (before / "deep" / "start").write_text("theirs", encoding="utf-8")
    os.utime(before, (1, 1))
    journal = {"ours": {"deep/start": None}, "new": ["deep/key", "gone"]}
    (run / "journal.json").write_text(json.dumps(journal), encoding="utf-8")
    check_writable(out)
    assert {path.name: text_of(path) for path in elsewhere.iterdir()} == {"key": "precious"}
