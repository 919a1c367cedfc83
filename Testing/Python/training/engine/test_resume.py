"""A training that is killed, stopped by hand or finished: what is kept, and how it goes on."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.training_runs import ANATOMY, STREAM, TINY, a_config, assert_equal, content_of, rows_of, run
from TomoRayLib.training.engine import trainer as loop
from TomoRayLib.training.engine.adversary import AdversaryConfig
from TomoRayLib.training.engine.trainer import train


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(Exception):
        pass

    def die(line: str) -> None:
        if "done; loss" not in line:  # at the validation
            raise KilledError

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    out = tmp_path / "run"
    with pytest.raises(KilledError):
        run(a_config(60, validate_every_steps=3), out, report=die)
    saved = content_of(out / "last.ckpt")
    assert saved["progress"]["steps"] == 3  # saved before it is validated
    (out / "log.csv").write_text("step,loss\n3,0.5\n4,0.4\n")  # the fourth step came after the checkpoint
    after = content_of(run(a_config(5), out, resume=True))
    steps = after["progress"]["steps"]
    assert [row["step"] for row in rows_of(out / "log.csv")] == ["3"]
    assert 4 <= steps <= 6
    assert float(after["ema"]["n_averaged"]) == steps
    taken = {float(state["step"]) for state in after["optimizer"]["state"].values()}
    assert taken == {float(steps)}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tmp_path: Path, workers: int) -> None:
    """Weights, averages, optimizer and adversary to the last bit: the samples are the same, and in the same order."""
    config = dataclasses.replace(a_config(1), minutes=1e9, steps=6, workers=workers)
    stream = dataclasses.replace(STREAM, uses=3, kept=2, shot_uses=2, size=48)
    config = dataclasses.replace(config, network=dataclasses.replace(TINY, output_size=48), finest_level=0)
    config = dataclasses.replace(config, adversary=AdversaryConfig(weight=0.1, crop=32))

    class KilledError(Exception):
        pass

    def die(line: str) -> None:
        if "done; loss" not in line:  # at the validation
            raise KilledError

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(KilledError):
            train(dataclasses.replace(config, validate_every_steps=4), stream, ANATOMY, [], tmp_path / "a", report=die)
    assert content_of(tmp_path / "a" / "last.ckpt")["progress"]["steps"] == 4
    stopped = content_of(train(config, stream, ANATOMY, [], tmp_path / "a", resume=True))
    straight = content_of(train(config, stream, ANATOMY, [], tmp_path / "b"))
    for part in ("model", "ema", "optimizer", "adversary"):
        assert_equal(stopped[part], straight[part])


def test_a_run_goes_on_with_as_many_processes_as_it_began_with(tmp_path: Path) -> None:
    """On another machine too, whose cores would have it choose another number: the samples' order depends on it."""
    config = dataclasses.replace(a_config(1), minutes=1e9, steps=1, workers=0)
    train(config, STREAM, ANATOMY, [], tmp_path / "run")
    longer = dataclasses.replace(config, steps=2, workers=None)  # left out it would be 1 on a CPU
    train(longer, STREAM, ANATOMY, [], tmp_path / "run", resume=True)
    assert json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["training"]["workers"] == 0
    train(longer, STREAM, ANATOMY, [], tmp_path / "new")
    assert json.loads((tmp_path / "new" / "config.json").read_text(encoding="utf-8"))["training"]["workers"] == 1


def test_a_run_that_is_stopped_by_hand_keeps_its_last_step_and_says_that_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, real_step = itertools.count(1), loop._step

    def step_or_stop(*arguments: Any) -> Any:
        if next(taken) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return real_step(*arguments)

    monkeypatch.setattr(loop, "_step", step_or_stop)
    config, out = dataclasses.replace(a_config(1), steps=4, validate_every_steps=2), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(config, out)
    assert content_of(out / "last.ckpt")["progress"]["steps"] == 2
    lines: list[str] = []
    run(config, out, resume=True, report=lines.append)
    assert lines[0].startswith("Going on from step 2")
    assert lines[1].startswith("step 3, ")
    assert "75% done; loss " in lines[1]
    assert [row["step"] for row in rows_of(out / "validation.csv")] == ["4"]  # once, though it is the last as well


def test_a_finished_stage_stays_as_it_is(tmp_path: Path) -> None:
    finished = run(a_config(1), tmp_path / "run").parent
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    lines: list[str] = []
    run(a_config(1, peak_lr=1e-4), finished, resume=True, report=lines.append)
    assert lines[0].startswith("Already finished after")
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_a_run_killed_at_any_moment_loses_at_most_two_minutes_and_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of 25 s by the clock; killed in the step that would end some minutes later, the file is that old."""

    class KilledError(Exception):
        pass

    for steps_until_killed in (9, 14):
        looks, taken, real_step = itertools.count(), itertools.count(1), loop._step
        monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(looks) * 25.0))  # noqa: B023

        def step_or_die(*arguments: Any) -> Any:
            if next(taken) > steps_until_killed:  # noqa: B023
                raise KilledError
            return real_step(*arguments)  # noqa: B023

        monkeypatch.setattr(loop, "_step", step_or_die)
        out = tmp_path / str(steps_until_killed)
        with pytest.raises(KilledError):
            run(a_config(1, minutes=1e9), out)
        monkeypatch.setattr(loop, "_step", real_step)
        lost_seconds = 25.0 * (steps_until_killed - content_of(out / "last.ckpt")["progress"]["steps"])
        assert 0 <= lost_seconds <= loop.CHECKPOINT_SECONDS + 25.0
