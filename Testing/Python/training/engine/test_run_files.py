"""What a run writes while it goes on: whole, or not at all and with a sentence."""

from __future__ import annotations

import dataclasses
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from support.training_runs import a_config, content_of, rows_of, run
from TomoRayLib.base.errors import OutputError
from TomoRayLib.training.engine.progress import Progress
from TomoRayLib.training.engine.run_files import append, write_checkpoint
from TomoRayLib.training.engine.run_log import RunLog
from TomoRayLib.training.engine.trainer_config import TrainingConfig

SCORE = {"cosine_similarity": 0.5, "dice": 0.25}


def a_training(steps: int) -> TrainingConfig:
    return dataclasses.replace(a_config(1), steps=steps)


@contextmanager
def files_of_at_most(most_bytes: int) -> Iterator[None]:
    """No file can grow beyond a size, as on a disk that is full."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("room", [0, 700, 20_000, 300_000])
def test_a_checkpoint_without_room_is_a_sentence_and_the_earlier_one_stays(tmp_path: Path, room: int) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, {"steps": 1})
    with files_of_at_most(room), pytest.raises(OutputError, match=r"Expected to be able to write .*last\.ckpt"):
        write_checkpoint(path, {"steps": 2, "weights": torch.zeros(100_000), "many": [torch.ones(9)] * 50})
    assert content_of(path) == {"steps": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_row_without_room_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    append(path, "step,loss\n1,0.5\n")
    with files_of_at_most(20), pytest.raises(OutputError, match=r"log\.csv"):
        append(path, "2,0.123456\n")
    assert path.read_text(encoding="utf-8") == "step,loss\n1,0.5\n"


def test_a_training_without_room_says_which_checkpoint_is_kept(tmp_path: Path) -> None:
    run(a_training(2), tmp_path / "run")
    kept = content_of(tmp_path / "run" / "last.ckpt")["progress"]
    with (
        files_of_at_most(8000),
        pytest.raises(OutputError, match=r"last\.ckpt, .* The checkpoint of step 2 is kept .*run the same command"),
    ):
        run(a_training(4), tmp_path / "run", resume=True)
    assert content_of(tmp_path / "run" / "last.ckpt")["progress"] == kept
    run(a_training(4), tmp_path / "run", resume=True)
    assert content_of(tmp_path / "run" / "last.ckpt")["progress"]["steps"] == 4


def test_rows_that_a_killed_run_tore_or_took_too_far_come_again(tmp_path: Path) -> None:
    log = RunLog(tmp_path, True)
    for step in (10, 20, 30):
        log.validation(Progress(step, 60.0 * step), {"=case": SCORE})
    path = tmp_path / "validation.csv"
    path.write_bytes(path.read_bytes()[:-3])  # the last row lacks digits, not cells
    RunLog(tmp_path, True, 30)
    assert [(row["step"], row["case"]) for row in rows_of(path)] == [("10", "'=case"), ("20", "'=case")]
    RunLog(tmp_path, True, 10)
    assert [row["step"] for row in rows_of(path)] == ["10"]
    path.write_text("step,min", encoding="utf-8")
    RunLog(tmp_path, True, 10)
    assert not path.exists()
