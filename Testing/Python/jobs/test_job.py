"""Jobs as JSON: round trip, and combinations that make no sense."""

from __future__ import annotations

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.jobs.input_paths import check_can_begin
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.job_files import job_from_json
from TomoRayLib.synthesis.settings import GeometryOptions


def test_a_job_survives_json() -> None:
    job = SynthesisJob(
        out="o", ct="c.nrrd", segmentation="s.nrrd", fov_mm=192.0, geometry=GeometryOptions(sad_mm=900.0, size=(10, 20))
    )
    assert job_from_json(job.to_json()) == job


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
        ({"ct": "c", "anchor": "L1"}, "L1=X,Y,Z"),
        ({"ct": "c", "anchor": "S1=T12"}, "got 'S1=T12'"),
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
        ('{"ct": "c"}', "lacks out"),
        ('{"out": "o", "ct": "c", "colour": 1}', "colour"),
        ('{"out": "o", "ct": "c", "geometry": {"sod": 1}}', "sod"),
    ],
)
def test_a_broken_job_file_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        job_from_json(text)


def test_a_name_with_a_zero_character_is_refused() -> None:
    with pytest.raises(InputError, match="no name holds a zero character"):
        check_can_begin(SynthesisJob(out="out", ct="ct\0.nrrd"))
