"""Options made from the dataclasses of jobs: what is typed becomes the job, and an error names its option."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from TomoRayLib.cli.display import Display
from TomoRayLib.cli.options import job_command, job_of, option_names
from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.jobs.events import Emit, ExitCode, Failed, Finished, Warned
from TomoRayLib.jobs.job import ProjectionJob, SynthesisJob
from TomoRayLib.synthesis.settings import Exposure, GeometryOptions, PoseOptions


def job_typed(kind: type, words: str) -> Any:
    """The job that a command line stands for."""
    jobs: list[Any] = []
    app = Typer()

    @app.command()
    @job_command(kind)
    def run(job: Any, emit: Emit) -> None:
        jobs.append(job)

    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    return jobs[0]


def test_only_what_is_required_gives_the_job_with_its_defaults() -> None:
    assert job_typed(SynthesisJob, "--out o --ct c.nrrd") == SynthesisJob(out="o", ct="c.nrrd")
    assert job_typed(ProjectionJob, "c.nrrd --out o") == ProjectionJob("o", "c.nrrd")
    assert job_typed(EvaluationJob, "cases --out o") == EvaluationJob("cases", "o")


def test_options_of_nested_settings_reach_their_dataclass() -> None:
    words = "c.nrrd --out o --sad 900 --size 10 20 --isocenter -1 2 -3.5 --tilt -60 --beam slot --kvp 80 --seed 3"
    assert job_typed(ProjectionJob, f"{words} --exact --transmission --views lat") == ProjectionJob(
        "o",
        "c.nrrd",
        geometry=GeometryOptions(sad_mm=900.0, size=(10, 20), isocenter_mm=(-1.0, 2.0, -3.5)),
        poses=PoseOptions(tilt_deg=-60.0, beam="slot"),
        exposure=Exposure(kvp=80.0, as_transmission=True, seed=3),
        views=("lat",),
        exact=True,
    )


def test_an_angle_is_given_once_for_each_view_and_views_in_one_word_or_several() -> None:
    job = job_typed(ProjectionJob, "c.nrrd --out o --angle 30 --angle -45.5 --views lateral,ap")
    assert job.poses.angles_deg == (30.0, -45.5)
    assert job.views == ("lat", "ap")
    assert job_typed(ProjectionJob, "c.nrrd --out o --views lat --views ap").views == ("lat", "ap")


@pytest.mark.parametrize(
    ("typed", "geometry"),
    [("upright", GeometryOptions(preset="upright")), ("views.json", GeometryOptions(file="views.json"))],
)
def test_one_option_takes_a_preset_or_a_geometry_file(typed: str, geometry: GeometryOptions) -> None:
    assert job_typed(SynthesisJob, f"--out o --ct c.nrrd --geometry {typed}").geometry == geometry


def test_a_cohort_has_the_geometry_but_not_the_numbers_of_one_case() -> None:
    names = option_names(EvaluationJob)
    assert names["geometry"] == "--geometry"
    assert "isocenter_mm" not in names


def test_a_setting_that_is_not_an_option_keeps_its_default() -> None:
    assert job_of(SynthesisJob, {"out": "o", "ct": "c", "title": "t", "preset": None}).title is None


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("isocenter_mm", "--isocenter"),
        ("pixel_spacing_mm", "--pixel-spacing"),
        ("geometry", "--geometry"),
        ("matrix_file", "--matrix"),
        ("fov_mm", None),
        ("ct", None),  # given by its position
    ],
)
def test_the_field_of_an_error_leads_to_its_option(field: str, option: str | None) -> None:
    assert option_names(ProjectionJob).get(field) == option


def test_a_message_ends_with_its_option_in_brackets() -> None:
    console = Console(file=io.StringIO(), width=200)
    display = Display(console, {"invert": "--invert", "sid_mm": "--sid"})
    display(Warned("Bone looks dark. Invert both.", "invert"))
    display(Failed("SID must be at least SAD.", ExitCode.INPUT, "sid_mm"))
    display.close()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Warning Bone looks dark. Invert both (--invert)." in text
    assert "Error SID must be at least SAD (--sid)." in text


@pytest.mark.parametrize(
    ("swap", "settings", "asked"),
    [
        (False, {"flip_lateral": True}, "Run again with --flip-lateral."),
        (False, {"flip_lateral": False, "turn_ap": 270}, "Run again with --flip-lateral left out and --turn-ap 270."),
        (True, {}, "Run again with the files of --ap and --lateral exchanged."),
    ],
)
def test_a_run_ends_with_the_question_and_the_options_to_run_again_with(swap: bool, settings: dict, asked: str) -> None:
    console = Console(file=io.StringIO(), width=200)
    display = Display(console, option_names(SynthesisJob))
    suggestion = {"question": "Did you mean that?", "swap": swap, "settings": settings}
    display(Finished({"files": [], "seconds": 1.0, "suggestion": suggestion}))
    display.close()
    assert console.file.getvalue().endswith(f"Did you mean that? {asked}\n")  # type: ignore[attr-defined]
