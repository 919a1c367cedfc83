"""The ``tomoray`` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from typer.core import TyperCommand

from TomoRayLib import __version__
from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.cli.display import escaped, literal, print_line, print_sentence
from TomoRayLib.cli.options import Json, OptionalPath, job_command, option_for, option_names
from TomoRayLib.cli.running import console, finish
from TomoRayLib.cli.training import learning_curves, publish, sample_sheet, train, train_segmenter
from TomoRayLib.jobs.data_check_job import DataCheckJob
from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.jobs.events import Emit, ExitCode, Finished, Note
from TomoRayLib.jobs.job import VIEW_NAMES, ProjectionJob, SegmentationJob, SynthesisJob

Out = option_for(SynthesisJob, "out")
Model = option_for(SynthesisJob, "model")
Device = option_for(SynthesisJob, "device")

app = typer.Typer(
    name="tomoray",
    help="Synthetic CT of the spine from two radiographs. Research use only, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
@job_command(SynthesisJob)
def synthesize(job: SynthesisJob, emit: Emit) -> None:
    """Make a synthetic CT from two radiographs, or from a CT and compare with it."""
    from TomoRayLib.jobs.synthesis import run_synthesis

    run_synthesis(job, emit)


class _ProjectCommand(TyperCommand):
    """``project``: two views after one ``--views`` are refused with what to write."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for option, first, second in zip(args, args[1:], args[2:], strict=False):
            if option == "--views" and first in VIEW_NAMES and second in VIEW_NAMES:
                raise typer.BadParameter(
                    f"Expected the views joined by a comma; write --views {first},{second}.", ctx=ctx
                )
        return super().parse_args(ctx, args)


@app.command(cls=_ProjectCommand)
@job_command(ProjectionJob)
def project(job: ProjectionJob, emit: Emit) -> None:
    """Render digitally reconstructed radiographs of a CT, of any geometry: line integrals as NRRD, and PNGs."""
    from TomoRayLib.jobs.projection import run_projection

    run_projection(job, emit)


@app.command()
@job_command(SegmentationJob)
def segment(job: SegmentationJob, emit: Emit) -> None:
    """Find and name the vertebrae of a CT by a network: labels by TomoRay, for research, to be looked at before use."""
    from TomoRayLib.jobs.segmentation import run_segmentation

    run_segmentation(job, emit)


@app.command()
def demo(
    out: Out = Path("output/demo"),  # type: ignore[valid-type]
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not download: use the cached case, else the phantom.")
    ] = False,
    cache: Annotated[OptionalPath, typer.Option(help="Folder for downloads.", envvar="TOMORAY_CACHE")] = None,
    model: Model = None,  # type: ignore[valid-type]
    device: Device = "auto",  # type: ignore[valid-type]
    json: Json = False,
) -> None:
    """Run a synthesis on the public demonstration case LIDC-IDRI-0001, a real CT that no model was trained on."""

    def work(emit: Emit) -> None:
        from TomoRayLib.base.device_names import check_device_name
        from TomoRayLib.base.files import check_writable
        from TomoRayLib.jobs.preloading import open_libraries
        from TomoRayLib.weights import find_model

        check_device_name(device)
        find_model(model)
        check_writable(out)
        open_libraries()
        from TomoRayLib.jobs.demonstration import case_files, default_cache, fetch_demonstration, origin_note
        from TomoRayLib.jobs.synthesis import run_synthesis

        folder = cache or default_cache(dict(os.environ))
        case = fetch_demonstration(folder, offline, lambda text: emit(Note(text)))
        with case_files(case) as (ct, labels):
            job = SynthesisJob(
                out=str(out),
                ct=str(ct),
                segmentation=str(labels),
                model=model,
                device=device,
                title=case.name,
                demonstration_note=origin_note(case.name, case.source, case.licence, case.citation),
            )
            del case
            run_synthesis(job, emit)

    finish(work, json, option_names=option_names(SynthesisJob))


@app.command()
@job_command(EvaluationJob, "cases that were scored to their end are kept; resume with --resume")
def evaluate(job: EvaluationJob, emit: Emit) -> None:
    """Score a cohort of CTs with vertebra segmentations: a table of every case, and mean, SD, median, IQR, n."""
    from TomoRayLib.jobs.evaluation import run_evaluation

    run_evaluation(job, emit)


data = typer.Typer(
    help="Look at data before it is used.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data, name="data")


@data.command("check")
@job_command(DataCheckJob)
def data_check(job: DataCheckJob, emit: Emit) -> None:
    """Check the headers of a folder of cases, a thousand in seconds, or their voxels too."""
    from TomoRayLib.jobs.data_check import run_data_check

    run_data_check(job, emit)


@app.command()
def models(json: Json = False) -> None:
    """List the models, with licence and data."""

    def work(emit: Emit) -> None:
        from TomoRayLib.weights import read_registry, read_segmenters

        default, entries = read_registry()
        default_segmenter, segmenters = read_segmenters()
        if json:
            emit(Finished({"default": default, "models": sorted(entries), "segmenters": sorted(segmenters)}))
            return
        Console().print(_table(default, entries.values()))
        if segmenters:
            Console().print(_segmenter_table(default_segmenter, segmenters.values()))
        for listed in (entries, segmenters):
            for name, entry in listed.items():
                print_line(Console(), f"Data of {name}:\n{_data(entry)}")

    finish(work, json)


app.command()(train)
app.command(name="train-segmenter")(train_segmenter)
app.command()(publish)
app.command(name="sample-sheet")(sample_sheet)
app.command(name="learning-curves")(learning_curves)


def _columns(*titles: str) -> list[Column]:
    """Columns whose words are never cut off; names and licences are in one piece, also in a narrow terminal."""
    whole, widths = ("model", "licence"), {"field of view": 8}
    return [Column(title, overflow="fold", no_wrap=title in whole, width=widths.get(title)) for title in titles]


def _table(default: str, entries: Any) -> Table:
    table = Table(*_columns("model", "described as", "default", "field of view", "licence"))
    for entry in entries:
        name = entry.id if entry.based_on is None else f"{entry.id}\n(adds to {entry.based_on['model']})"
        starred = "*" if entry.id == default else ""
        said = (name, entry.described_as or "", starred, f"{entry.fov_mm:.0f} mm", entry.licence)
        table.add_row(*map(literal, said))
    return table


def _segmenter_table(default: str, entries: Any) -> Table:
    table = Table(*_columns("finds vertebrae in a CT", "default", "licence"))
    for entry in entries:
        said = (entry.id, "*" if entry.id == default else "", entry.licence)
        table.add_row(*map(literal, said))
    return table


def _data(entry: Any) -> str:
    return "\n".join(f"  {item['name']}: {item['use']}" for item in entry.data)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"tomoray {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command that was typed; leaves with its exit code."""
    try:
        _check_no_empty_word(sys.argv)
        app(prog_name="tomoray")
    except (InputError, OutputError) as error:
        print_sentence(console, "[bold red]Error[/]", escaped(str(error)))
        sys.exit(ExitCode.INPUT)


def _check_no_empty_word(words: Sequence[str]) -> None:
    """Raise InputError for an empty word, as an unset variable of a shell is: as a path it would be this folder."""
    for before, word in pairwise(words):
        option = before if not word else word[:-1] if word.startswith("--") and word.endswith("=") else None
        if option is not None:
            raise InputError(
                f"Expected a value after {option}, got an empty text; give one, or check the shell's variable."
            )
