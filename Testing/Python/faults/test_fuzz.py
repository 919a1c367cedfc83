"""The short part of the campaign of damaged files loses nothing, and damages what was whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="times and memory of another process by /proc")
def test_the_short_campaign_of_damaged_files_loses_nothing(tried: Callable[[str], list[int]]) -> None:
    from fuzz import SHORT

    assert sum(tried("fuzz")) == SHORT


@pytest.mark.slow
def test_every_specimen_is_read_before_it_is_damaged(tmp_path: Path, faults_path: Path) -> None:
    """A file that is refused as it is would say nothing of what damage does."""
    from specimens import specimens

    (tmp_path / "made").mkdir()
    for place, one in enumerate(specimens(tmp_path / "made")):
        folder = tmp_path / str(place)
        folder.mkdir()
        for name, content in one.files.items():
            (folder / name).write_bytes(content)
        one.read(folder / one.first)


def test_damage_is_the_same_for_the_same_seed_and_nearly_always_changes_a_file(faults_path: Path) -> None:
    from mutations import mutated

    content = b"NRRD0004\nsizes: 3 4 5\n\n" + bytes(range(256))
    found = [mutated(content, [content[::-1]], random.Random(seed)) for seed in range(200)]
    assert found == [mutated(content, [content[::-1]], random.Random(seed)) for seed in range(200)]
    assert sum(one != content for one in found) > 190


def test_a_process_that_dies_or_does_not_end_loses_its_file_and_the_next_one_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults_path: Path
) -> None:
    import fuzz

    child = """
import json, os, sys, time
for number in range(int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])):
    print(json.dumps({"begun": number, "kind": "CT a"}), flush=True)
    if number == 2:
        os.kill(os.getpid(), 11)
    while number == 5:
        pass
    mb = 5000 if number == 6 else 1
    line = {"number": number, "kind": "CT a", "outcome": "read", "seconds": 0, "mb": mb, "reader_mb": 0}
    print(json.dumps(line), flush=True)
"""
    (tmp_path / "fuzz_child.py").write_text(child, encoding="utf-8")
    monkeypatch.setattr(fuzz, "HERE", tmp_path)
    monkeypatch.setattr(fuzz, "MOST_SECONDS", 1.0)
    monkeypatch.setattr(fuzz, "SHORT", 10)
    row = next(row for row in fuzz.results(False, tmp_path) if row.kind.endswith(": CT"))
    assert row.tried == 10
    assert [sentence.partition(":")[0] for sentence in sorted(row.lost)] == [
        "CT a, number 2",
        "CT a, number 5",
        "CT a, number 6",
    ]


def test_processes_that_do_not_even_begin_are_no_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults_path: Path
) -> None:
    import fuzz

    (tmp_path / "fuzz_child.py").write_text("raise SystemExit(1)\n", encoding="utf-8")
    monkeypatch.setattr(fuzz, "HERE", tmp_path)
    monkeypatch.setattr(fuzz, "SHORT", 10)
    monkeypatch.setattr(fuzz, "MOST_DEATHS", 2)
    assert [sentence for row in fuzz.results(False, tmp_path) for sentence in row.lost] == ["0 of 10 files were tried"]
