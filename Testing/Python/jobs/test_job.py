"""Jobs as JSON: round trip, and combinations that make no sense."""

from __future__ import annotations

import json

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.progress import Stages
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.synthesis.acquisition import GeometryOptions


def test_a_job_survives_json() -> None:
    job = SynthesisJob(
        out="o", ct="c.nrrd", segmentation="s.nrrd", fov_mm=192.0, geometry=GeometryOptions(sad_mm=900.0, size=(10, 20))
    )
    assert SynthesisJob.from_json(job.to_json()) == job


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "two radiographs"),
        ({"ap": "a"}, "two radiographs"),
        ({"ap": "a", "lateral": "b", "ct": "c"}, "got both"),
        ({"ap": "a", "lateral": "b", "segmentation": "s"}, "belongs to a CT"),
        ({"ct": "c", "fov_mm": 200.0}, "256 or 192"),
        ({"ct": "c", "quantisation": "log"}, "equal_frequency"),
        ({"ct": "c", "precision": "half"}, "float32"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SynthesisJob(out="o", **values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('{"ct": "c"}', "'out'"),
        ('{"out": "o", "ct": "c", "colour": 1}', "colour"),
        ('{"out": "o", "ct": "c", "geometry": {"sod": 1}}', "sod"),
    ],
)
def test_a_broken_job_file_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SynthesisJob.from_json(text)


def test_stages_count_and_estimate_what_is_left() -> None:
    events: list[dict] = []
    stages = Stages({"first": 2.0, "second": 6.0}, events.append)
    with stages.stage("first"):
        pass
    with stages.stage("second"):
        pass
    assert [(event["stage"], event["number"], event["of"]) for event in events] == [("first", 1, 2), ("second", 2, 2)]
    assert events[0]["seconds_left"] == 8.0
    assert events[1]["seconds_left"] < 1.0  # the first stage took next to nothing on this machine
    assert json.dumps(stages.seconds)
