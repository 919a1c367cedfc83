"""Trainings that are interrupted, terminated, killed, or run out of disk, at moments drawn with a fixed seed.

Each is a real ``tomoray train`` of short stages. It must end with a sentence and its exit code; every
checkpoint it leaves must load; and run again it must come to the very weights of a training that nobody disturbed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from campaign import Result
from small_training import STAGES, STEPS, Ended, ended, started, wait_until_begun, write_training

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from support.training_runs import assert_equal
from TomoRayLib.training.config_file import read_config
from TomoRayLib.training.run import run_config

SEED = 19
SPARE_S = 1.0  # beyond the time of an undisturbed training: some requests come at its very end
EXPECTED = "a sentence, its exit code, checkpoints that load, and then the weights of an undisturbed training"


def results(full: bool, folder: Path) -> Iterator[Result]:
    """Disturb trainings in each way."""
    configs = write_training(folder)
    wanted = {config: _undisturbed(config, folder / f"whole-{config.stem}") for config in configs}
    usual_s = _usual_seconds(configs[0], folder / "usual")
    trials = _Trials(folder, configs, wanted, usual_s + SPARE_S)
    counts = (20, 6, 6, 4) if full else (1, 1, 1, 1)
    yield trials.asked("Ctrl-C (SIGINT to the whole group)", signal.SIGINT, 130, "Interrupted", counts[0])
    yield trials.asked("SIGTERM to the process, or to its group", signal.SIGTERM, 143, "Terminated", counts[1])
    yield trials.asked("SIGKILL", signal.SIGKILL, -9, "", counts[2])
    yield trials.without_room(counts[3])


class _Trials:
    """Disturbed trainings, one after another."""

    def __init__(self, folder: Path, configs: tuple[Path, ...], wanted: dict[Path, Any], longest_s: float) -> None:
        self.folder, self.configs, self.wanted, self.longest_s = folder, configs, wanted, longest_s
        self.random, self.number = random.Random(SEED), 0

    def asked(self, kind: str, number: signal.Signals, code: int, word: str, count: int) -> Result:
        lost, slowest_s = [], 0.0
        for _ in range(count):
            config, after_s = self.random.choice(self.configs), self.random.uniform(0.0, self.longest_s)
            to_group = number != signal.SIGTERM or self.random.random() < 0.5
            out = self._next()
            process = started(config, out)
            wait_until_begun(process)
            time.sleep(after_s)
            begun = time.monotonic()
            with suppress(ProcessLookupError):  # it has ended by itself
                (os.killpg if to_group else os.kill)(process.pid, number)
            end = ended(process)
            slowest_s = max(slowest_s, time.monotonic() - begun)
            done = end.code == 0 and (not word or word not in end.said)  # it had ended by itself
            wrong = None if done else _wrong_end(end, code, word)
            lost += self._checked(config, out, f"{config.stem}, {number.name} after {after_s:.2f} s", wrong)
        return Result(f"training: {kind}", EXPECTED, count, lost, f"slowest end {slowest_s:.1f} s")

    def without_room(self, count: int) -> Result:
        lost = []
        for _ in range(count):
            config, most = self.random.choice(self.configs), self.random.choice((0, 300, 2000, 9000, 40_000, 90_000))
            out = self._next()
            end = ended(started(config, out, most))
            wrong = None if end.code == 0 else _wrong_end(end, 2, "Expected ")
            lost += self._checked(config, out, f"{config.stem}, no room beyond {most} bytes a file", wrong)
        return Result("training: no room on the disk (files of 0 to 90,000 bytes)", EXPECTED, count, lost)

    def _next(self) -> Path:
        self.number += 1
        return self.folder / f"trial{self.number}"

    def _checked(self, config: Path, out: Path, what: str, wrong: str | None) -> list[str]:
        """What is wrong with a disturbed training: its end, its checkpoints, or what comes of it when run again."""
        wrong = wrong or _damaged(out)
        if wrong is None:
            try:
                assert_equal(_undisturbed(config, out), self.wanted[config])
            except Exception as error:
                wrong = f"run again it fails: {type(error).__name__}: {error}"
            left = [path.name for path in out.rglob(".*") if path.name != ".tomoray-files.json"]
            wrong = wrong or (f"run again it leaves {', '.join(left)}" if left else None)
        shutil.rmtree(out, ignore_errors=True)
        return [] if wrong is None else [f"{what}: {wrong}"]


def _wrong_end(end: Ended, code: int, word: str) -> str | None:
    if end.code != code or word not in end.said or "Traceback" in end.said or "hung" in end.said:
        return f"expected exit code {code} and {word!r}, got {end.code}: {end.said[-300:]!r}"
    return None


def _damaged(out: Path) -> str | None:
    for path in sorted(out.rglob("*.ckpt")):
        if any(part.startswith(".") for part in path.relative_to(out).parts):
            continue  # half a file of a killed process, in its hidden folder
        try:
            torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            return f"{path.relative_to(out)} does not load: {error}"
    return None


def _undisturbed(config: Path, out: Path) -> dict[str, Any]:
    """The weights of all stages after a training, or the rest of one, in this process."""
    run_config(read_config(config), config.parent, out, lambda line: None)
    weights = {}
    for number in range(STAGES):
        content = torch.load(out / f"stage{number}" / "last.ckpt", map_location="cpu", weights_only=True)
        assert content["progress"]["steps"] == STEPS
        weights[f"stage{number}"] = {"model": content["model"], "ema": content["ema"]}
    return weights


def _usual_seconds(config: Path, out: Path) -> float:
    """From the moment at which a training hears signals to its end."""
    process = started(config, out)
    wait_until_begun(process)
    begun = time.monotonic()
    end = ended(process)
    if end.code != 0:
        raise RuntimeError(f"Expected an undisturbed training to end with 0, got {end.code}: {end.said[-500:]}")
    return time.monotonic() - begun
