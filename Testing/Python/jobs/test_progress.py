"""Stages as they are counted and timed."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import pytest

from TomoRayLib.jobs import progress
from TomoRayLib.jobs.events import StageBegun
from TomoRayLib.jobs.progress import Stages


def test_stages_count_and_estimate_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 0.001)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    events: list[StageBegun] = []
    stages = Stages({"first": 2.0, "second": 6.0}, events.append)
    with stages.stage("first"):
        pass
    with stages.stage("second"):
        pass
    assert [(event.stage, event.number, event.of) for event in events] == [("first", 1, 2), ("second", 2, 2)]
    assert events[0].seconds_left == 8.0
    assert events[1].seconds_left is not None
    assert events[1].seconds_left < 1.0  # the first stage took next to nothing on this machine
    assert json.dumps(stages.seconds)
