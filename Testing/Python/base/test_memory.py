"""The memory that a container leaves: files that are kept in memory are given up when it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from TomoRayLib.base import memory

STAT = "anon 1000\n{before}inactive_file 300\n{before}active_file 2000\nslab 9\n"


@pytest.mark.parametrize(
    ("limit", "used", "before"),
    [
        ("memory.max", "memory.current", ""),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_"),
    ],
)
def test_files_that_are_kept_in_memory_count_as_free(tmp_path: Path, limit: str, used: str, before: str) -> None:
    (tmp_path / limit).parent.mkdir(exist_ok=True)
    (tmp_path / limit).write_text("4000\n", encoding="ascii")
    (tmp_path / used).write_text("3500\n", encoding="ascii")
    (tmp_path / used).with_name("memory.stat").write_text(STAT.format(before=before), encoding="ascii")
    assert memory._left_in_container(tmp_path) == 4000 - 3500 + 300 + 2000


def test_a_container_without_a_limit_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("3500\n", encoding="ascii")
    assert memory._left_in_container(tmp_path) is None
