"""Stages under the hash of what they are made from."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.evaluation import code_version
from TomoRayLib.evaluation.stage_store import Stage, StageStore, stage_key

KEY = stage_key("rows", ct="ab", fov_mm=256.0)


@pytest.fixture
def a_stage() -> Stage:
    return Stage({"grey": np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)}, {"notes": ["é"], "n": 2})


def test_a_kept_stage_comes_back_to_the_last_bit(tmp_path: Path, a_stage: Stage) -> None:
    store = StageStore(str(tmp_path))
    assert store.put(KEY, a_stage)
    found = store.find(KEY)
    assert found is not None
    assert found.arrays["grey"].dtype == np.float32
    np.testing.assert_array_equal(found.arrays["grey"], a_stage.arrays["grey"])
    assert found.values == a_stage.values


def test_a_stage_is_made_once(tmp_path: Path, a_stage: Stage) -> None:
    store, made = StageStore(str(tmp_path)), []

    def make() -> Stage:
        made.append(1)
        return a_stage

    assert [store.made(KEY, make)[1] for _ in range(3)] == [False, True, True]
    assert len(made) == 1
    assert StageStore(str(tmp_path), reuse=False).made(KEY, make)[1] is False
    assert StageStore(None).made(KEY, make)[1] is False
    assert len(made) == 3


@pytest.mark.parametrize("length", [0, 1, 40, -1, -30])
def test_a_damaged_file_is_no_stage(tmp_path: Path, a_stage: Stage, length: int) -> None:
    store = StageStore(str(tmp_path))
    store.put(KEY, a_stage)
    path = store.path_of(KEY)
    assert path is not None
    path.write_bytes(path.read_bytes()[:length])
    assert store.find(KEY) is None
    assert store.made(KEY, lambda: a_stage)[1] is False
    assert store.find(KEY) is not None


def test_what_cannot_be_written_is_not_kept_and_does_not_stop_the_work(tmp_path: Path, a_stage: Stage) -> None:
    (tmp_path / "file").touch()
    store = StageStore(str(tmp_path / "file" / "below"))
    assert not store.put(KEY, a_stage)
    assert store.made(KEY, lambda: a_stage) == (a_stage, False)


def test_every_part_of_what_it_is_made_from_is_in_the_key() -> None:
    others = [
        stage_key("rows", ct="ac", fov_mm=256.0),
        stage_key("rows", ct="ab", fov_mm=192.0),
        stage_key("row", ct="ab", fov_mm=256.0),
        stage_key("rows", ct="ab", fov_mm=256.0, more=None),
    ]
    assert len({KEY, *others}) == 5


def test_changed_code_changes_the_stages_that_it_makes_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("metrics", "networks", "base", "anatomy", "synthesis", "evaluation", "geometry", "images"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "a.py").write_text("x = 1\n")
    for file in ("synthesis/comparison.py", "evaluation/rows.py", "evaluation/synthetic.py", "weights.py"):
        (tmp_path / file).write_text("x = 1\n")
    monkeypatch.setattr(code_version, "PACKAGE", tmp_path)

    def versions() -> tuple[str, str]:
        for one in (code_version.code_version, code_version.package_version):
            one.cache_clear()
        return code_version.code_version("row"), code_version.code_version("synthesis")

    before = versions()
    (tmp_path / "metrics" / "a.py").write_text("x = 2\n")
    metrics_changed = versions()
    assert metrics_changed[0] != before[0]
    assert metrics_changed[1] == before[1]
    (tmp_path / "networks" / "a.py").write_text("x = 2\n")
    assert versions()[1] != metrics_changed[1]
    monkeypatch.undo()
    versions()


MODULE_OF_STAGE = {
    "prepared": "prepared",
    "synthesis": "synthetic",
    "row": "rows",
    "picture": None,
    "prediction": "prediction_files",
}
# What a stage's module imports without computing with it: the store, its own inputs, and one function of anatomy.
NOT_COMPUTED_BY = {"evaluation/stage_store.py", "evaluation/code_version.py"}
ALLOWED = {
    # segmentation.agreement, of which the labels at a CT's ends alone are used; weights, without its known measures
    "prepared": {"metrics", "measures"},
    # through the prepared case, which is its input
    "synthesis": {"metrics", "measures", "evaluation", "projector", "segmentation"},
    # through synthesis.comparison, whose input is a finished volume
    "row": {"projector", "segmentation", "networks"},
    "prediction": {
        *("metrics", "measures", "evaluation", "projector", "segmentation", "networks", "synthesis", "weights.py")
    },
}


def imported_files(module: str) -> set[str]:
    """Every file of the package that a module of ``evaluation`` imports, directly or not."""
    package = code_version.PACKAGE
    todo, seen = [package / "evaluation" / f"{module}.py"], set()
    while todo:
        path = todo.pop()
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                target = package.parent / f"{name.replace('.', '/')}.py"
                if name.startswith("TomoRayLib.") and target.is_file() and target not in seen:
                    todo.append(target)
    return {path.relative_to(package).as_posix() for path in seen}


@pytest.mark.parametrize(("stage", "module"), MODULE_OF_STAGE.items())
def test_the_code_of_a_stage_is_all_that_it_imports(stage: str, module: str | None) -> None:
    places = code_version.CODE_OF_STAGE[stage]
    assert all((code_version.PACKAGE / place).exists() for place in places)
    if module is None:
        return
    missing = [
        file
        for file in imported_files(module) - NOT_COMPUTED_BY
        if not any(file == place or file.startswith(f"{place}/") for place in (*places, *ALLOWED[stage]))
    ]
    assert not missing
